"""TensorBoard's event files: the bytes of two records as TensorBoard writes them, for the tests of
`src/train/run_folder/events.rs`; and with the folder of a run that was trained with the feature
`tensorboard`, what TensorBoard's own EventFileLoader reads there, compared with the run's log.jsonl.

    python tests/parity/events.py
    python tests/parity/events.py runs/mae
"""

import io
import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util


def record(event):
    file = io.BytesIO()
    file.close, content = lambda: None, file
    RecordWriter(file).write(event.SerializeToString())
    return content.getvalue().hex()


def fixtures():
    values = [
        Summary.Value(tag="train/loss", simple_value=0.5),
        Summary.Value(tag="validation/knn_top1", simple_value=41.25),
    ]
    print("SCALARS", record(Event(wall_time=1.5, step=300, summary=Summary(value=values))))
    print("VERSION", record(Event(wall_time=1.5, file_version="brain.Event:2")))


def scalar(value):
    return float(tensor_util.make_ndarray(value.tensor)) if value.HasField("tensor") else value.simple_value


def check(run):
    (file,) = (run / "tensorboard").iterdir()
    events = list(EventFileLoader(str(file)).Load())
    assert events[0].file_version == "brain.Event:2", events[0]
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(events) == 1 + len(lines), (len(events), len(lines))
    for event, line in zip(events[1:], lines):
        assert event.step == line["step"], (event, line)
        found = {value.tag: scalar(value) for value in event.summary.value}
        names = {"train/loss": "loss", "train/learning_rate": "rate", "train/gradient_norm": "gradient_norm"}
        if line["kind"] == "epoch":
            names = {"validation/loss": "valid_loss", "epoch/train_loss": "train_loss"}
        for tag, name in names.items():
            if line[name] is not None:
                assert abs(found[tag] - line[name]) <= 1e-6 * abs(line[name]), (tag, found, line)
    print(f"{len(lines)} lines, the same in {file.name}")


check(Path(sys.argv[1])) if len(sys.argv) > 1 else fixtures()
