"""Writes spark.safetensors: three steps of SparK, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/spark.py

Written from the paper (SparK, arXiv 2301.03580 §3). The encoder computes the visible cells alone, one
after the other, from those of their neighbors that are visible; norms are over the visible cells of an
image and a group of features. The decoder is dense. Names and layouts of the weights are those of
burn-mim. Every step is one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from eva import steps
from refine import vector
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("spark.safetensors")
BATCH, CHANNELS, PATCH, ROWS, COLS, HIDDEN = 2, 2, 4, 2, 3, 3
WIDTHS, DECODER, GROUPS = (4, 6), (4, 8), 2

Cells = dict[tuple[int, int], Tensor]


def conv(outputs: int, inputs: int, side: int) -> Tensor:
    return torch.randn(outputs, inputs, side, side) / (inputs * side * side) ** 0.5


def norm(name: str, width: int) -> dict[str, Tensor]:
    return {f"{name}.gamma": vector(width, 1.0), f"{name}.beta": vector(width)}


def fresh() -> dict[str, Tensor]:
    p = {"encoder.stem.weight": conv(WIDTHS[0], CHANNELS, 3), "encoder.stem.bias": vector(WIDTHS[0])}
    for index, (a, b) in enumerate([(WIDTHS[0], WIDTHS[0]), WIDTHS]):
        block = f"encoder.blocks.{index}"
        layers = [("first", a, 3), ("second", b, 3)] + ([("projection", a, 1)] if a != b else [])
        for layer, inputs, side in layers:
            p[f"{block}.{layer}.conv.weight"] = conv(b, inputs, side)
            p |= norm(f"{block}.{layer}.norm", b)
    for index, (width, own) in enumerate(zip(WIDTHS, DECODER)):
        densify, side = f"head.densify.{index}", 1 if index == len(WIDTHS) - 1 else 3
        p |= norm(f"{densify}.norm", width)
        p[f"{densify}.mask_embedding"] = torch.randn(1, width)
        p[f"{densify}.projection.weight"] = conv(own, width, side)
        p[f"{densify}.projection.bias"] = vector(own)
    fine, coarse = DECODER
    p["head.blocks.0.up.weight"] = conv(coarse, coarse, 4)
    p["head.blocks.0.up.bias"] = vector(coarse)
    for layer, outputs in [("first", coarse), ("second", fine)]:
        p[f"head.blocks.0.{layer}.weight"] = conv(outputs, coarse, 3)
        p |= norm(f"head.blocks.0.{layer}_norm", outputs)
    p["head.projection.weight"] = conv(CHANNELS, fine, 1)
    return p | {"head.projection.bias": vector(CHANNELS)}


def sparse_conv(p: dict[str, Tensor], name: str, cells: Cells, outputs: list, stride: int = 1) -> Cells:
    """What the cells `outputs` become of those of their neighbors that there are."""
    weight = p[f"{name}.weight"]
    reach = weight.shape[-1] // 2
    made = {}
    for row, col in outputs:
        total = p.get(f"{name}.bias", torch.zeros(weight.shape[0]))
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                seen = cells.get((stride * row + down, stride * col + across))
                if seen is not None:
                    total = total + weight[:, :, down + reach, across + reach] @ seen
        made[row, col] = total
    return made


def sparse_norm(p: dict[str, Tensor], name: str, cells: Cells) -> Cells:
    all_cells = torch.stack(list(cells.values()), 1)
    grouped = all_cells.reshape(GROUPS, -1)
    mean, variance = grouped.mean(1, keepdim=True), grouped.var(1, correction=0, keepdim=True)
    normed = ((grouped - mean) / (variance + 1e-5).sqrt()).reshape(all_cells.shape)
    normed = normed * p[f"{name}.gamma"][:, None] + p[f"{name}.beta"][:, None]
    return dict(zip(cells, normed.unbind(1)))


def places(visible: set, side: int) -> list:
    """The cells of `side` pixels in the visible patches."""
    each = PATCH // side
    return [
        (row * each + down, col * each + across)
        for row, col in sorted(visible)
        for down in range(each)
        for across in range(each)
    ]


def encode(p: dict[str, Tensor], image: Tensor, visible: set) -> list[Cells]:
    """The visible cells of both stages of one image."""
    pixels = {place: image[:, place[0], place[1]] for place in places(visible, 1)}
    cells = sparse_conv(p, "encoder.stem", pixels, list(pixels))
    cells = {place: F.relu(value) for place, value in cells.items()}
    stages = []
    for index, side in enumerate([1, 2]):
        block, outputs, stride = f"encoder.blocks.{index}", places(visible, side), 1 + index
        layer = lambda name, cells, stride: sparse_norm(
            p, f"{block}.{name}.norm", sparse_conv(p, f"{block}.{name}.conv", cells, outputs, stride)
        )
        branch = {place: F.relu(value) for place, value in layer("first", cells, stride).items()}
        branch = layer("second", branch, 1)
        identity = layer("projection", cells, stride) if index else cells
        cells = {place: F.relu(identity[place] + branch[place]) for place in outputs}
        stages.append(cells)
    return stages


def dense(p: dict[str, Tensor], index: int, stages: list[Cells]) -> Tensor:
    """A stage of all images, hidden cells filled."""
    name, side = f"head.densify.{index}", 1 + index
    rows, cols = ROWS * PATCH // side, COLS * PATCH // side
    token = p[f"{name}.mask_embedding"][0]
    maps = []
    for cells in stages:
        normed = sparse_norm(p, f"{name}.norm", cells)
        filled = [normed.get((row, col), token) for row in range(rows) for col in range(cols)]
        maps.append(torch.stack(filled, 1).reshape(-1, rows, cols))
    weight = p[f"{name}.projection.weight"]
    return F.conv2d(torch.stack(maps), weight, p[f"{name}.projection.bias"], padding=weight.shape[-1] // 2)


def decode(p: dict[str, Tensor], stages: list[list[Cells]]) -> Tensor:
    fine, coarse = (dense(p, index, [image[index] for image in stages]) for index in range(2))
    block = "head.blocks.0"
    group_norm = lambda name, x: F.group_norm(x, GROUPS, p[f"{name}.gamma"], p[f"{name}.beta"], 1e-5)
    x = F.conv_transpose2d(coarse, p[f"{block}.up.weight"], p[f"{block}.up.bias"], stride=2, padding=1)
    x = F.relu6(group_norm(f"{block}.first_norm", F.conv2d(x, p[f"{block}.first.weight"], padding=1)))
    x = group_norm(f"{block}.second_norm", F.conv2d(x, p[f"{block}.second.weight"], padding=1))
    return F.conv2d(x + fine, p["head.projection.weight"], p["head.projection.bias"])


def patches(images: Tensor) -> Tensor:
    """Pixels (row, column, channel) of each patch."""
    cut = images.reshape(BATCH, CHANNELS, ROWS, PATCH, COLS, PATCH)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(BATCH, ROWS * COLS, -1)


def spark(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    images = torch.randn(BATCH, CHANNELS, ROWS * PATCH, COLS * PATCH)
    hidden = torch.rand(BATCH, ROWS * COLS).argsort(1)[:, :HIDDEN].sort(1).values
    bits = torch.zeros(BATCH, ROWS * COLS).scatter(1, hidden, 1.0)
    shown = [
        {divmod(cell, COLS) for cell in range(ROWS * COLS) if bits[image, cell] == 0} for image in range(BATCH)
    ]
    predicted = patches(decode(p, [encode(p, *pair) for pair in zip(images, shown)]))
    target = patches(images)
    mean, variance = target.mean(2, keepdim=True), target.var(2, keepdim=True)
    target = (target - mean) / (variance + 1e-6).sqrt()
    ask = lambda x: x.take_along_dim(hidden[:, :, None], 1)
    return F.mse_loss(ask(predicted), ask(target)), {"images": images, "hidden": bits.to(torch.uint8)}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_file({f"steps.{key}": value.clone() for key, value in steps(fresh(), {}, spark).items()}, PATH)


if __name__ == "__main__":
    main()
