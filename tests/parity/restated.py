"""The two papers' models in plain torch, with the parameter names of their published checkpoints.

Written from the papers' descriptions, for any grid; make_fixtures.py checks them against the same
models in `transformers` on square grids before it uses them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference import grid_of, hidden_cells, mae_loss, pixel_mask, simmim_loss, unpatchify


class Attention(nn.Module):
    """Softmax attention with one fused projection.

    `bias` is "all" or "query-value"; the latter are two parameters of their own.
    """

    def __init__(self, width: int, heads: int, bias: str):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        self.proj = nn.Linear(width, width)
        if bias == "query-value":
            self.q_bias = nn.Parameter(torch.zeros(width))
            self.v_bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor, scores_bias: Tensor | float = 0.0) -> Tensor:
        bias = self.qkv.bias
        if hasattr(self, "q_bias"):
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(tokens, self.qkv.weight, bias)
        query, key, value = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = query @ key.mT / query.shape[-1] ** 0.5 + scores_bias
        return self.proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """A pre-norm transformer block; `scaled` gives both branches a factor per channel."""

    def __init__(self, width: int, heads: int, eps: float, bias: str = "all", scaled: bool = False):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps)
        self.attn = Attention(width, heads, bias)
        self.norm2 = nn.LayerNorm(width, eps)
        self.mlp = Mlp(width, 4 * width)
        self.scaled = scaled
        if scaled:
            self.gamma_1 = nn.Parameter(torch.ones(width))
            self.gamma_2 = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor, scores_bias: Tensor | float = 0.0) -> Tensor:
        gamma_1, gamma_2 = (self.gamma_1, self.gamma_2) if self.scaled else (1.0, 1.0)
        tokens = tokens + gamma_1 * self.attn(self.norm1(tokens), scores_bias)
        return tokens + gamma_2 * self.mlp(self.norm2(tokens))


class PatchEmbed(nn.Module):
    """Each patch as one token [b, cells, width]."""

    def __init__(self, channels: int, width: int, patch_size: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch_size, patch_size)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).mT


def grid(config: dict) -> tuple[int, int]:
    """Rows and columns of patches."""
    return grid_of(config["image_size"], config["patch_size"])


def cells_of(config: dict) -> int:
    """Patches in an image."""
    rows, cols = grid(config)
    return rows * cols


class Mae(nn.Module):
    """Masked autoencoder (arXiv 2111.06377 §3); without a `decoder_width`, its encoder alone."""

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        width, eps, rows = config["width"], config["eps"], cells_of(config) + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, rows, width), requires_grad=False)
        self.patch_embed = PatchEmbed(config["channels"], width, config["patch_size"])
        blocks = [Block(width, config["heads"], eps) for _ in range(config["depth"])]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, eps)
        if "decoder_width" in config:
            self._add_decoder(config["decoder_width"], rows)

    def _add_decoder(self, width: int, rows: int):
        config, eps = self.config, self.config["eps"]
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_embed = nn.Linear(config["width"], width)
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, rows, width), requires_grad=False)
        depth, heads = config["decoder_depth"], config["decoder_heads"]
        self.decoder_blocks = nn.ModuleList([Block(width, heads, eps) for _ in range(depth)])
        self.decoder_norm = nn.LayerNorm(width, eps)
        self.decoder_pred = nn.Linear(width, config["patch_size"] ** 2 * config["channels"])

    def encode(self, images: Tensor, kept: Tensor) -> Tensor:
        """The class token and the `kept` cells [b, n], in their order."""
        cells = self.patch_embed(images) + self.pos_embed[:, 1:]
        cells = cells.take_along_dim(kept[:, :, None], 1)
        class_token = (self.cls_token + self.pos_embed[:, :1]).expand(len(cells), -1, -1)
        tokens = torch.cat([class_token, cells], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def decode(self, features: Tensor, kept: Tensor) -> Tensor:
        """Predictions of all cells [b, cells, patch · patch · channels]."""
        features = self.decoder_embed(features)
        cells = self.mask_token.repeat(len(features), cells_of(self.config), 1)
        cells = cells.scatter(1, kept[:, :, None].expand_as(features[:, 1:]), features[:, 1:])
        tokens = torch.cat([features[:, :1], cells], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(tokens))[:, 1:]

    def outputs(self, inputs: dict) -> dict[str, Tensor]:
        images, noise = inputs["pixel_values"], inputs["noise"]
        config, patch_size = self.config, self.config["patch_size"]
        order = noise.argsort(1)
        kept = order[:, : int(order.shape[1] * (1 - config["mask_ratio"]))]
        everything = torch.arange(order.shape[1]).expand_as(order)
        features = self.encode(images, kept)
        outputs = {"features": features, "features_all": self.encode(images, everything)}
        if "decoder_width" not in config:
            return outputs
        mask = torch.ones_like(noise).scatter(1, kept, 0.0)
        logits = self.decode(features, kept)
        patches = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)
        target = patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        hidden = pixel_mask(mask, grid(config), patch_size)
        return outputs | {
            "loss": mae_loss(logits, target, mask, config["norm_pix_loss"]).reshape(1),
            "hidden": hidden_cells(mask),
            "logits": logits,
            "reconstruction": unpatchify(logits, grid(config), patch_size) * hidden,
        }


class RelativePositionBias(nn.Module):
    """A number per head for each offset of two cells; three more for the class token, last.

    They are: class to cell, cell to class, class to itself.
    """

    def __init__(self, grid: tuple[int, int], heads: int):
        super().__init__()
        rows, cols = grid
        offsets = (2 * rows - 1) * (2 * cols - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets + 3, heads))
        place = torch.cartesian_prod(torch.arange(rows), torch.arange(cols))
        offset = place[:, None] - place[None] + torch.tensor([rows - 1, cols - 1])
        index = F.pad(offset[..., 0] * (2 * cols - 1) + offset[..., 1], (1, 0, 1, 0))
        index[0, :], index[:, 0], index[0, 0] = offsets, offsets + 1, offsets + 2
        self.register_buffer("relative_position_index", index)

    def forward(self) -> Tensor:
        """[heads, tokens, tokens]"""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


class SimMimVit(nn.Module):
    """SimMIM's vision transformer (arXiv 2111.09886 §4.1): no absolute positions, one relative
    bias for all blocks, a factor per channel on each branch, bias on query and value alone."""

    def __init__(self, config: dict):
        super().__init__()
        width, heads, eps = config["width"], config["heads"], config["eps"]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embed = PatchEmbed(config["channels"], width, config["patch_size"])
        self.rel_pos_bias = RelativePositionBias(grid(config), heads)
        blocks = [Block(width, heads, eps, "query-value", True) for _ in range(config["depth"])]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """The class token, then all cells; a hidden cell's patch is the mask token."""
        cells = torch.where(mask[:, :, None], self.mask_token, self.patch_embed(images))
        tokens = torch.cat([self.cls_token.expand(len(cells), -1, -1), cells], 1)
        scores_bias = self.rel_pos_bias()
        for block in self.blocks:
            tokens = block(tokens, scores_bias)
        return self.norm(tokens)


class SimMim(nn.Module):
    """SimMIM: the encoder, and one linear layer that predicts pixels."""

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        patch_size, width = config["patch_size"], config["width"]
        self.encoder = SimMimVit(config)
        head = nn.Conv2d(width, patch_size**2 * config["channels"], 1)
        self.decoder = nn.Sequential(head, nn.PixelShuffle(patch_size))

    def outputs(self, inputs: dict) -> dict[str, Tensor]:
        images, mask = inputs["pixel_values"], inputs["bool_masked_pos"].bool()
        features = self.encoder(images, mask)
        prediction = self.decoder(features[:, 1:].mT.unflatten(2, grid(self.config)))
        hidden = pixel_mask(mask, grid(self.config), self.config["patch_size"])
        return {
            "loss": simmim_loss(prediction, images, hidden).reshape(1),
            "features": features,
            "hidden": hidden_cells(mask),
            "reconstruction": prediction * hidden,
        }
