"""What `../step.py` times, and what its networks share."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def nothing() -> None:
    pass


@dataclass
class Task:
    """A model and a step of it."""

    model: nn.Module
    # What a step reads; drawn before the clock starts, as burn-mim's loader makes its batches.
    batch: Callable[[], tuple]
    # Of what `batch` gave; with its masks and targets where these belong to the step.
    loss: Callable[..., Tensor]
    # Follows the optimizer's step.
    after: Callable[[], None] = nothing


def constant(*shape: int) -> nn.Parameter:
    """A table that is not trained, but counted, as burn-mim counts it."""
    return nn.Parameter(torch.randn(*shape), requires_grad=False)


def token(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * 0.02)


def masks(batch: int, cells: int, hidden: int) -> tuple[Tensor, Tensor]:
    """Indices of the visible and of the hidden cells, both ascending."""
    order = torch.rand(batch, cells).argsort(1)
    return order[:, hidden:].sort(1).values, order[:, :hidden].sort(1).values


def rows(values: Tensor, places: Tensor) -> Tensor:
    """Of each image those tokens: [batch, places, width]."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))


def patchify(images: Tensor, side: int) -> Tensor:
    """[batch, cells, channels · side²]; (channel, row, column) within a patch."""
    batch, channels, height, width = images.shape
    cut = images.view(batch, channels, height // side, side, width // side, side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * side * side)


def unpatchify(patches: Tensor, side: int) -> Tensor:
    """Square images of such patches."""
    batch, cells, values = patches.shape
    rows = round(cells**0.5)
    cut = patches.view(batch, rows, rows, values // (side * side), side, side)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, rows * side, rows * side)


def normalized(patches: Tensor) -> Tensor:
    """Each patch's pixels with mean 0 and variance 1."""
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
