"""Writes cmae.safetensors: three steps of a contrastive masked autoencoder, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/cmae.py

Written from the paper (CMAE, arXiv 2207.13532 §3) on the ViT and the heads of refine.py, with the
blocks of both decoders. Names and layouts of the weights are those of burn-mim: matrices are `[inputs,
outputs]`. Every step is one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from refine import BATCH, COLS, HEADS, MOMENTUM, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import encode, fresh_encoder, head, linear, matrix, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("cmae.safetensors")
CELLS, INNER = ROWS * COLS, 8
HIDDEN, PROJECTION, PREDICTOR = 6, 5, 7
TEMPERATURE, WEIGHT = 0.2, 0.7


def fresh_decoder(name: str, outputs: int) -> dict[str, Tensor]:
    """A decoder of one block."""
    p = linear(f"{name}.embed", WIDTH, INNER) | linear(f"{name}.projection", INNER, outputs)
    p[f"{name}.mask_token"] = torch.randn(1, INNER)
    block = f"{name}.transformer.blocks.0"
    p |= norm(f"{block}.norm1", INNER) | norm(f"{block}.norm2", INNER)
    p |= linear(f"{block}.attention.qkv", INNER, 3 * INNER)
    p |= linear(f"{block}.attention.out", INNER, INNER)
    p |= linear(f"{block}.mlp.fc1", INNER, 4 * INNER) | linear(f"{block}.mlp.fc2", 4 * INNER, INNER)
    return p | norm(f"{name}.transformer.norm", INNER)


def fresh() -> dict[str, Tensor]:
    p = {f"mae.{key}": value for key, value in fresh_encoder("encoder.body").items()}
    p |= fresh_decoder("mae.head", PATCH * PATCH) | fresh_decoder("feature_decoder", WIDTH)
    p["projector.layers.0.linear.weight"] = matrix(WIDTH, HIDDEN)
    p |= norm("projector.layers.0.norm", HIDDEN) | linear("projector.layers.1.linear", HIDDEN, PROJECTION)
    p["predictor.layers.0.linear.weight"] = matrix(PROJECTION, PREDICTOR)
    p |= norm("predictor.layers.0.norm", PREDICTOR)
    return p | linear("predictor.layers.1.linear", PREDICTOR, PROJECTION)


def decode(
    p: dict[str, Tensor], name: str, cells: Tensor, class_token: Tensor, visible: Tensor, hidden: Tensor
) -> Tensor:
    """Predictions of the hidden cells; the table of positions, which is fixed, is `p`'s too."""
    apply = lambda layer, x: x @ p[f"{name}.{layer}.weight"] + p[f"{name}.{layer}.bias"]
    normed = lambda layer, x: F.layer_norm(
        x, (INNER,), p[f"{name}.{layer}.gamma"], p[f"{name}.{layer}.beta"], 1e-6
    )
    table = p[f"{name}.positions.table"]
    whole = p[f"{name}.mask_token"].expand(len(cells), CELLS, INNER)
    whole = whole.scatter(1, visible[:, :, None].expand(-1, -1, INNER), apply("embed", cells))
    whole = whole + table[1:]
    tokens = torch.cat([apply("embed", class_token)[:, None] + table[:1], whole], 1)
    block = "transformer.blocks.0"
    qkv = apply(f"{block}.attention.qkv", normed(f"{block}.norm1", tokens))
    query, key, value = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    tokens = tokens + apply(f"{block}.attention.out", mixed)
    inner = F.gelu(apply(f"{block}.mlp.fc1", normed(f"{block}.norm2", tokens)))
    tokens = normed("transformer.norm", tokens + apply(f"{block}.mlp.fc2", inner))
    return apply("projection", tokens[:, 1:].take_along_dim(hidden[:, :, None], 1))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    student = fresh()
    fixed = {f"{name}.positions.table": torch.randn(1 + CELLS, INNER) for name in ["mae.head", "feature_decoder"]}
    of_teacher = lambda key: key.replace("mae.encoder.body.", "encoder.")
    followed = [key for key in student if key.startswith(("mae.encoder.", "projector."))]
    teacher = {of_teacher(key): student[key] + 0.1 * torch.randn_like(student[key]) for key in followed}
    out = {f"start.{key}": value.clone() for key, value in (student | fixed).items()}
    out |= {f"start.teacher.{key}": value.clone() for key, value in teacher.items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        images, view = torch.randn(2, BATCH, 1, ROWS * PATCH, COLS * PATCH)
        order = torch.rand(BATCH, CELLS).argsort(1)
        visible, hidden = (part.sort(1).values for part in order.chunk(2, 1))
        out[f"images.{step}"], out[f"view.{step}"] = images, view
        out[f"hidden.{step}"] = torch.zeros(BATCH, CELLS).scatter(1, hidden, 1.0).to(torch.uint8)
        cells, class_token = encode(student, images, visible, "mae.encoder.body")
        p = student | fixed
        pixels = decode(p, "mae.head", cells, class_token, visible, hidden)
        # (row, column, channel) is (row, column) of gray images.
        target = F.unfold(images, PATCH, stride=PATCH).mT.take_along_dim(hidden[:, :, None], 1)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
        reconstruction = (pixels - target).square().mean()
        features = decode(p, "feature_decoder", cells, class_token, visible, hidden).mean(1)
        query = F.normalize(head(student, "predictor", head(student, "projector", features)), dim=1)
        with torch.no_grad():
            known, _ = encode(teacher, view, None, "encoder")
            key = F.normalize(head(teacher, "projector", known.mean(1)), dim=1)
        contrast = F.cross_entropy(query @ key.T / TEMPERATURE, torch.arange(BATCH))
        loss = reconstruction + WEIGHT * 2 * TEMPERATURE * contrast
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for name, value in student.items():
            out[f"gradient.{step}.{name}"] = value.grad.clone()
            student[name] = value.detach() - RATE * value.grad
        for name in followed:
            moved = MOMENTUM * teacher[of_teacher(name)] + (1 - MOMENTUM) * student[name]
            teacher[of_teacher(name)] = moved
    out |= {f"end.{key}": value.detach() for key, value in (student | fixed).items()}
    out |= {f"end.teacher.{key}": value for key, value in teacher.items()}
    save_file({f"steps.{key}": value.contiguous() for key, value in out.items()}, PATH)


if __name__ == "__main__":
    main()
