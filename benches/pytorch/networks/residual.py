"""The small residual network, and what is trained on it: context prediction, Selfie and SparK."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .task import Task, masks, normalized, patchify, rows, token
from .vit import Transformer

GROUPS = 8


class ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, side: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        x = self.conv(x)
        return self.norm(x) if visible is None else masked_norm(self.norm, x, visible)


def masked_norm(norm: nn.GroupNorm, x: Tensor, visible: Tensor) -> Tensor:
    """The norm by the statistics of visible cells, zeros elsewhere; `visible` is 1 at these cells."""
    batch, width, rows, cols = x.shape
    visible = F.interpolate(visible, (rows, cols))
    grouped = x.view(batch, norm.num_groups, -1, rows, cols)
    shown = visible[:, None]
    count = shown.sum((2, 3, 4), keepdim=True) * grouped.shape[2]
    mean = (grouped * shown).sum((2, 3, 4), keepdim=True) / count
    centered = (grouped - mean) * shown
    variance = centered.square().sum((2, 3, 4), keepdim=True) / count
    normed = (centered / (variance + norm.eps).sqrt()).view(x.shape)
    return (normed * norm.weight[:, None, None] + norm.bias[:, None, None]) * visible


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3, 1)
        changes = inputs != outputs or stride > 1
        self.projection = ConvNorm(inputs, outputs, 1, stride) if changes else None

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        branch = self.second(F.relu(self.first(x, visible)), visible)
        identity = x if self.projection is None else self.projection(x, visible)
        return F.relu(identity + branch)


class ResidualNet(nn.Module):
    def __init__(self, widths: tuple[int, ...] = (32, 64, 128), blocks: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        inputs = (widths[0], *widths)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                Block(inputs[stage] if block == 0 else width, width, 2 if stage and not block else 1)
                for block in range(blocks)
            )
            for stage, width in enumerate(widths)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> list[Tensor]:
        """The features of each stage."""
        masked = lambda x: x if visible is None else x * F.interpolate(visible, x.shape[2:])  # noqa: E731
        x = masked(F.relu(self.stem(masked(x))))
        stages = []
        for blocks in self.stages:
            for block in blocks:
                x = block(x, visible)
            stages.append(x)
        return stages


class Context(nn.Module):
    def __init__(self, patch: int, hidden: int = 512) -> None:
        super().__init__()
        self.encoder = ResidualNet()
        self.fuse = nn.Linear(2 * 128 * (patch // 4) ** 2, hidden)
        self.classify = nn.Linear(hidden, 8)

    def forward(self, centers: Tensor, neighbors: Tensor, positions: Tensor) -> Tensor:
        both = self.encoder(torch.cat([centers, neighbors]))[-1].flatten(1)
        features = torch.cat(both.chunk(2), 1)
        return F.cross_entropy(self.classify(F.relu(self.fuse(features))), positions)


def context(batch: int, side: int) -> Task:
    patch = side // 4
    model = Context(patch)

    def draw() -> tuple:
        patches = torch.rand(2, batch, 3, patch, patch)
        return *patches, torch.randint(8, [batch])

    return Task(model, draw, model)


class Selfie(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.patch = side // 4
        self.encoder = ResidualNet()
        self.summary, self.positions = token(1, 1, 128), token(16, 128)
        self.pooling = Transformer(128, 2, 4)

    def forward(self, images: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        batch, asked = hidden.shape
        patches = patchify(images, self.patch).reshape(-1, 3, self.patch, self.patch)
        vectors = self.encoder(patches)[-1].mean((2, 3)).view(batch, 16, 128)
        seen = rows(vectors, visible) + self.positions[visible]
        tokens = torch.cat([self.summary.expand(batch, -1, -1), seen], 1)
        places = self.pooling(tokens)[:, :1] + self.positions[hidden]
        logits = places @ rows(vectors, hidden).transpose(1, 2) / 128**0.5
        return F.cross_entropy(logits.flatten(0, 1), torch.arange(asked).repeat(batch))


def selfie(batch: int, side: int) -> Task:
    model = Selfie(side)
    return Task(model, lambda: (torch.rand(batch, 3, side, side), *masks(batch, 16, 8)), model)


class UNetBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs, 4, 2, 1)
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(GROUPS, inputs)
        self.second = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.first_norm(self.first(self.up(x))))
        return self.second_norm(self.second(x))


class Spark(nn.Module):
    def __init__(self, patch: int, widths: tuple[int, ...], blocks: int, decoder: int) -> None:
        super().__init__()
        self.patch = patch
        self.encoder = ResidualNet(widths, blocks)
        coarse = len(widths) - 1
        own = [decoder >> (coarse - stage) for stage in range(len(widths))]
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for width in widths)
        self.tokens = nn.ParameterList(token(1, width, 1, 1) for width in widths)
        sides = [3] * coarse + [1]
        self.densify = nn.ModuleList(
            nn.Conv2d(width, outputs, side, padding=side // 2)
            for width, outputs, side in zip(widths, own, sides)
        )
        self.blocks = nn.ModuleList(UNetBlock(own[stage + 1], own[stage]) for stage in range(coarse))
        self.projection = nn.Conv2d(own[0], 3, 1)
        for layer in [*self.densify.modules(), *self.blocks.modules(), self.projection]:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.trunc_normal_(layer.weight, std=0.02)

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        batch, _, side, _ = images.shape
        cells = side // self.patch
        visible = torch.ones(batch, cells * cells).scatter(1, hidden, 0.0).view(batch, 1, cells, cells)
        dense = []
        for stage, features in enumerate(self.encoder(images, visible)):
            shown = F.interpolate(visible, features.shape[2:])
            filled = masked_norm(self.norms[stage], features, visible) + (1 - shown) * self.tokens[stage]
            dense.append(self.densify[stage](filled))
        x = dense.pop()
        for stage in reversed(range(len(dense))):
            x = self.blocks[stage](x) + dense[stage]
        predicted = rows(patchify(self.projection(x), self.patch), hidden)
        return F.mse_loss(predicted, normalized(rows(patchify(images, self.patch), hidden)))


def spark(batch: int, side: int) -> Task:
    """As `spark_small_images`."""
    model = Spark(4, (24, 48, 96), 2, 96)
    cells = (side // 4) ** 2
    hidden = cells - int(cells * 0.4)
    return Task(model, lambda: (torch.rand(batch, 3, side, side), masks(batch, cells, hidden)[1]), model)
