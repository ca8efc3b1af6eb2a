"""Compares `forward_checkpoint` with transformers on random configurations of VideoMAE.

    cargo build --release --example forward_checkpoint
    python tests/parity/random_videomae.py target/release/examples/forward_checkpoint [CLASS ...]

Prints, for each class, the largest difference of features and predictions over the largest value, and
that of the loss over the loss, among `--count` configurations, and what failed. Nothing is kept.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from check_saved import difference
from families import as_named_in_memory, as_saved, fill
from random_encoders import ACTIVATIONS
from reference import outputs_of
from videomae import cells_of, clips, masks

CLASSES = ["VideoMAEForPreTraining", "VideoMAEModel", "VideoMAEForVideoClassification"]
TOLERANCES = {"features": 1e-4, "logits": 1e-4, "loss": 1e-5}


def configuration(name: str, draw: random.Random) -> dict:
    """A configuration of the class `name` that transformers can run."""
    heads, patch = draw.choice([1, 2, 3, 4]), draw.choice([1, 2, 3, 4, 7])
    width, channels = heads * draw.randint(2, 16), draw.choice([1, 2, 3, 3, 4])
    tubelet = draw.choice([1, 2, 3, 4])
    rows, cols = draw.randint(1, 5), draw.randint(2, 5)
    square = draw.random() < 0.5
    decoder_heads = draw.choice([1, 2, 3])
    decoder_width = decoder_heads * draw.randint(2, 12)
    # A pixel alone has no variance; raw pixels of other channels than three have no loss there.
    normalized = channels != 3 or draw.random() < 0.5
    if normalized and tubelet * patch == 1:
        patch = 2
    return dict(
        image_size=cols * patch if square else [rows * patch, cols * patch],
        patch_size=patch,
        num_channels=channels,
        num_frames=tubelet * draw.randint(1, 4),
        tubelet_size=tubelet,
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 4),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 4 * width),
        hidden_act=draw.choice(ACTIVATIONS),
        layer_norm_eps=draw.choice([1e-12, 1e-6, 1e-5, 1e-3]),
        qv_bias=draw.random() < 0.5,
        use_mean_pooling=draw.random() < 0.5,
        decoder_hidden_size=decoder_width,
        decoder_num_hidden_layers=draw.randint(1, 4),
        decoder_num_attention_heads=decoder_heads,
        decoder_intermediate_size=draw.randint(5, 4 * decoder_width),
        norm_pix_loss=normalized,
    )


@torch.no_grad()
def compare(name: str, program: Path, draw: random.Random, folder: Path) -> tuple[dict, dict]:
    config = configuration(name, draw)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**config)).eval()
    fill(model, (1, 1))
    draw.choice([as_saved, as_named_in_memory])(folder, model)
    inputs = {"pixel_values": clips(model.config)}
    whole = name == "VideoMAEForPreTraining"
    if whole or name == "VideoMAEModel" and draw.random() < 0.5:
        inputs["bool_masked_pos"] = masks(model.config, draw.randint(1, cells_of(model.config) - 1))
    expected = outputs_of(model, inputs)
    save_file({key: value.contiguous() for key, value in inputs.items()}, folder / "in.safetensors")
    command = [program, "--model", folder, "--input", folder / "in.safetensors"]
    command += ["--output", folder / "out.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {config}: {done.stderr}")
    got = load_file(folder / "out.safetensors")
    keys = [key for key in TOLERANCES if key in expected]
    return config, {key: difference(got[key], expected[key]) for key in keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("classes", nargs="*", metavar="CLASS")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for name in arguments.classes or CLASSES:
        largest: dict[str, float] = {}
        for index in range(arguments.count):
            draw = random.Random(f"{name} {arguments.seed} {index}")
            torch.manual_seed(draw.randint(0, 2**31))
            with tempfile.TemporaryDirectory() as folder:
                config, found = compare(name, arguments.program, draw, Path(folder))
            largest |= {key: max(largest.get(key, 0.0), value) for key, value in found.items()}
            if not all(value <= TOLERANCES[key] for key, value in found.items()):
                failed = True
                print(f"FAILED {name} {config}: {found}")
        values = ", ".join(f"{key} {value:.1e}" for key, value in largest.items())
        print(f"{name:32} {arguments.count} configurations: {values}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
