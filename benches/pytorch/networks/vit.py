"""A vision transformer, with the variants that BEiT, Image GPT and the tokenizers need."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .task import constant, patchify, token


class QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, norm, activation, scale: float | None, qv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = norm(width), norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=not qv_bias)
        if qv_bias:
            self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.qv_bias = qv_bias
        self.out = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.activation = activation
        self.scaled = scale is not None
        if self.scaled:
            self.scale1 = nn.Parameter(torch.full([width], scale))
            self.scale2 = nn.Parameter(torch.full([width], scale))

    def forward(self, x: Tensor, bias: Tensor | None = None, causal: bool = False) -> Tensor:
        batch, tokens, width = x.shape
        read = self.norm1(x)
        if self.qv_bias:
            offsets = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
            qkv = F.linear(read, self.qkv.weight, offsets)
        else:
            qkv = self.qkv(read)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        attended = self.out(attended.transpose(1, 2).reshape(batch, tokens, width))
        x = x + (attended * self.scale1 if self.scaled else attended)
        mixed = self.fc2(self.activation(self.fc1(self.norm2(x))))
        return x + (mixed * self.scale2 if self.scaled else mixed)


class Transformer(nn.Module):
    """Blocks and a norm."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        norm=lambda width: nn.LayerNorm(width, 1e-6),
        activation=F.gelu,
        scale: float | None = None,
        qv_bias: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        blocks = (Block(width, heads, norm, activation, scale, qv_bias) for _ in range(depth))
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm(width)
        self.causal = causal

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, bias, self.causal)
        return self.norm(x)


class RelativeBias(nn.Module):
    """BEiT's table of biases by distance, with three entries more for the class token."""

    def __init__(self, side: int, heads: int) -> None:
        super().__init__()
        spans = 2 * side - 1
        self.table = nn.Parameter(torch.zeros(spans * spans + 3, heads))
        places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None] + side - 1
        index = torch.full([side * side + 1] * 2, spans * spans + 2)
        index[1:, 1:] = apart[0] * spans + apart[1]
        index[0, 1:], index[1:, 0] = spans * spans, spans * spans + 1
        self.register_buffer("index", index)

    def forward(self) -> Tensor:
        return self.table[self.index].permute(2, 0, 1)[None]


class Vit(nn.Module):
    """Reads every patch, with a token in place of hidden ones; `positions` are "fixed", "learned" or none."""

    def __init__(
        self, side: int, patch: int, width: int, depth: int, heads: int,
        channels: int = 3, class_token: bool = True, mask_token: bool = True, positions: str = "fixed",
        relative: bool = False, **blocks,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch, cells = patch, side // patch
        self.embed = nn.Linear(channels * patch * patch, width)
        self.class_token = token(1, 1, width) if class_token else None
        self.mask_token = token(1, 1, width) if mask_token else None
        # The class token has a position too.
        places = cells**2 + class_token
        self.positions = {"fixed": constant, "learned": token, "none": lambda *_: None}[positions](places, width)
        self.relative = RelativeBias(cells, heads) if relative else None
        self.transformer = Transformer(width, depth, heads, **blocks)

    def forward(self, images: Tensor, hidden: Tensor | None = None) -> Tensor:
        """The features of all cells; of those in `hidden` the pixels are not seen."""
        tokens = self.embed(patchify(images, self.patch))
        if hidden is not None:
            width = tokens.shape[-1]
            token_rows = self.mask_token.expand(len(tokens), hidden.shape[1], width)
            tokens = tokens.scatter(1, hidden[..., None].expand(-1, -1, width), token_rows)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        if self.positions is not None:
            tokens = tokens + self.positions
        features = self.transformer(tokens, self.relative() if self.relative else None)
        return features[:, 1:] if self.class_token is not None else features
