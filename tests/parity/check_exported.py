"""Checks that transformers reads a folder that `burn-mim export` wrote, and computes what
`burn-mim embed --format npy` wrote of the same images.

    python tests/parity/check_exported.py FOLDER FEATURES PHOTOS

No key may be missing, unexpected or of another shape; the mean over cells of the images that
FEATURES/names.json names below PHOTOS, read by the folder's own image processor, must agree with
FEATURES/features.npy to `--tolerance` of the largest value. A `...ForImageClassification` is
compared with PREDICTIONS, the lines of `burn-mim predict`, where `--predictions` names them.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

KEY_FAULTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def opened(folder: Path):
    """The model of the class that the folder names, and what became of its keys."""
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    bare = {"add_pooling_layer": False} if name in ("ViTModel", "BeitModel", "SwinModel", "Swinv2Model") else {}
    cls = getattr(transformers, name)
    model, report = cls.from_pretrained(folder, output_loading_info=True, **bare)
    return model.eval(), report


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    model, report = opened(arguments.folder)
    faults = [f"{kind}: {sorted(report[kind])}" for kind in KEY_FAULTS if report.get(kind)]
    processor = transformers.AutoImageProcessor.from_pretrained(arguments.folder, use_fast=False)
    names = json.loads((arguments.features / "names.json").read_text())
    images = [Image.open(arguments.photos / name).convert("RGB") for name in names]
    inputs = processor(images=images, return_tensors="pt")["pixel_values"]
    classifies = hasattr(model, "classifier")
    base = model.base_model if classifies else model
    states = base(pixel_values=inputs).last_hidden_state
    if model.config.model_type == "clip_vision_model":
        states = model.post_layernorm(states)
    first = 0 if model.config.model_type in ("swin", "swinv2", "ijepa", "hiera") else 1
    first += getattr(model.config, "num_register_tokens", 0)
    means = states[:, first:].mean(1).numpy()
    expected = np.load(arguments.features / "features.npy")
    difference = np.abs(means - expected).max() / np.abs(expected).max()
    print(f"{type(model).__name__}: features differ by {difference:.1e} of the largest value")
    if not difference <= arguments.tolerance:
        faults.append(f"features differ by {difference:.1e}")
    if arguments.predictions:
        lines = [json.loads(line) for line in arguments.predictions.read_text().splitlines()]
        shares = model(pixel_values=inputs).logits.softmax(-1)
        for line, share in zip(lines, shares, strict=True):
            found = share[model.config.label2id[line["class"]]].item()
            if abs(found - line["confidence"]) > arguments.tolerance:
                faults.append(f"{line['path']}: {found} and {line['confidence']}")
    print("\n".join(f"FAILED: {fault}" for fault in faults) or "ok")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
