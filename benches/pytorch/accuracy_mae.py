"""A masked autoencoder in plain PyTorch: the same function as burn-mim's `Mae`, written anew.

Sizes come from the `task` of a run's config.json; names follow it.
"""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

QKV = ("query", "key", "value")


def sin_cos(side: int, width: int) -> Tensor:
    """[side², width]: sines and cosines of the column, then of the row."""
    rates = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * rates
    axis = torch.cat([angles.sin(), angles.cos()], 1)
    columns, rows = axis.repeat(side, 1), axis.repeat_interleave(side, 0)
    return torch.cat([columns, rows], 1).float()


class Block(nn.Module):
    def __init__(self, width: int, heads: int, ratio: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, 1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, 1e-6)
        self.fc1 = nn.Linear(width, round(width * ratio))
        self.fc2 = nn.Linear(round(width * ratio), width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        attended = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.out(attended.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Mae(nn.Module):
    def __init__(self, task: dict) -> None:
        super().__init__()
        encoder, decoder = task["encoder"], task["decoder"]
        image, self.patch = encoder["image"], encoder["patch"]
        side = image["height"] // self.patch
        values = image["channels"] * self.patch**2
        width, inner = encoder["width"], decoder["width"]
        self.kept = int(side * side * (1 - task["mask_ratio"]))
        self.patch_embed = nn.Linear(values, width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.register_buffer("positions", sin_cos(side, width))
        self.blocks = nn.Sequential(
            *(Block(width, encoder["heads"], encoder["mlp_ratio"]) for _ in range(encoder["depth"]))
        )
        self.norm = nn.LayerNorm(width, 1e-6)
        self.embed = nn.Linear(width, inner)
        self.mask_token = nn.Parameter(torch.randn(1, 1, inner) * 0.02)
        self.register_buffer("decoder_positions", sin_cos(side, inner))
        self.decoder_blocks = nn.Sequential(
            *(Block(inner, decoder["heads"], decoder["mlp_ratio"]) for _ in range(decoder["depth"]))
        )
        self.decoder_norm = nn.LayerNorm(inner, 1e-6)
        self.predict = nn.Linear(inner, values)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def load(self, path: Path) -> None:
        """Takes the weights of a `ViTMAEForPreTraining`, a file of safetensors."""
        theirs = load_file(path)

        def take(ours: nn.Module, name: str) -> None:
            for key, parameter in ours.named_parameters():
                parameter.data.copy_(theirs[f"{name}.{key}"].view_as(parameter))

        def blocks(ours: nn.Sequential, name: str) -> None:
            for index, block in enumerate(ours):
                layer = f"{name}.{index}"
                for key, parameter in block.qkv.named_parameters():
                    parts = (f"{layer}.attention.attention.{part}.{key}" for part in QKV)
                    parameter.data.copy_(torch.cat([theirs[part] for part in parts]))
                take(block.norm1, f"{layer}.layernorm_before")
                take(block.out, f"{layer}.attention.output.dense")
                take(block.norm2, f"{layer}.layernorm_after")
                take(block.fc1, f"{layer}.intermediate.dense")
                take(block.fc2, f"{layer}.output.dense")

        self.class_token.data.copy_(theirs["vit.embeddings.cls_token"])
        self.mask_token.data.copy_(theirs["decoder.mask_token"])
        kernel = theirs["vit.embeddings.patch_embeddings.projection.weight"]
        self.patch_embed.weight.data.copy_(kernel.permute(0, 2, 3, 1).flatten(1))
        self.patch_embed.bias.data.copy_(theirs["vit.embeddings.patch_embeddings.projection.bias"])
        blocks(self.blocks, "vit.encoder.layer")
        take(self.norm, "vit.layernorm")
        take(self.embed, "decoder.decoder_embed")
        blocks(self.decoder_blocks, "decoder.decoder_encoder.layer")
        take(self.decoder_norm, "decoder.decoder_norm")
        take(self.predict, "decoder.decoder_pred")

    def patches(self, images: Tensor) -> Tensor:
        """[batch, cells, values]; (row, column, channel) within a patch."""
        batch, channels, height, width = images.shape
        p = self.patch
        cut = images.view(batch, channels, height // p, p, width // p, p)
        return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, p * p * channels)

    def encode(self, tokens: Tensor) -> Tensor:
        class_token = self.class_token.expand(len(tokens), -1, -1)
        return self.norm(self.blocks(torch.cat([class_token, tokens], 1)))

    def represent(self, images: Tensor) -> Tensor:
        """The mean over all cells, [batch, width]."""
        return self.encode(self.patch_embed(self.patches(images)) + self.positions)[:, 1:].mean(1)

    def loss(self, images: Tensor, hidden: Tensor) -> Tensor:
        """`hidden`: [batch, cells], 1 where a cell is hidden, the same number of them in each row."""
        patches = self.patches(images)
        order = hidden.argsort(dim=1, stable=True)
        visible, hidden = order[:, : self.kept], order[:, self.kept :]

        def rows(values: Tensor, places: Tensor) -> Tensor:
            return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))

        tokens = self.patch_embed(rows(patches, visible)) + self.positions[visible]
        features = self.embed(self.encode(tokens))
        seen = features[:, 1:] + self.decoder_positions[visible]
        asked = self.mask_token + self.decoder_positions[hidden]
        decoded = self.decoder_blocks(torch.cat([features[:, :1], seen, asked], 1))
        predicted = self.predict(self.decoder_norm(decoded[:, 1 + self.kept :]))
        target = rows(patches, hidden)
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        return (predicted - (target - mean) / (variance + 1e-6).sqrt()).square().mean()


def parameter_groups(model: nn.Module, decay: float) -> list[dict]:
    """Matrices decay; vectors, tokens and position tables do not."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    spared = lambda name, p: p.ndim == 1 or "token" in name or "position" in name  # noqa: E731
    return [
        {"params": [p for name, p in trained if not spared(name, p)], "weight_decay": decay},
        {"params": [p for name, p in trained if spared(name, p)], "weight_decay": 0.0},
    ]


def learning_rate(recipe: dict, batch_size: int, epoch: float) -> float:
    """Linear warm-up, then half a cosine, by the fraction of an epoch."""
    base, warmup = recipe["base_lr"], recipe["warmup_epochs"]
    if epoch < warmup:
        rate = recipe["warmup_lr"] + (base - recipe["warmup_lr"]) * epoch / warmup
    else:
        done = min((epoch - warmup) / (recipe["epochs"] - warmup), 1.0)
        least = recipe["min_lr"]
        rate = least + (base - least) * 0.5 * (1 + math.cos(math.pi * done))
    return rate * batch_size / recipe["lr_batch"]
