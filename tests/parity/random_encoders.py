"""Compares `forward_checkpoint` with transformers on random configurations of encoders.

    cargo build --release --example forward_checkpoint
    python tests/parity/random_encoders.py target/release/examples/forward_checkpoint [CLASS ...]

Prints, for each class, the largest difference of features over the largest feature among `--count`
configurations, on images of the model's own size and of another, and what failed. Nothing is kept.
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
from families import as_named_in_memory, as_saved, fill, images
from reference import grid_of, outputs_of

PLAIN = ["ViTMSNModel", "IJepaModel"]
DINOV2 = ["Dinov2Model", "Dinov2WithRegistersModel"]
CONVNEXT = ["ConvNextV2Model", "ConvNextV2ForImageClassification"]
CLASSES = [*PLAIN, "Data2VecVisionModel", *DINOV2, "CLIPVisionModel", *CONVNEXT]
ACTIVATIONS = ["gelu", "quick_gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]


def convolutions(draw: random.Random) -> dict:
    """A ConvNeXt V2 of one to four stages, on images that neither patches nor stages need divide. The norm of
    two or three features that are nearly alike would enlarge what rounds them without bound."""
    stages, patch = draw.randint(1, 4), draw.choice([1, 2, 3, 4, 5])
    least = patch * 2 ** (stages - 1)
    return dict(
        num_stages=stages,
        depths=[draw.randint(1, 3) for _ in range(stages)],
        hidden_sizes=[draw.randint(4, 40) for _ in range(stages)],
        patch_size=patch,
        num_channels=draw.choice([1, 2, 3, 4]),
        layer_norm_eps=draw.choice([1e-12, 1e-6, 1e-3]),
        image_size=[draw.randint(least, 3 * least + 20) for _ in range(2)],
    )


def configuration(name: str, draw: random.Random) -> dict:
    """A configuration of the class `name` that transformers can run."""
    if name in CONVNEXT:
        return convolutions(draw)
    heads, patch = draw.choice([1, 2, 3, 4]), draw.choice([2, 3, 4, 7])
    # Positions are drawn from a sin-cos table, which has a multiple of 4 features.
    width = 4 * heads * draw.randint(1, 6)
    rows, cols = draw.randint(2, 6), draw.randint(2, 6)
    config = dict(
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 4),
        num_attention_heads=heads,
        patch_size=patch,
        num_channels=draw.choice([1, 2, 3, 4]),
        hidden_act=draw.choice(ACTIVATIONS),
        layer_norm_eps=draw.choice([1e-12, 1e-6, 1e-5, 1e-3]),
        image_size=rows * patch,
    )
    if name not in DINOV2:
        config["intermediate_size"] = draw.randint(5, 4 * width)
    if name in PLAIN and draw.random() < 0.5:
        config["image_size"] = [rows * patch, cols * patch]
    if name in PLAIN + DINOV2:
        config["qkv_bias"] = draw.random() < 0.5
    if name in DINOV2:
        config |= dict(
            mlp_ratio=draw.randint(1, 5),
            layerscale_value=draw.choice([1e-5, 0.1, 1.0, 3.0]),
            use_swiglu_ffn=draw.random() < 0.5,
        )
    if name == "Dinov2Model":
        config["use_mask_token"] = draw.random() < 0.5
    if name == "Dinov2WithRegistersModel":
        config["num_register_tokens"] = draw.randint(0, 8)
    if name == "Data2VecVisionModel":
        config |= dict(
            use_mask_token=draw.random() < 0.5,
            use_absolute_position_embeddings=draw.random() < 0.5,
            use_mean_pooling=draw.random() < 0.5,
            layer_scale_init_value=draw.choice([0.0, 0.1, 1.0]),
        )
        config |= draw.choice(
            [
                {},
                dict(use_relative_position_bias=True),
                dict(use_shared_relative_position_bias=True),
            ]
        )
    return config


def other_size(config: dict, draw: random.Random) -> list[int] | None:
    """Images of another size, where transformers reads them with positions of its own."""
    if "depths" in config:
        return [side + draw.randint(0, 9) for side in config["image_size"]]
    if not isinstance(config["image_size"], int):
        return None
    # With a single row or column, PyTorch's antialiased interpolation mixes up its axes.
    return [config["patch_size"] * draw.randint(2, 8) for _ in range(2)]


@torch.no_grad()
def compare(name: str, program: Path, draw: random.Random, folder: Path) -> tuple[dict, dict]:
    config = configuration(name, draw)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**config)).eval()
    fill(model, grid_of(config["image_size"], config["patch_size"]))
    draw.choice([as_saved, as_named_in_memory])(folder, model)
    inputs = {"pixel_values": images(config["num_channels"], config["image_size"])}
    if other := other_size(config, draw):
        inputs["pixel_values_resized"] = images(config["num_channels"], other)
    expected, found = outputs_of(model, inputs), {}
    for size in ["", "_resized"]:
        if f"pixel_values{size}" not in inputs:
            continue
        save_file({"pixel_values": inputs[f"pixel_values{size}"]}, folder / "in.safetensors")
        command = [program, "--model", folder, "--input", folder / "in.safetensors"]
        command += ["--output", folder / "out.safetensors"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name} {config}: {done.stderr}")
        got = load_file(folder / "out.safetensors")["features"]
        found[f"features{size}"] = difference(got, expected[f"features{size}"])
    return config, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("classes", nargs="*", metavar="CLASS")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for name in arguments.classes or CLASSES:
        largest = {"features": 0.0, "features_resized": 0.0}
        for index in range(arguments.count):
            draw = random.Random(f"{name} {arguments.seed} {index}")
            torch.manual_seed(draw.randint(0, 2**31))
            with tempfile.TemporaryDirectory() as folder:
                config, found = compare(name, arguments.program, draw, Path(folder))
            largest |= {key: max(largest[key], value) for key, value in found.items()}
            if not max(found.values()) <= arguments.tolerance:
                failed = True
                print(f"FAILED {name} {config}: {found}")
        own, other = largest["features"], largest["features_resized"]
        print(f"{name:26} {arguments.count} configurations: {own:.1e}, other sizes {other:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
