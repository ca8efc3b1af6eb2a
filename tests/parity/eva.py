"""Writes eva.safetensors: three steps of EVA with a frozen teacher, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/eva.py

Written from the paper (EVA, arXiv 2211.07636 §2.2). The teacher is wider than the student, has smaller
patches and reads a smaller view, and was trained on images of other statistics. Names and layouts of the
weights are those of burn-mim: matrices are `[inputs, outputs]`. Every step is one of gradient descent
with a rate of 0.01.
"""

from pathlib import Path

import torch
from refine import BATCH, BLOCKS, COLS, HEADS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import fresh_encoder, linear, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("eva.safetensors")
CELLS, HIDDEN = ROWS * COLS, 2
TEACHER, TEACHER_HEADS, TEACHER_PATCH = 12, 3, 2
MEAN, STD, OWN_MEAN, OWN_STD = 0.5, 0.25, 0.4, 0.3
NAME = "target.teacher.network.Vit"


def fresh_teacher(patch: int) -> dict[str, Tensor]:
    """A ViT of one block."""
    p = linear(f"{NAME}.patch_embed", patch * patch, TEACHER)
    p[f"{NAME}.class_token"] = torch.randn(1, TEACHER)
    p[f"{NAME}.positions.table"] = torch.randn(1 + CELLS, TEACHER)
    block = f"{NAME}.transformer.blocks.0"
    p |= norm(f"{block}.norm1", TEACHER) | norm(f"{block}.norm2", TEACHER)
    p |= linear(f"{block}.attention.qkv", TEACHER, 3 * TEACHER)
    p |= linear(f"{block}.attention.out", TEACHER, TEACHER)
    p |= linear(f"{block}.mlp.fc1", TEACHER, 4 * TEACHER) | linear(f"{block}.mlp.fc2", 4 * TEACHER, TEACHER)
    return p | norm(f"{NAME}.transformer.norm", TEACHER)


def encode(p: dict[str, Tensor], name: str, images: Tensor, patch: int, heads: int, blocks: int, change):
    """The tokens after the final norm, the class token first, and the attention of the last block.
    `change` is what is done to the embedded patches, before and after positions are added."""
    apply = lambda layer, x: x @ p[f"{name}.{layer}.weight"] + p[f"{name}.{layer}.bias"]
    normed = lambda layer, x: F.layer_norm(
        x, x.shape[-1:], p[f"{name}.{layer}.gamma"], p[f"{name}.{layer}.beta"], 1e-6
    )
    table, (before, after) = p[f"{name}.positions.table"], change
    tokens = after(before(apply("patch_embed", F.unfold(images, patch, stride=patch).mT)) + table[1:])
    first = (p[f"{name}.class_token"] + table[:1]).expand(len(tokens), 1, -1)
    tokens = torch.cat([first, tokens], 1)
    for index in range(blocks):
        block = f"transformer.blocks.{index}"
        qkv = apply(f"{block}.attention.qkv", normed(f"{block}.norm1", tokens))
        query, key, value = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        attention = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        tokens = tokens + apply(f"{block}.attention.out", (attention @ value).transpose(1, 2).flatten(2))
        inner = F.gelu(apply(f"{block}.mlp.fc1", normed(f"{block}.norm2", tokens)))
        tokens = tokens + apply(f"{block}.mlp.fc2", inner)
    return normed("transformer.norm", tokens), attention


SAME = (lambda x: x, lambda x: x)


def known(p: dict[str, Tensor], images: Tensor, patch: int, statistics: tuple[float, float]):
    """What the teacher says of images that are normalized as the student's."""
    mean, std = statistics
    with torch.no_grad():
        images = (images * STD + MEAN - mean) / std
        return encode(p, NAME, images, patch, TEACHER_HEADS, 1, SAME)


def steps(student: dict[str, Tensor], fixed: dict[str, Tensor], step_of) -> dict[str, Tensor]:
    """Three steps on the loss of `step_of`, which is told all weights and answers what it saw."""
    out = {f"start.{key}": value.clone() for key, value in (student | fixed).items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        loss, seen = step_of(student | fixed)
        loss.backward()
        out |= {f"{key}.{step}": value for key, value in seen.items()}
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for key, value in student.items():
            out[f"gradient.{step}.{key}"] = value.grad.clone()
            student[key] = value.detach() - RATE * value.grad
    out |= {f"end.{key}": value.detach() for key, value in (student | fixed).items()}
    return {key: value.contiguous() for key, value in out.items()}


def eva(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    images = torch.randn(BATCH, 1, ROWS * PATCH, COLS * PATCH)
    view = torch.randn(BATCH, 1, ROWS * TEACHER_PATCH, COLS * TEACHER_PATCH)
    hidden = torch.rand(BATCH, CELLS).argsort(1)[:, :HIDDEN].sort(1).values
    places = torch.zeros(BATCH, CELLS).scatter(1, hidden, 1.0)
    replace = lambda x: torch.where(places[:, :, None] > 0, p["encoder.mask_token"], x)
    tokens, _ = encode(p, "encoder.body", images, PATCH, HEADS, BLOCKS, (replace, lambda x: x))
    predicted = tokens[:, 1:].take_along_dim(hidden[:, :, None], 1)
    predicted = predicted @ p["head.projection.weight"] + p["head.projection.bias"]
    features, _ = known(p, view, TEACHER_PATCH, (OWN_MEAN, OWN_STD))
    target = features[:, 1:].take_along_dim(hidden[:, :, None], 1)
    loss = (1 - F.cosine_similarity(predicted, target, dim=-1)).mean()
    return loss, {"images": images, "view": view, "hidden": places.to(torch.uint8)}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    student = fresh_encoder("encoder.body") | {"encoder.mask_token": torch.randn(1, WIDTH)}
    student |= linear("head.projection", WIDTH, TEACHER)
    out = steps(student, fresh_teacher(TEACHER_PATCH), eva)
    save_file({f"steps.{key}": value for key, value in out.items()}, PATH)


if __name__ == "__main__":
    main()
