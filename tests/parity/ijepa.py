"""Writes ijepa.safetensors: three steps of I-JEPA, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/ijepa.py

Written from the paper (I-JEPA, arXiv 2301.08243 §3). Names and layouts of the weights are those of
burn-mim: matrices are `[inputs, outputs]`. Every image has a context and two target blocks, each of
which is predicted by itself; encoders and predictor have no class token, and fixed positions. Every
step is one of gradient descent with a rate of 0.01, after which the target encoder moves with a
momentum that grows linearly from 0.9 to 1.
"""

from pathlib import Path

import torch
from refine import linear, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("ijepa.safetensors")
BATCH, ROWS, COLS, PATCH = 3, 3, 4, 2
CELLS, CONTEXT, TARGETS, SIDES = ROWS * COLS, 4, 2, (2, 2)
WIDTH, HEADS, BLOCKS = 8, 2, 2
INNER, INNER_HEADS, INNER_BLOCKS = 12, 3, 2
RATE, STEPS, MOMENTUM = 0.01, 3, (0.9, 1.0)


def fresh_blocks(name: str, width: int, blocks: int) -> dict[str, Tensor]:
    p = norm(f"{name}.norm", width)
    for index in range(blocks):
        block = f"{name}.blocks.{index}"
        p |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        p |= linear(f"{block}.attention.qkv", width, 3 * width)
        p |= linear(f"{block}.attention.out", width, width)
        p |= linear(f"{block}.mlp.fc1", width, 4 * width) | linear(f"{block}.mlp.fc2", 4 * width, width)
    return p


def transformer(p: dict[str, Tensor], name: str, tokens: Tensor, heads: int, blocks: int) -> Tensor:
    width = tokens.shape[2]
    apply = lambda layer, x: x @ p[f"{name}.{layer}.weight"] + p[f"{name}.{layer}.bias"]
    normed = lambda layer, x: F.layer_norm(
        x, (width,), p[f"{name}.{layer}.gamma"], p[f"{name}.{layer}.beta"], 1e-6
    )
    for index in range(blocks):
        block = f"blocks.{index}"
        qkv = apply(f"{block}.attention.qkv", normed(f"{block}.norm1", tokens))
        query, key, value = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + apply(f"{block}.attention.out", mixed)
        inner = F.gelu(apply(f"{block}.mlp.fc1", normed(f"{block}.norm2", tokens)))
        tokens = tokens + apply(f"{block}.mlp.fc2", inner)
    return normed("norm", tokens)


def encode(p: dict[str, Tensor], name: str, images: Tensor, visible: Tensor | None) -> Tensor:
    patches = F.unfold(images, PATCH, stride=PATCH).mT
    embed = patches @ p[f"{name}.patch_embed.weight"] + p[f"{name}.patch_embed.bias"]
    tokens = embed + p[f"{name}.positions.table"]
    if visible is not None:
        tokens = tokens.take_along_dim(visible[:, :, None], 1)
    return transformer(p, f"{name}.transformer", tokens, HEADS, BLOCKS)


def predict(p: dict[str, Tensor], context: Tensor, visible: Tensor, block: Tensor) -> Tensor:
    """The features of one target block of every image; `visible` and `block` hold indices."""
    table = p["predictor.positions.table"]
    seen = context @ p["predictor.embed.weight"] + p["predictor.embed.bias"] + table[visible]
    asked = p["predictor.mask_token"] + table[block]
    tokens = torch.cat([seen, asked], 1)
    tokens = transformer(p, "predictor.transformer", tokens, INNER_HEADS, INNER_BLOCKS)
    asked = tokens[:, visible.shape[1] :]
    return asked @ p["predictor.projection.weight"] + p["predictor.projection.bias"]


def draw() -> tuple[Tensor, Tensor]:
    """Cells of the contexts, `[images, context]`, and of the targets, `[targets, images, block]`."""
    visible, blocks = [], []
    for _ in range(BATCH):
        tops, lefts = (torch.randint(0, n - side + 1, (TARGETS,)) for n, side in zip((ROWS, COLS), SIDES))
        offsets = (torch.arange(SIDES[0])[:, None] * COLS + torch.arange(SIDES[1])).flatten()
        cells = (tops * COLS + lefts)[:, None] + offsets
        free = [cell for cell in range(CELLS) if cell not in cells]
        chosen = torch.tensor(free)[torch.randperm(len(free))[:CONTEXT]]
        visible.append(chosen.sort().values)
        blocks.append(cells)
    return torch.stack(visible), torch.stack(blocks, 1)


def bits(cells: Tensor) -> Tensor:
    return torch.zeros(*cells.shape[:-1], CELLS).scatter(-1, cells, 1.0).to(torch.uint8)


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    body = "context_encoder.body"
    student = linear(f"{body}.patch_embed", PATCH * PATCH, WIDTH)
    student |= fresh_blocks(f"{body}.transformer", WIDTH, BLOCKS)
    student |= linear("predictor.embed", WIDTH, INNER) | linear("predictor.projection", INNER, WIDTH)
    student |= {"predictor.mask_token": torch.randn(1, INNER)}
    student |= fresh_blocks("predictor.transformer", INNER, INNER_BLOCKS)
    places = torch.randn(CELLS, WIDTH)
    fixed = {f"{body}.positions.table": places, "predictor.positions.table": torch.randn(CELLS, INNER)}
    of_teacher = lambda key: key.replace(body, "encoder")
    followed = [key for key in student if key.startswith(body)]
    teacher = {of_teacher(key): student[key] + 0.1 * torch.randn_like(student[key]) for key in followed}
    teacher["encoder.positions.table"] = places
    out = {f"start.{key}": value.clone() for key, value in (student | fixed | teacher).items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        p = student | fixed
        images = torch.randn(BATCH, 1, ROWS * PATCH, COLS * PATCH)
        visible, blocks = draw()
        out[f"images.{step}"], out[f"hidden.{step}"] = images, 1 - bits(visible)
        # Those of an image side by side.
        out[f"asked.{step}"] = bits(blocks).transpose(0, 1).flatten(0, 1)
        with torch.no_grad():
            features = F.layer_norm(encode(teacher, "encoder", images, None), (WIDTH,))
        context = encode(p, body, images, visible)
        losses = [
            F.smooth_l1_loss(
                predict(p, context, visible, block), features.take_along_dim(block[:, :, None], 1)
            )
            for block in blocks
        ]
        loss = torch.stack(losses).mean()
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for name, value in student.items():
            out[f"gradient.{step}.{name}"] = value.grad.clone()
            student[name] = value.detach() - RATE * value.grad
        momentum = MOMENTUM[0] + (MOMENTUM[1] - MOMENTUM[0]) * (step + 1) / STEPS
        for name in followed:
            teacher[of_teacher(name)] = momentum * teacher[of_teacher(name)] + (1 - momentum) * student[name]
    out |= {f"end.{key}": value.detach() for key, value in (student | fixed | teacher).items()}
    save_file({f"steps.{key}": value.contiguous().clone() for key, value in out.items()}, PATH)


main()
