#!/usr/bin/env python3
"""The table of all methods at equal processor minutes, in docs/methods.md. Python's standard library only.

    cargo build --release
    python3 benches/methods/table.py --data shapes --labels 0.2 --seeds 3 --minutes 3
    python3 benches/methods/table.py --data idx:DIR --name Fashion-MNIST --image-size 28 --labels 0.3334 --seeds 3
    python3 benches/methods/table.py --data shapes --labels 0.2 --curve 500,2000,10000 --steps 1000 --methods mae_small_images
    python3 benches/methods/table.py                  # writes the table of what was measured, and measures nothing
    python3 -m unittest discover benches/methods      # tests of the table

For every method, seed and number of minutes it pre-trains (`burn-mim pretrain`), reads the encoder out (`burn-mim
evaluate`), and appends one JSON line to the results. What is there already is not measured again, and an interrupted
measurement goes on in the folder `--out`, so the command may be stopped and repeated. A method is the name of a preset;
without `--methods` it is every preset for small images.

Equal processor minutes. A run's length is a number of steps, chosen beforehand: `MINUTES * 60 / s`, where `s` is the
method's processor seconds a step (user and system time of the process and its threads, as `os.wait4` reports them, not
the time on the clock, so that a busy machine changes little). `s` is the difference between two short runs divided by the
difference of their steps: what a run does once (opening the data, pictures, the last validation) is in both and cancels.
The longer one doubles its steps until it takes `CALIBRATION` processor seconds more than the shorter one. `s` is kept in
`--out`, so that all seeds have as many steps. Validations after each epoch come on top; the table has the processor
minutes that the whole runs took. A method that predicts tokens spends a quarter of its minutes on its tokenizer, whose
length is chosen in the same way.

Read-outs: 20 nearest neighbors, logistic regression and the efficient attentive probe with the share `--labels` of the
labels, fine-tuning with 1 % of the labels, and the linear segmentation of cells where images have label maps. Of raw
pixels and HOG, 1 % is logistic regression on the same labels. The seed of a run draws its labels too.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Processor seconds by which the longer of two runs exceeds the shorter one.
CALIBRATION = 6.0
# Steps, or for a tokenizer batches, of the shorter run.
SHORT = 4
BATCH = 64
# The share of the labels to fine-tune with.
FEW = 0.01
# The share of the minutes that a tokenizer has.
TOKENIZER = 0.25

READ_OUTS = ["knn", "linear", "attentive", "finetune", "dense"]
TITLES = {"knn": "k-NN", "linear": "linear", "attentive": "attentive", "finetune": "1 %", "dense": "dense, mIoU"}
BASELINES = ["raw pixels", "HOG", "random weights"]
PIXELS = BASELINES[0]
# What a read-out of an encoder is compared with, of raw pixels.
AGAINST = {"knn": "knn", "linear": "linear", "attentive": "linear", "finetune": "finetune"}
BELOW = "▼"

BEGIN = "<!-- benches/methods/table.py: begin -->"
END = "<!-- benches/methods/table.py: end -->"


class Failed(Exception):
    """A command that failed."""


# --- Running the program -------------------------------------------------------------------------------------------


def run(program, *arguments):
    """Runs the program, and returns its processor seconds, its output and its messages."""
    command = [str(program), *map(str, arguments)]
    print("$ " + " ".join(command), file=sys.stderr, flush=True)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=messages)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), messages.seek(0)
        out, messages = (stream.read().decode(errors="replace") for stream in (out, messages))
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}\n{messages.strip()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, out, messages


def small_presets(program):
    """The names of all presets for small images."""
    answer = subprocess.run([program, "presets"], check=True, capture_output=True, text=True).stdout
    names = [line.split()[0] for line in answer.splitlines() if line.strip()]
    return [name for name in names if "small_images" in name]


class Method:
    """A method on data: what its commands have in common, and what its steps cost."""

    def __init__(self, preset, args, out):
        self.program, self.out, self.args = args.program, out, args
        self.known = out / "calibration.json"
        self.command = ["pretrain", "--preset", preset, "--data", args.data]
        document = self.document()
        side = args.image_size
        # A method of other images than the usual ones, such as one whose tokens are pixels, keeps its own.
        if side and re.search(r"image\]\nchannels = \d+\nheight = 32\n", document):
            try:
                self.document("--image-size", side)
                self.command += ["--image-size", side]
            except Failed:
                print(f"{preset} has no images of {side} pixels: it reads its own size", file=sys.stderr)
        self.has_tokenizer = "[numbers.tokenizer]" in document

    def document(self, *flags):
        """The whole document of a run; notes how many images there are."""
        _, document, messages = run(self.program, *self.command, *flags, "--print-config")
        self.images = int(re.search(r"(\d+) images to train", messages)[1])
        return document

    def tokenizer_command(self, images):
        """Fits a tokenizer on about so many images."""
        share = ["--epochs", max(1, round(images / self.images))]
        if images < self.images:
            share += ["--train-images", max(BATCH, images)]
        side = self.command[self.command.index("--image-size") + 1 :] if "--image-size" in self.command else []
        return ["tokenizer", "--data", self.args.data, *(["--image-size", side[0]] if side else []), *share]

    def seconds_a_step(self, name, command):
        """Processor seconds a step of `command`, a function of steps and a folder; measured once."""
        known = json.loads(self.known.read_text()) if self.known.exists() else {}
        if name not in known:
            folder = self.out / "calibration"
            shutil.rmtree(folder, ignore_errors=True)
            known[name] = calibrate(lambda steps: run(self.program, *command(steps, folder / str(steps)))[0])
            shutil.rmtree(folder, ignore_errors=True)
            self.known.parent.mkdir(parents=True, exist_ok=True)
            write(self.known, json.dumps(known))
        return known[name]

    def train(self, folder, seed, minutes=None, steps=None, train_images=None):
        """Pre-trains in `folder`; returns its steps and processor seconds."""
        done = folder / "trained.json"
        if done.exists():
            return json.loads(done.read_text())
        seconds = 60 * (minutes or 0)
        spent, flags = 0.0, []
        if self.has_tokenizer:
            tokenizer = folder / "tokenizer"
            images = 2 * self.images
            if minutes:
                fit = lambda batches, out: [*self.tokenizer_command(batches * BATCH), "--out", out]
                cost = self.seconds_a_step("tokenizer", fit)
                images = int(seconds * TOKENIZER / cost) * BATCH
            command = self.tokenizer_command(images)
            spent += run(self.program, *command, "--seed", seed, "--out", tokenizer)[0]
            flags = ["--tokenizer", tokenizer]
        if minutes:
            command = lambda steps, out: [*self.command, *flags, "--steps", steps, "--out", out]
            cost = self.seconds_a_step("step", command)
            steps = max(1, round(seconds * (1 - TOKENIZER if self.has_tokenizer else 1) / cost))
        if train_images:
            flags += ["--train-images", train_images]
        encoder = folder / "run"
        spent += run(self.program, *self.command, *flags, "--steps", steps, "--seed", seed, "--out", encoder)[0]
        trained = {"steps": steps, "processor_seconds": round(spent, 1)}
        write(done, json.dumps(trained))
        return trained


def calibrate(cost):
    """Seconds a step of `cost`, a function from steps to seconds, by the difference of two runs."""
    first = cost(SHORT)
    steps = 2 * SHORT
    while (more := cost(steps) - first) < CALIBRATION:
        # As many as seem to be enough, and at least twice as many.
        enough = CALIBRATION * 1.2 * (steps - SHORT) / max(more, 0.2)
        steps = min(max(2 * steps, SHORT + round(enough)), 16 * steps)
    return more / (steps - SHORT)


def read_out(args, checkpoint, protocol, share, seed, folder, *flags):
    """The answer of an evaluation, kept in `folder`; None where the images have no label maps."""
    kept = folder / f"{protocol}-{share:g}.json"
    if not kept.exists():
        data = args.on or args.data
        command = ["evaluate", "--checkpoint", checkpoint, "--data", data, "--protocol", protocol, "--seed", seed]
        command += ["--labels", share, "--out", folder / "evaluate", *flags]
        try:
            # The last line is the answer.
            write(kept, run(args.program, *command)[1].strip().splitlines()[-1])
        except Failed as error:
            if protocol != "dense" or "label map" not in str(error):
                raise
            write(kept, "null")
    return json.loads(kept.read_text())


def share_of(args, protocol):
    """The share of the labels that a read-out has."""
    return FEW if protocol == "finetune" else args.labels


def encoder_scores(args, checkpoint, seed, folder):
    """The score of every read-out of an encoder."""
    scores = {}
    for protocol in args.read_outs:
        answer = read_out(args, checkpoint, protocol, share_of(args, protocol), seed, folder)
        if answer is not None:
            scores[protocol] = answer["value"]
    return scores


def baseline_scores(args, seed, folder):
    """The scores of every baseline: of random weights all read-outs, of the others those without an encoder."""
    size = ["--image-size", args.image_size] if args.image_size else []
    scores = {name: {} for name in BASELINES}
    for protocol in args.read_outs:
        share = share_of(args, protocol)
        beside = ["--baselines"] if protocol in ("knn", "linear") else []
        answer = read_out(args, "none", protocol, share, seed, folder, *size, *beside)
        if answer is None:
            continue
        scores["random weights"][protocol] = answer["value"]
        if protocol == "finetune":
            answer = read_out(args, "none", "linear", share, seed, folder, *size, "--baselines")
        for name in [PIXELS, "HOG"]:
            # The first one of a protocol stands for it.
            found = [score["value"] for score in answer["scores"] if score["encoder"] == name]
            if found:
                scores[name][protocol] = found[0]
    return scores


def write(path, text):
    """Writes a file that is whole under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


# --- Results ---------------------------------------------------------------------------------------------------------


def key(result):
    """What tells one measurement from others."""
    return tuple(result.get(name) for name in ["method", "data", "minutes", "train_images", "steps_asked", "seed"])


def load(path, key=key):
    """All results, of those with equal keys the last."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return list({key(line): line for line in lines}.values())


def measure(args):
    """Measures all that is asked for and not there; methods that fail are named at the end."""
    there = {key(result) for result in load(args.results)}
    data = args.name or (f"{args.data}, read on {args.on}" if args.on else args.data)
    folder = args.out / re.sub(r"[^\w.-]+", "-", data)
    failed = []

    def add(result):
        if key(result) in there:
            return
        there.add(key(result))
        result["labels"] = args.labels
        with args.results.open("a") as results:
            results.write(json.dumps(result) + "\n")
        table_of(args)

    seeds = range(args.seeds)
    for seed in seeds:
        if all(key({"method": name, "data": data, "seed": seed}) in there for name in BASELINES):
            continue
        for name, scores in baseline_scores(args, seed, folder / f"baselines-{seed}").items():
            add({"method": name, "data": data, "seed": seed, "scores": scores})
    lengths = [{"minutes": minutes} for minutes in args.minutes]
    if args.curve:
        lengths = [{"steps_asked": args.steps, "train_images": images} for images in args.curve]
    # One seed of everything before the next one: a table that is cut short has all rows.
    for length in lengths:
        for seed in seeds:
            for preset in args.methods or small_presets(args.program):
                result = {"method": preset, "data": data, "seed": seed, **length}
                if key(result) in there or preset in failed:
                    continue
                words = "-".join(f"{name}-{value:g}" for name, value in length.items())
                run_folder = folder / preset / f"{words}-seed-{seed}"
                try:
                    method = Method(preset, args, folder / preset)
                    asked = {"minutes": length.get("minutes"), "steps": length.get("steps_asked")}
                    trained = method.train(run_folder, seed, train_images=length.get("train_images"), **asked)
                    scores = encoder_scores(args, run_folder / "run", seed, run_folder)
                except Failed as error:
                    print(f"{preset} failed: {error}", file=sys.stderr)
                    failed.append(preset)
                    continue
                add({**result, **trained, "scores": scores})
    return failed


# --- The table -------------------------------------------------------------------------------------------------------


def summary(values):
    """Mean and sample standard deviation, or a dash."""
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def groups(results, *names):
    """The results that agree in the fields of these names, in the order in which they first occur."""
    found = {}
    for result in results:
        found.setdefault(tuple(result.get(name) for name in names), []).append(result)
    return found


def scores_of(results, column):
    return [result["scores"][column] for result in results if result["scores"].get(column) is not None]


def cells(results, columns, pixels):
    """The cells of a row; below raw pixels they are marked."""
    row = []
    for column in columns:
        values = scores_of(results, column)
        text = summary(values)
        compared = scores_of(pixels, AGAINST[column]) if column in AGAINST else []
        if values and compared and statistics.mean(values) < statistics.mean(compared):
            text += f" {BELOW}"
        row.append(text)
    return row


def rows(header, body):
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables(results):
    """The tables of all data, in Markdown."""
    parts = []
    for (data,), of_data in groups(results, "data").items():
        columns = [name for name in READ_OUTS if scores_of(of_data, name)]
        baselines = {name: [r for r in of_data if r["method"] == name] for name in BASELINES}
        pixels = baselines[PIXELS]
        first = [
            [name, "–", "–", str(len(found)), *cells(found, columns, [] if name == PIXELS else pixels)]
            for name, found in baselines.items()
            if found
        ]
        timed = [r for r in of_data if r.get("minutes") is not None]
        titles = [TITLES[name] for name in columns]
        if first or timed:
            body = []
            by_run = sorted(groups(timed, "minutes", "method").items(), key=lambda item: item[0][0])
            for (minutes, method), found in by_run:
                spent = statistics.mean(r["processor_seconds"] for r in found) / 60
                steps = f"{statistics.mean(r['steps'] for r in found):.0f}"
                row = [f"`{method}`", f"{minutes:g} ({spent:.1f})", steps, str(len(found))]
                body.append(row + cells(found, columns, pixels))
            header = ["pre-training", "processor minutes (taken)", "steps", "seeds", *titles]
            parts.append(f"**{data}**, {labels(of_data)} of the labels:\n\n" + rows(header, first + body))
        curve = [r for r in of_data if r.get("train_images") is not None]
        if curve:
            body = []
            by_images = groups(curve, "method", "steps_asked", "train_images").items()
            for (method, steps, images), found in sorted(by_images, key=lambda item: item[0]):
                row = [f"`{method}`", str(images), str(steps), str(len(found))]
                body.append(row + cells(found, columns, pixels))
            header = ["pre-training", "images without labels", "steps", "seeds", *titles]
            parts.append(f"**{data}**, by the images that are pre-trained on:\n\n" + rows(header, body))
    marked = f"{BELOW}: below raw pixels by the same read-out (attentive probes: by logistic regression)."
    if any(BELOW in part for part in parts):
        parts.append(marked)
    return "\n\n".join(parts)


def labels(results):
    shares = sorted({r["labels"] for r in results if r.get("labels") is not None})
    return " or ".join(f"{100 * share:.4g} %" for share in shares) or "all"


def between(page, text, first=BEGIN, last=END):
    """`page` with `text` between the two marks."""
    begin, end = page.find(first), page.find(last)
    if begin < 0 or end < begin:
        raise Failed(f"the page lacks the lines {first} and {last}")
    return f"{page[: begin + len(first)]}\n\n{text}\n\n{page[end:]}"


def table_of(args):
    """Writes the tables of all results into the page."""
    if results := load(args.results):
        page = between(args.page.read_text(), tables(results))
        write(args.page, page)


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--program", type=Path, default=target / "release" / "burn-mim", help="the release program")
    parser.add_argument("--data", help="what to pre-train on and to read out, such as shapes or idx:DIR")
    parser.add_argument("--on", help="other data for the read-outs: transfer")
    parser.add_argument("--name", help="how the table calls the data [default: as it is given]")
    parser.add_argument("--image-size", type=int, help="side of the images for all methods that can read it")
    parser.add_argument("--labels", type=float, default=1.0, help="share of the labels for all but fine-tuning")
    parser.add_argument("--minutes", type=numbers(float), default=[3.0], help="processor minutes, such as 3,15,60")
    parser.add_argument("--seeds", type=int, default=1, help="seeds, counted from 0")
    parser.add_argument("--methods", type=numbers(str), help="presets [default: all for small images]")
    parser.add_argument("--read-outs", type=numbers(str), default=READ_OUTS, help="such as knn,linear")
    parser.add_argument("--curve", type=numbers(int), help="numbers of images to pre-train on, for --steps each")
    parser.add_argument("--steps", type=int, help="steps of every run of --curve")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "methods.md")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "table", help="folder for runs under way")
    args = parser.parse_args()
    if bool(args.curve) != bool(args.steps):
        parser.error("--curve and --steps go together")
    if unknown := set(args.read_outs) - set(READ_OUTS):
        parser.error(f"unknown read-outs {', '.join(sorted(unknown))}, expected some of {', '.join(READ_OUTS)}")
    if args.data and not args.program.exists():
        parser.error(f"there is no {args.program}: cargo build --release, or name it by --program")
    return args


def main():
    args = arguments()
    failed = measure(args) if args.data else []
    table_of(args)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
