"""Writes data2vec.safetensors: three steps of data2vec 2.0 and of the first data2vec, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/data2vec.py

Written from the papers (arXiv 2212.07525 §3, 2202.03555 §3) on the ViT of refine.py. The case `second`
has two masks of each image, a convolutional decoder over zeros at hidden cells, and a teacher that sees
a view of its own; `first` has a mask token, a linear layer and a smooth L1 loss. The teacher's momentum
grows over the steps. Names and layouts of the weights are those of burn-mim: matrices are `[inputs,
outputs]`, kernels as in PyTorch. Every step is one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from refine import BATCH, BLOCKS, COLS, HEADS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import fresh_encoder, linear, matrix, vector
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("data2vec.safetensors")
CELLS, MASKS, VISIBLE = ROWS * COLS, 2, 2
INNER, CONVS, GROUPS, KERNEL = 8, 2, 2, 3
CLASS_LOSS, BETA, START, END, RAMP = 0.7, 0.5, 0.6, 0.9, 0.5


def fresh(first: bool) -> dict[str, Tensor]:
    p = fresh_encoder("encoder.body")
    if first:
        p["encoder.mask_token"] = torch.randn(1, WIDTH)
        return p | linear("head.projection", WIDTH, WIDTH)
    for index in range(CONVS):
        inputs = (INNER if index else WIDTH) // GROUPS
        kernel = matrix(inputs * KERNEL * KERNEL, INNER).T.reshape(INNER, inputs, KERNEL, KERNEL)
        p[f"decoder.convs.{index}.weight"] = kernel.contiguous()
        p[f"decoder.convs.{index}.bias"] = vector(INNER)
    return p | linear("decoder.projection", INNER, WIDTH)


def encode(
    p: dict[str, Tensor],
    images: Tensor,
    name: str,
    visible: Tensor | None = None,
    hidden: Tensor | None = None,
):
    """The tokens after the final norm, the class token first, those after each block, and what each
    MLP computes. Cells are dropped but for the `visible` ones, or `hidden` ones are replaced."""
    apply = lambda layer, x: x @ p[f"{name}.{layer}.weight"] + p[f"{name}.{layer}.bias"]
    normed = lambda layer, x: F.layer_norm(
        x, (WIDTH,), p[f"{name}.{layer}.gamma"], p[f"{name}.{layer}.beta"], 1e-6
    )
    table = p[f"{name}.positions.table"]
    tokens = apply("patch_embed", F.unfold(images, PATCH, stride=PATCH).mT)
    if hidden is not None:
        places = torch.zeros(len(images), CELLS, 1).scatter(1, hidden[:, :, None], 1.0)
        tokens = tokens * (1 - places) + p["encoder.mask_token"] * places
    tokens = tokens + table[1:]
    if visible is not None:
        tokens = tokens.repeat_interleave(MASKS, 0).take_along_dim(visible[:, :, None], 1)
    first = (p[f"{name}.class_token"] + table[:1]).expand(len(tokens), 1, WIDTH)
    tokens = torch.cat([first, tokens], 1)
    blocks, mlps = [], []
    for index in range(BLOCKS):
        block = f"transformer.blocks.{index}"
        qkv = apply(f"{block}.attention.qkv", normed(f"{block}.norm1", tokens))
        query, key, value = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + apply(f"{block}.attention.out", mixed)
        inner = F.gelu(apply(f"{block}.mlp.fc1", normed(f"{block}.norm2", tokens)))
        mlps.append(apply(f"{block}.mlp.fc2", inner))
        tokens = tokens + mlps[-1]
        blocks.append(tokens)
    return normed("transformer.norm", tokens), blocks, mlps


def decode(p: dict[str, Tensor], tokens: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    whole = torch.zeros(len(tokens), CELLS, WIDTH)
    whole = whole.scatter(1, visible[:, :, None].expand(-1, -1, WIDTH), tokens)
    maps = whole.mT.reshape(-1, WIDTH, ROWS, COLS)
    for index in range(CONVS):
        kernel, bias = p[f"decoder.convs.{index}.weight"], p[f"decoder.convs.{index}.bias"]
        out = F.conv2d(maps, kernel, bias, padding=KERNEL // 2, groups=GROUPS)
        out = F.gelu(F.layer_norm(out.movedim(1, 3), (INNER,)).movedim(3, 1))
        maps = out + maps if out.shape == maps.shape else out
    cells = maps.flatten(2).mT.take_along_dim(hidden[:, :, None], 1)
    return cells @ p["decoder.projection.weight"] + p["decoder.projection.bias"]


def second_loss(student, teacher, images: Tensor, view: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    with torch.no_grad():
        _, _, mlps = encode(teacher, view, "target.teacher.body")
        normed = [F.instance_norm(mlp[:, 1:].mT).mT for mlp in mlps[-2:]]
        target = F.layer_norm(sum(normed) / len(normed), (WIDTH,))
        target = target.repeat_interleave(MASKS, 0)
    tokens, _, _ = encode(student, images, "encoder.body", visible=visible)
    predicted = decode(student, tokens[:, 1:], visible, hidden)
    judge = lambda a, b: (a - b).square().sum(-1).mean() / WIDTH**0.5
    cells = judge(predicted, target.take_along_dim(hidden[:, :, None], 1))
    return cells + CLASS_LOSS * judge(tokens[:, 0], target.mean(1))


def first_loss(student, teacher, images: Tensor, hidden: Tensor) -> Tensor:
    with torch.no_grad():
        _, blocks, _ = encode(teacher, images, "target.teacher.body")
        normed = [F.layer_norm(block[:, 1:], (WIDTH,)) for block in blocks[-2:]]
        target = F.layer_norm(sum(normed) / len(normed), (WIDTH,))
    tokens, _, _ = encode(student, images, "encoder.body", hidden=hidden)
    asked = tokens[:, 1:].take_along_dim(hidden[:, :, None], 1)
    predicted = asked @ student["head.projection.weight"] + student["head.projection.bias"]
    return F.smooth_l1_loss(predicted, target.take_along_dim(hidden[:, :, None], 1), beta=BETA)


def case(name: str, first: bool) -> dict[str, Tensor]:
    student, masks = fresh(first), 1 if first else MASKS
    followed = [key for key in student if key.startswith("encoder.")]
    of_teacher = lambda key: key.replace("encoder.", "target.teacher.", 1)
    teacher = {of_teacher(key): student[key] + 0.1 * torch.randn_like(student[key]) for key in followed}
    out = {f"start.{key}": value.clone() for key, value in (student | teacher).items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        images, view = torch.randn(2, BATCH, 1, ROWS * PATCH, COLS * PATCH)
        order = torch.rand(BATCH * masks, CELLS).argsort(1)
        visible, hidden = order[:, :VISIBLE].sort(1).values, order[:, VISIBLE:].sort(1).values
        out[f"images.{step}"], out[f"view.{step}"] = images, view
        out[f"hidden.{step}"] = torch.zeros(len(order), CELLS).scatter(1, hidden, 1.0).to(torch.uint8)
        if first:
            loss = first_loss(student, teacher, images, hidden)
        else:
            loss = second_loss(student, teacher, images, view, visible, hidden)
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for key, value in student.items():
            out[f"gradient.{step}.{key}"] = value.grad.clone()
            student[key] = value.detach() - RATE * value.grad
        momentum = END - (END - START) * (1 - min((step + 1) / STEPS / RAMP, 1.0))
        for key in followed:
            moved = momentum * teacher[of_teacher(key)] + (1 - momentum) * student[key]
            teacher[of_teacher(key)] = moved
    out |= {f"end.{key}": value.detach() for key, value in (student | teacher).items()}
    return {f"{name}.{key}": value.contiguous() for key, value in out.items()}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_file(case("second", first=False) | case("first", first=True), PATH)


main()
