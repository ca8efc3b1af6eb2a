"""Writes fcmae.safetensors: three steps of FCMAE, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/fcmae.py

Written from the paper (FCMAE, arXiv 2301.00808 §3.1 and §4) and the official code: the dense convolutions
that its sparse ones are equal to, with hidden cells set to 0 before each, and the response norm over the
visible cells of each image. Names and layouts of the weights are those of burn-mim: matrices are `[inputs,
outputs]`, and the window of a depthwise convolution is `[places, features]`. Every step is one of gradient
descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from eva import steps
from refine import BATCH, linear, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("fcmae.safetensors")
CHANNELS, PATCH, ROWS, COLS = 2, 2, 3, 4
WIDTHS, DEPTHS, DECODER = [4, 6], [1, 2], 8
CELL, HIDDEN = PATCH * 2 ** (len(WIDTHS) - 1), 7


def block_weights(name: str, width: int) -> dict[str, Tensor]:
    p = {f"{name}.depthwise.kernel": torch.randn(49, width) / 7, f"{name}.depthwise.bias": torch.randn(width)}
    p |= norm(f"{name}.norm", width) | linear(f"{name}.fc1", width, 4 * width)
    p |= {f"{name}.response_norm.{part}": torch.randn(4 * width) for part in ("gamma", "beta")}
    return p | linear(f"{name}.fc2", 4 * width, width)


def fresh() -> dict[str, Tensor]:
    p = linear("encoder.stem.projection", CHANNELS * PATCH**2, WIDTHS[0])
    p |= norm("encoder.stem.norm", WIDTHS[0])
    for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        if stage:
            name = f"encoder.stages.{stage}.downsampling"
            p |= norm(f"{name}.norm", WIDTHS[stage - 1])
            p |= linear(f"{name}.reduction", 4 * WIDTHS[stage - 1], width)
        for index in range(depth):
            p |= block_weights(f"encoder.stages.{stage}.blocks.{index}", width)
    p |= linear("head.embed", WIDTHS[-1], DECODER) | {"head.mask_token": torch.randn(1, DECODER)}
    p |= block_weights("head.blocks.0", DECODER)
    return p | linear("head.projection", DECODER, CHANNELS * CELL**2)


def apply(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """A linear layer on the features of [b, rows, cols, width]."""
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def normed(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.gamma"], p[f"{name}.beta"], 1e-6)


def block(p: dict[str, Tensor], name: str, x: Tensor, visible: Tensor) -> Tensor:
    """`visible` is 1 where a cell is computed, [b, rows, cols, 1]."""
    kernel, width = p[f"{name}.depthwise.kernel"], x.shape[-1]
    kernel = kernel.T.reshape(width, 1, 7, 7)
    maps = F.conv2d(
        (x * visible).permute(0, 3, 1, 2), kernel, p[f"{name}.depthwise.bias"], padding=3, groups=width
    )
    hidden = F.gelu(apply(p, f"{name}.fc1", normed(p, f"{name}.norm", maps.permute(0, 2, 3, 1))))
    response = (hidden * visible).norm(p=2, dim=(1, 2), keepdim=True)
    response = response / (response.mean(-1, keepdim=True) + 1e-6)
    gamma, beta = p[f"{name}.response_norm.gamma"], p[f"{name}.response_norm.beta"]
    return x + apply(p, f"{name}.fc2", gamma * (hidden * response) + beta + hidden)


def fcmae(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    images = torch.randn(BATCH, CHANNELS, ROWS * CELL, COLS * CELL)
    hidden = torch.zeros(BATCH, ROWS * COLS)
    hidden.scatter_(1, torch.rand(BATCH, ROWS * COLS).argsort(1)[:, :HIDDEN], 1.0)
    places = hidden.reshape(BATCH, ROWS, COLS, 1)
    x = F.unfold(images, PATCH, stride=PATCH).mT.unflatten(1, (2 * ROWS, 2 * COLS))
    x = normed(p, "encoder.stem.norm", apply(p, "encoder.stem.projection", x))
    for stage, depth in enumerate(DEPTHS):
        scale = 2 ** (len(DEPTHS) - 1 - stage)
        visible = 1 - places.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        if stage:
            name = f"encoder.stages.{stage}.downsampling"
            maps = normed(p, f"{name}.norm", x).permute(0, 3, 1, 2)
            four = F.unfold(maps, 2, stride=2).mT.unflatten(1, (ROWS, COLS))
            x = apply(p, f"{name}.reduction", four)
        for index in range(depth):
            x = block(p, f"encoder.stages.{stage}.blocks.{index}", x, visible)
    x = torch.where(places > 0, p["head.mask_token"], apply(p, "head.embed", x))
    x = block(p, "head.blocks.0", x, torch.ones_like(places))
    predicted = apply(p, "head.projection", x).flatten(1, 2)
    # Each cell pixel by pixel, channel last.
    target = images.unflatten(2, (ROWS, CELL)).unflatten(4, (COLS, CELL))
    target = target.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    target = (target - mean) / (variance + 1e-6).sqrt()
    loss = (((predicted - target) ** 2).mean(-1) * hidden).sum() / hidden.sum()
    return loss, {"images": images, "hidden": hidden.to(torch.uint8)}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    out = steps(fresh(), {}, fcmae)
    save_file({f"steps.{key}": value for key, value in out.items()}, PATH)


if __name__ == "__main__":
    main()
