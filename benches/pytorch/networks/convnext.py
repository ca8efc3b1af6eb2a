"""FCMAE on ConvNeXt V2, the pointwise layers on visible cells alone as the sparse convolutions of the paper."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .task import Task, masks, normalized, patchify, rows, token


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gamma, self.beta = nn.Parameter(torch.zeros(4 * width)), nn.Parameter(torch.zeros(4 * width))

    def forward(self, tokens: Tensor, places: Tensor | None, side: int) -> Tensor:
        """Tokens of the cells in `places`, ascending, or of all; hidden cells are seen as zeros."""
        mixed = self.depthwise(on_grid(tokens, places, side)).flatten(2).transpose(1, 2)
        x = F.gelu(self.fc1(self.norm(mixed if places is None else rows(mixed, places))))
        response = x.norm(dim=1, keepdim=True)
        response = response / (response.mean(-1, keepdim=True) + 1e-6)
        return tokens + self.fc2(self.gamma * (x * response) + self.beta + x)


def on_grid(tokens: Tensor, places: Tensor | None, side: int) -> Tensor:
    """[batch, width, side, side], zeros at cells without a token."""
    batch, _, width = tokens.shape
    if places is not None:
        index = places[..., None].expand(-1, -1, width)
        tokens = tokens.new_zeros(batch, side * side, width).scatter(1, index, tokens)
    return tokens.transpose(1, 2).unflatten(2, (side, side))


class FcMae(nn.Module):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], decoder: int, patch: int = 4) -> None:
        super().__init__()
        self.patch, self.stride = patch, patch << (len(widths) - 1)
        self.stem, self.stem_norm = nn.Linear(3 * patch**2, widths[0]), nn.LayerNorm(widths[0], 1e-6)
        steps = list(zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.LayerNorm(a, 1e-6) for a, _ in steps)
        self.reductions = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in steps)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(width) for _ in range(depth)) for width, depth in zip(widths, depths)
        )
        self.embed, self.token = nn.Linear(widths[-1], decoder), token(1, decoder)
        self.decoder = Block(decoder)
        self.predict = nn.Linear(decoder, 3 * self.stride**2)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, std=0.02), nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        batch, _, side, _ = images.shape
        bits = torch.zeros(batch, (side // self.stride) ** 2).scatter(1, visible, 1.0)
        bits = bits.view(batch, 1, side // self.stride, -1)
        side //= self.patch
        places = self.places(bits, side)
        tokens = self.stem_norm(self.stem(rows(patchify(images, self.patch), places)))
        for index, blocks in enumerate(self.stages):
            if index:
                maps = self.reductions[index - 1](on_grid(self.norms[index - 1](tokens), places, side))
                side //= 2
                places = self.places(bits, side)
                tokens = rows(maps.flatten(2).transpose(1, 2), places)
            for block in blocks:
                tokens = block(tokens, places, side)
        index = visible[..., None].expand(-1, -1, self.token.shape[-1])
        cells = self.token.expand(batch, side * side, -1).scatter(1, index, self.embed(tokens))
        predicted = self.predict(rows(self.decoder(cells, None, side), hidden))
        return F.mse_loss(predicted, normalized(rows(patchify(images, self.stride), hidden)))

    def places(self, bits: Tensor, side: int) -> Tensor:
        """The visible cells of a grid, ascending."""
        finer = F.interpolate(bits, (side, side)).flatten(1)
        return finer.nonzero()[:, 1].view(len(bits), -1)


def fcmae(batch: int, side: int) -> Task:
    """ConvNeXt V2-A, as `fcmae_convnext_v2_atto_224`."""
    model = FcMae((40, 80, 160, 320), (2, 2, 6, 2), 512)
    cells = (side // 32) ** 2
    hidden = cells - int(cells * 0.4)
    return Task(model, lambda: (torch.rand(batch, 3, side, side), *masks(batch, cells, hidden)), model)
