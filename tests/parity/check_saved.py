"""Checks that transformers reads folders we saved, and answers as recorded.

    python tests/parity/check_saved.py FOLDER IO.safetensors [FOLDER IO.safetensors ...]

For each pair: no key of the weights is missing, unexpected or of another shape, and every output in
the io file (but gradients) is what transformers computes from its inputs, up to 1e-4 of the
output's largest absolute value (`--tolerance`). Exits with 1 and one line per failure otherwise.
With `--resave DIR` transformers saves each model again as DIR/FOLDER's name, for us to read back.
"""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from reference import load, outputs_of

INPUTS = {"pixel_values", "pixel_values_resized", "noise", "bool_masked_pos"}
INPUTS |= {"input_ids", "image_ids"}
KEY_FAULTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def difference(got: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest expected value; infinite for another shape or NaN."""
    if got.shape != expected.shape:
        return float("inf")
    got, expected = got.double(), expected.double()
    largest = (got - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    return largest.nan_to_num(nan=float("inf")).item()


@torch.no_grad()
def faults(folder: Path, io: Path, tolerance: float, resave: Path | None) -> list[str]:
    """What is wrong with a saved folder, a line each."""
    model, report = load(folder)
    if resave:
        model.save_pretrained(resave / folder.resolve().name)
    found = [f"{kind}: {sorted(report[kind])}" for kind in KEY_FAULTS if report.get(kind)]
    tensors = load_file(io)
    inputs = {key: value for key, value in tensors.items() if key in INPUTS}
    expected = {
        key: value
        for key, value in tensors.items()
        if key not in INPUTS and not key.startswith("grad.")
    }
    if "features" not in expected:
        found.append(f"{io} has no features to compare")
    outputs = outputs_of(model, inputs)
    for key, value in expected.items():
        if key not in outputs:
            found.append(f"{key}: transformers computes none")
        elif (distance := difference(outputs[key], value)) > tolerance:
            found.append(f"{key}: differs by {distance:.1e} of its largest value")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="FOLDER IO.safetensors")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--resave", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    if len(arguments.paths) % 2:
        parser.error("folders and io files come in pairs")
    failed = False
    for folder, io in zip(arguments.paths[::2], arguments.paths[1::2], strict=True):
        found = faults(folder, io, arguments.tolerance, arguments.resave)
        failed |= bool(found)
        print("\n".join(f"FAILED {folder}: {fault}" for fault in found) or f"ok {folder}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
