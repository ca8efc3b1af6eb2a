"""Compares `forward_checkpoint` with transformers on random configurations of Hiera.

    cargo build --release --example forward_checkpoint
    python tests/parity/random_hiera.py target/release/examples/forward_checkpoint

Prints the largest difference of features and predictions over the largest value, and of losses over
their own, among `--count` configurations of `HieraForPreTraining` and of `HieraModel`, and what
failed. Nothing is kept.
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
from families import as_saved, fill, images, noise
from hiera import units
from reference import outputs_of

CLASSES = ["HieraForPreTraining", "HieraModel", "HieraForImageClassification"]


def configuration(name: str, draw: random.Random) -> dict:
    """A configuration of the class `name` that transformers can run."""
    stages = draw.randint(1, 4)
    whole = name == "HieraForPreTraining"
    oblong = not whole and draw.random() < 0.3
    step = draw.choice([1, 2, 2, 2, 3]) if stages < 4 else 2
    query = [step, draw.choice([1, 2, 3]) if oblong and stages < 4 else step]
    group = [side ** (stages - 1) for side in query]
    # transformers hides no units that are larger, and reads them in another order.
    larger = 1 if whole else draw.choice([1, 1, 1, 2])
    unit = [side * larger for side in group]
    stride = draw.choice([1, 2, 3, 4])
    strides = [stride, draw.choice([1, 2, 4]) if oblong else stride]
    padding = [draw.randint(0, step) for step in strides]
    # As many tokens as strides: (h + 2 p - k) / s + 1 = h / s.
    kernel = [
        draw.randint(max(1, 2 * pad + 1), 2 * pad + step) if pad or step > 1 else 1
        for pad, step in zip(padding, strides)
    ]
    most = max(1, 48 // max(side * step for side, step in zip(unit, strides)))
    counts = [draw.randint(1, min(4, most + 1)), draw.randint(2, min(5, most + 2))]
    width, heads = 4 * draw.randint(1, 4), draw.choice([1, 2, 4])
    config = dict(
        embed_dim=width,
        depths=[draw.randint(1, 3) for _ in range(stages)],
        num_heads=[draw.choice([1, 2, 4, heads]) for _ in range(stages)],
        num_query_pool=draw.randint(0, stages - 1),
        query_stride=query,
        masked_unit_size=unit,
        masked_unit_attention=[draw.random() < 0.5 for _ in range(stages)],
        mlp_ratio=draw.choice([1.0, 1.5, 2.7, 4.0]),
        image_size=[a * b * c for a, b, c in zip(unit, strides, counts)],
        patch_size=kernel,
        patch_stride=strides,
        patch_padding=padding,
        num_channels=draw.choice([1, 2, 3, 4]),
        layer_norm_eps=draw.choice([1e-12, 1e-6, 1e-3]),
    )
    if whole:
        heads = draw.choice([1, 2, 3])
        config |= dict(
            decoder_hidden_size=4 * heads * draw.randint(1, 4),
            decoder_depth=draw.randint(1, 3),
            decoder_num_heads=heads,
            normalize_pixel_loss=draw.random() < 0.5,
            mask_ratio=draw.choice([0.3, 0.5, 0.6, 0.75]),
        )
        cell = stride * step ** config["num_query_pool"]
        if cell * cell * config["num_channels"] == 1:
            # One value has no variance.
            config["normalize_pixel_loss"] = False
        if int(counts[0] * counts[1] * (1 - config["mask_ratio"])) == 0:
            config["mask_ratio"] = 0.5
    return config


@torch.no_grad()
def compare(name: str, program: Path, config: dict, folder: Path) -> dict:
    kind = getattr(transformers, name)
    model = kind(transformers.HieraConfig(**config)).eval()
    fill(model, (1, 1))
    as_saved(folder, model)
    inputs = {"pixel_values": images(config["num_channels"], config["image_size"])}
    if name == "HieraForPreTraining":
        inputs["noise"] = noise(units(model.config))
    expected = outputs_of(model, inputs)
    save_file(inputs, folder / "in.safetensors")
    command = [program, "--model", folder, "--input", folder / "in.safetensors"]
    command += ["--output", folder / "out.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr}
    got = load_file(folder / "out.safetensors")
    keys = ["features", "logits", "loss"] if "noise" in inputs else ["features"]
    return {key: difference(got[key], expected[key]) for key in keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for name in CLASSES:
        largest, done, refused = {}, 0, 0
        for index in range(100 * arguments.count):
            if done == arguments.count:
                break
            draw = random.Random(f"{name} {arguments.seed} {index}")
            torch.manual_seed(draw.randint(0, 2**31))
            config = configuration(name, draw)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = compare(name, arguments.program, config, Path(folder))
                except (RuntimeError, ZeroDivisionError, ValueError):
                    # What transformers itself cannot run.
                    refused += 1
                    continue
            done += 1
            if "error" in found or not max(found.values()) <= arguments.tolerance:
                failed = True
                print(f"FAILED {name} {config}: {found}")
                continue
            largest |= {key: max(largest.get(key, 0.0), value) for key, value in found.items()}
        shown = ", ".join(f"{key} {value:.1e}" for key, value in largest.items())
        print(f"{name:28} {done} configurations ({refused} transformers fails on): {shown}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
