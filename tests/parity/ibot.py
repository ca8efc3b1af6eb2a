"""Writes ibot.safetensors: three steps of iBOT, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/ibot.py

Written from the paper (iBOT, arXiv 2111.07832 §3) on the ViT of refine.py, whose positions are trained.
Names and layouts of the weights are those of burn-mim: matrices are `[inputs, outputs]`. Every image has
two views, of which the student sees the first with half of its cells replaced; a view without hidden
cells counts in the mean of their loss. Every step is one of gradient descent with a rate of 0.01, after
which the teacher moves with a momentum that grows linearly from 0.9 to 1, the centers keep 0.8, and the
teacher's temperature grows from 0.3 to 0.5 in the first half of the run. There are two cases: the
vectors of the last layer have `lengths` that are trained, or are of length 1 (`unit`).
"""

from pathlib import Path

import torch
from refine import BATCH, COLS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import embed, fresh_encoder, linear, transform
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("ibot.safetensors")
CELLS, HIDDEN, INNER, BOTTLENECK, OUTPUTS = ROWS * COLS, 3, 6, 5, 7
STUDENT_TEMPERATURE, TEMPERATURE, WARMUP = 0.2, (0.3, 0.5), 0.5
CLASS_LOSS, PATCH_LOSS, KEPT, MOMENTUM = 0.7, 1.3, 0.8, (0.9, 1.0)
BODY = "student.body"


def fresh(lengths: bool) -> dict[str, Tensor]:
    p = fresh_encoder(BODY) | {"student.mask_token": torch.randn(1, WIDTH)}
    widths = [WIDTH, INNER, INNER, BOTTLENECK]
    for index, (a, b) in enumerate(zip(widths, widths[1:])):
        p |= linear(f"head.layers.{index}", a, b)
    p["head.directions"] = torch.randn(BOTTLENECK, OUTPUTS)
    if lengths:
        p["head.lengths"] = 1 + 0.2 * torch.randn(1, OUTPUTS)
    return p


def head(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    for index in range(3):
        x = x @ p[f"{name}.layers.{index}.weight"] + p[f"{name}.layers.{index}.bias"]
        x = F.gelu(x) if index < 2 else F.normalize(x, dim=-1)
    weight = F.normalize(p[f"{name}.directions"], dim=0) * p.get(f"{name}.lengths", torch.ones(()))
    return x @ weight


def encode(p: dict[str, Tensor], name: str, images: Tensor, hidden: Tensor | None) -> Tensor:
    """Features of the class token and of all cells; `hidden` is 1 where a patch is replaced."""
    patches = embed(p, name, images)
    if hidden is not None:
        patches = torch.where(hidden[:, :, None] > 0, p["student.mask_token"], patches)
    return transform(p, name, patches)


def cross_entropy(shares: Tensor, outputs: Tensor) -> Tensor:
    return -(shares * F.log_softmax(outputs / STUDENT_TEMPERATURE, -1)).sum(-1)


def of_teacher(key: str) -> str:
    return key.replace(f"{BODY}.", "encoder.").replace("head.", "teacher_head.")


def case(name: str, lengths: bool) -> dict[str, Tensor]:
    student = fresh(lengths)
    followed = [key for key in student if key != "student.mask_token"]
    moving = {of_teacher(key): student[key] + 0.1 * torch.randn_like(student[key]) for key in followed}
    moving |= {f"{part}_center": 0.1 * torch.randn(1, OUTPUTS) for part in ["class", "patch"]}
    moving["temperature"] = torch.tensor([TEMPERATURE[0]])
    out = {f"start.{key}": value.clone() for key, value in (student | moving).items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        views = torch.randn(2, BATCH, 1, ROWS * PATCH, COLS * PATCH)
        hidden = torch.zeros(BATCH, CELLS).scatter(1, torch.rand(BATCH, CELLS).argsort(1)[:, :HIDDEN], 1.0)
        out[f"images.{step}"], out[f"view.{step}"] = views
        out[f"hidden.{step}"] = hidden.to(torch.uint8)
        with torch.no_grad():
            known = [head(moving, "teacher_head", encode(moving, "encoder", view, None)) for view in views]
            temperature = moving["temperature"]
            of_class = [((x[:, 0] - moving["class_center"]) / temperature).softmax(-1) for x in known]
            of_cells = [((x[:, 1:] - moving["patch_center"]) / temperature).softmax(-1) for x in known]
        masks = [hidden, torch.zeros_like(hidden)]
        said = [head(student, "head", encode(student, BODY, view, mask)) for view, mask in zip(views, masks)]
        class_loss = torch.stack(
            [cross_entropy(of_class[1 - view], said[view][:, 0]).mean() for view in range(2)]
        ).mean()
        patch_loss = torch.stack(
            [
                ((cross_entropy(of_cells[view], said[view][:, 1:]) * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
                for view, mask in enumerate(masks)
            ]
        ).mean()
        loss = CLASS_LOSS * class_loss + PATCH_LOSS * patch_loss
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for key, value in student.items():
            out[f"gradient.{step}.{key}"] = value.grad.clone()
            student[key] = value.detach() - RATE * value.grad
        progress = (step + 1) / STEPS
        momentum = MOMENTUM[0] + (MOMENTUM[1] - MOMENTUM[0]) * progress
        for key in followed:
            moving[of_teacher(key)] = momentum * moving[of_teacher(key)] + (1 - momentum) * student[key]
        outputs = torch.cat(known)
        means = {"class": outputs[:, 0].mean(0), "patch": outputs[:, 1:].mean((0, 1))}
        for part, mean in means.items():
            moving[f"{part}_center"] = KEPT * moving[f"{part}_center"] + (1 - KEPT) * mean
        grown = min(progress / WARMUP, 1.0)
        moving["temperature"] = torch.tensor([TEMPERATURE[0] + (TEMPERATURE[1] - TEMPERATURE[0]) * grown])
    out |= {f"end.{key}": value.detach() for key, value in (student | moving).items()}
    return {f"{name}.{key}": value.contiguous().clone() for key, value in out.items()}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_file(case("lengths", True) | case("unit", False), PATH)


if __name__ == "__main__":
    main()
