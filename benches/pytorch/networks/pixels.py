"""MaskFeat on histograms of gradients, and image restoration."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .task import Task, constant, masks, patchify, rows, token, unpatchify
from .vit import Vit

BINS = 9


def histograms(images: Tensor, cell: int, window: int) -> Tensor:
    """MaskFeat's target: of each cell and channel the directions of Sobel's gradients, [batch, 3 · 9, rows, cols]."""
    batch, channels, side, _ = images.shape
    planes = F.pad(images.reshape(-1, 1, side, side), [1] * 4, mode="reflect")
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    along_x, along_y = F.conv2d(planes, torch.stack([sobel, sobel.T])[:, None]).unbind(1)
    strength = torch.hypot(along_x, along_y)
    places = torch.arange(side) % window - (window - 1) / 2
    gaussian = torch.exp(-0.5 * (places / (window / 2)).square())
    strength = strength * gaussian * gaussian[:, None]
    bins = (torch.atan2(along_x, along_y) / torch.pi * BINS).floor().long() % BINS
    cells = torch.zeros(len(planes), BINS, side, side).scatter_(1, bins[:, None], strength[:, None])
    sums = F.avg_pool2d(cells, cell) * cell * cell
    return F.normalize(sums, dim=1).view(batch, channels * BINS, side // cell, side // cell)


class MaskFeat(nn.Module):
    def __init__(self, side: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patch = patch
        self.encoder = Vit(side, patch, width, depth, heads)
        self.head = nn.Linear(width, 3 * BINS)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        target = histograms(images, self.patch, 2 * self.patch).flatten(2).transpose(1, 2)
        return F.mse_loss(self.head(rows(self.encoder(images, hidden), hidden)), rows(target, hidden))


def maskfeat(batch: int, side: int) -> Task:
    """As `maskfeat_small_images`."""
    model, cells = MaskFeat(side, 4, 128, 4, 4), (side // 4) ** 2
    hidden = int(cells * 0.4)
    return Task(model, lambda: (torch.rand(batch, 3, side, side), masks(batch, cells, hidden)[1]), model)


def pair(inputs: int, outputs: int) -> nn.Sequential:
    conv = lambda a, b: nn.Conv2d(a, b, 3, padding=1)  # noqa: E731
    layers = nn.Sequential(conv(inputs, inputs), nn.ReLU(), conv(inputs, outputs))
    nn.init.zeros_(layers[2].weight), nn.init.zeros_(layers[2].bias)
    return layers


class Restoration(nn.Module):
    def __init__(self, side: int, patch: int, width: int, depth: int, heads: int, features: int, kinds: int) -> None:
        super().__init__()
        self.patch = patch
        self.heads = nn.ModuleList(nn.Conv2d(3, features, 3, padding=1) for _ in range(kinds))
        self.refine = nn.ModuleList(pair(features, features) for _ in range(kinds))
        self.kinds = token(kinds, width)
        plain = dict(class_token=False, mask_token=False)
        self.body = Vit(side, patch, width, depth, heads, channels=features, **plain)
        self.unembed = nn.Linear(width, features * patch * patch)
        self.tails = nn.ModuleList(pair(features, 3) for _ in range(kinds))

    def forward(self, spoilt: Tensor, clean: Tensor, kind: int) -> Tensor:
        maps = self.heads[kind](spoilt)
        maps = maps + self.refine[kind](maps)
        tokens = self.body.embed(patchify(maps, self.patch)) + self.body.positions + self.kinds[kind]
        tokens = self.unembed(self.body.transformer(tokens))
        maps = maps + unpatchify(tokens, self.patch)
        return F.l1_loss(spoilt + self.tails[kind](maps), clean)


def restoration(batch: int, side: int) -> Task:
    """As `restoration_small_images`."""
    model = Restoration(side, 4, 128, 4, 4, 16, 6)

    def draw() -> tuple:
        clean = torch.rand(batch, 3, side, side)
        return clean + 30 / 255 * torch.randn_like(clean), clean, int(torch.randint(6, []))

    return Task(model, draw, model)
