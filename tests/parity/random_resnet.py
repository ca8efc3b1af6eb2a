"""Compares `forward_checkpoint` with timm on random configurations of ResNet.

    cargo build --release --example forward_checkpoint
    python tests/parity/random_resnet.py target/release/examples/forward_checkpoint

Prints the largest difference of features over the largest value among `--count` configurations. Nothing is
kept.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from check_saved import difference
from families import images
from resnet import random_configuration, resnet, tokens

TOLERANCE = 2e-5


@torch.no_grad()
def compare(program: Path, draw: random.Random, folder: Path) -> tuple[dict, float]:
    config = random_configuration(draw)
    model = resnet(**config)
    inputs = {"pixel_values": images(config["channels"], [draw.randint(20, 100), draw.randint(20, 100)])}
    expected = tokens(model.forward_features(inputs["pixel_values"]))
    if draw.random() < 0.5:
        torch.save(model.state_dict(), folder / "model.pth")
        weights = folder / "model.pth"
    else:
        weights = folder / "model.safetensors"
        save_file(model.state_dict(), weights)
    save_file(inputs, folder / "in.safetensors")
    command = [program, "--model", weights, "--input", folder / "in.safetensors"]
    done = subprocess.run([*command, "--output", folder / "out.safetensors"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{config}: {done.stderr}")
    return config, difference(load_file(folder / "out.safetensors")["features"], expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    largest, failed = 0.0, False
    for index in range(arguments.count):
        draw = random.Random(f"resnet {arguments.seed} {index}")
        torch.manual_seed(draw.randint(0, 2**31))
        with tempfile.TemporaryDirectory() as folder:
            config, found = compare(arguments.program, draw, Path(folder))
        largest = max(largest, found)
        if found > TOLERANCE:
            failed = True
            print(f"FAILED {config}: {found}")
    print(f"ResNet {arguments.count} configurations: features {largest:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
