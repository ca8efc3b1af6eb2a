"""Writes refine.safetensors: three steps of refinement by nearest-neighbor contrast, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/refine.py

Written from the papers (NNCLR, arXiv 2104.14548 §3; MAE-CT, arXiv 2304.10520) for a ViT of two blocks.
Names and layouts of the weights are those of burn-mim: matrices are `[inputs, outputs]`. There are two
cases: `whole` contrasts the mean over all cells of whole views; `masked` contrasts the mean over the
visible cells together with the class token, hides half of the cells, and does not train the embedding
and the first block. Every step is one of gradient descent with a rate of 0.01: with a larger one
PyTorch itself comes to other numbers in single and in double precision.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("refine.safetensors")
BATCH, ROWS, COLS, PATCH = 4, 2, 3, 4
WIDTH, HEADS, BLOCKS = 8, 2, 2
HIDDEN, PROJECTION, PREDICTOR, QUEUE = 6, 5, 7, 9
TEMPERATURE, MOMENTUM, RATE, STEPS = 0.2, 0.9, 0.01, 3


def matrix(*shape: int) -> Tensor:
    return torch.randn(*shape) * shape[0] ** -0.5


def vector(size: int, mean: float = 0.0) -> Tensor:
    return torch.randn(size) * 0.2 + mean


def linear(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    return {f"{name}.weight": matrix(inputs, outputs), f"{name}.bias": vector(outputs)}


def norm(name: str, size: int) -> dict[str, Tensor]:
    return {f"{name}.gamma": vector(size, 1.0), f"{name}.beta": vector(size)}


def fresh_encoder(name: str) -> dict[str, Tensor]:
    """A ViT with random weights."""
    p = linear(f"{name}.patch_embed", PATCH * PATCH, WIDTH)
    p[f"{name}.class_token"] = torch.randn(1, WIDTH)
    p[f"{name}.positions.table"] = torch.randn(1 + ROWS * COLS, WIDTH)
    for index in range(BLOCKS):
        block = f"{name}.transformer.blocks.{index}"
        p |= norm(f"{block}.norm1", WIDTH) | norm(f"{block}.norm2", WIDTH)
        p |= linear(f"{block}.attention.qkv", WIDTH, 3 * WIDTH)
        p |= linear(f"{block}.attention.out", WIDTH, WIDTH)
        p |= linear(f"{block}.mlp.fc1", WIDTH, 4 * WIDTH) | linear(f"{block}.mlp.fc2", 4 * WIDTH, WIDTH)
    return p | norm(f"{name}.transformer.norm", WIDTH)


def fresh(features: int) -> dict[str, Tensor]:
    """Random weights of a student that contrasts so many features."""
    p = fresh_encoder("encoder")
    widths = [features, HIDDEN, HIDDEN, PROJECTION]
    for index, (a, b) in enumerate(zip(widths, widths[1:])):
        p[f"projector.layers.{index}.linear.weight"] = matrix(a, b)
        p |= norm(f"projector.layers.{index}.norm", b)
    p["predictor.layers.0.linear.weight"] = matrix(PROJECTION, PREDICTOR)
    p |= norm("predictor.layers.0.norm", PREDICTOR)
    return p | linear("predictor.layers.1.linear", PREDICTOR, PROJECTION)


def embed(p: dict[str, Tensor], encoder: str, images: Tensor) -> Tensor:
    """Every patch, without its position."""
    patches = F.unfold(images, PATCH, stride=PATCH).mT
    return patches @ p[f"{encoder}.patch_embed.weight"] + p[f"{encoder}.patch_embed.bias"]


def transform(p: dict[str, Tensor], encoder: str, patches: Tensor, visible: Tensor | None = None) -> Tensor:
    """Features of the class token and of the visible cells; `visible` holds indices."""
    linear = lambda name, x: x @ p[f"{encoder}.{name}.weight"] + p[f"{encoder}.{name}.bias"]
    norm = lambda name, x: F.layer_norm(
        x, (WIDTH,), p[f"{encoder}.{name}.gamma"], p[f"{encoder}.{name}.beta"], 1e-6
    )
    table = p[f"{encoder}.positions.table"]
    tokens = patches + table[1:]
    if visible is not None:
        tokens = tokens.take_along_dim(visible[:, :, None], 1)
    first = (p[f"{encoder}.class_token"] + table[:1]).expand(len(patches), 1, WIDTH)
    tokens = torch.cat([first, tokens], 1)
    for index in range(BLOCKS):
        block = f"transformer.blocks.{index}"
        qkv = linear(f"{block}.attention.qkv", norm(f"{block}.norm1", tokens))
        query, key, value = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + linear(f"{block}.attention.out", mixed)
        hidden = F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", tokens)))
        tokens = tokens + linear(f"{block}.mlp.fc2", hidden)
    return norm("transformer.norm", tokens)


def encode(
    p: dict[str, Tensor], images: Tensor, visible: Tensor | None, encoder: str = "encoder"
) -> tuple[Tensor, Tensor]:
    """Features of the visible cells, and of the class token."""
    tokens = transform(p, encoder, embed(p, encoder, images), visible)
    return tokens[:, 1:], tokens[:, 0]


def head(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Layers with batch norms by the batch's own statistics where they have one."""
    count = sum(key.startswith(f"{name}.layers.") and key.endswith("linear.weight") for key in p)
    for index in range(count):
        layer = f"{name}.layers.{index}"
        x = x @ p[f"{layer}.linear.weight"] + p.get(f"{layer}.linear.bias", torch.zeros(()))
        if f"{layer}.norm.gamma" in p:
            gamma, beta = p[f"{layer}.norm.gamma"], p[f"{layer}.norm.beta"]
            x = F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)
        x = F.relu(x) if index + 1 < count else x
    return x


def pooled(p: dict[str, Tensor], masked: bool, images: Tensor, visible: Tensor | None) -> Tensor:
    cells, class_token = encode(p, images, visible)
    return torch.cat([cells.mean(1), class_token], 1) if masked else cells.mean(1)


def case(name: str, masked: bool) -> dict[str, Tensor]:
    student = fresh(2 * WIDTH if masked else WIDTH)
    followed = [key for key in student if not key.startswith("predictor.")]
    teacher = {key: student[key] + 0.1 * torch.randn_like(student[key]) for key in followed}
    queue = F.normalize(torch.randn(QUEUE, PROJECTION), dim=1)
    out = {f"start.{key}": value.clone() for key, value in student.items()}
    out |= {f"start.teacher.{key}": value.clone() for key, value in teacher.items()}
    out["start.queue"] = queue.clone()
    still = ("encoder.patch", "encoder.class", "encoder.pos", "encoder.transformer.blocks.0")
    frozen = lambda key: masked and key.startswith(still)
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_(not frozen(key))
        views = torch.randn(2 * BATCH, 1, ROWS * PATCH, COLS * PATCH)
        out[f"views.{step}"] = views
        visible = None
        if masked:
            order = torch.rand(2 * BATCH, ROWS * COLS).argsort(1)
            visible = order[:, : ROWS * COLS // 2].sort(1).values
            hidden = torch.ones(2 * BATCH, ROWS * COLS).scatter(1, visible, 0.0)
            out[f"hidden.{step}"] = hidden.to(torch.uint8)
        features = pooled(student, masked, views, visible)
        predicted = [
            head(student, "predictor", head(student, "projector", view)) for view in features.chunk(2)
        ]
        with torch.no_grad():
            known = pooled(teacher, masked, views, None)
            keys = [F.normalize(head(teacher, "projector", view), dim=1) for view in known.chunk(2)]
            nearest = [queue[(key @ queue.T).argmax(1)] for key in keys]
        loss = torch.zeros(())
        for neighbor, other in [(nearest[0], predicted[1]), (nearest[1], predicted[0])]:
            logits = neighbor @ F.normalize(other, dim=1).T / TEMPERATURE
            loss = loss + F.cross_entropy(logits, torch.arange(BATCH)) / 2
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for key, value in student.items():
            if value.grad is None:
                assert frozen(key), key
                continue
            out[f"gradient.{step}.{key}"] = value.grad.clone()
            student[key] = value.detach() - RATE * value.grad
        for key in followed:
            # What is not trained is the student's own.
            momentum = 0.0 if frozen(key) else MOMENTUM
            teacher[key] = momentum * teacher[key] + (1 - momentum) * student[key].detach()
        queue = torch.cat([keys[0], queue])[:QUEUE]
    out |= {f"end.{key}": value.detach() for key, value in student.items()}
    out |= {f"end.teacher.{key}": value for key, value in teacher.items()}
    out["end.queue"] = queue
    return {f"{name}.{key}": value.contiguous() for key, value in out.items()}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_file(case("whole", False) | case("masked", True), PATH)


if __name__ == "__main__":
    main()
