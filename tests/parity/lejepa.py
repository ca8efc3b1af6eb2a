"""Writes lejepa.safetensors: three steps of LeJEPA of masked views, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/lejepa.py

Written from the paper (LeJEPA, arXiv 2511.08544 §4 and §5) on the ViT and the heads of refine.py. Names
and layouts of the weights are those of burn-mim: matrices are `[inputs, outputs]`. Every image has two
crops with two masks each; the class token is embedded. Every step is one of gradient descent with a
rate of 0.01.
"""

from pathlib import Path

import torch
from refine import BATCH, COLS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import encode, fresh_encoder, head, linear, matrix, norm
from safetensors.torch import save_file
from torch import Tensor

PATH = Path(__file__).with_name("lejepa.safetensors")
CELLS, VISIBLE, CROPS, MASKS = ROWS * COLS, 3, 2, 2
HIDDEN, EMBEDDING, SLICES = 7, 5, 11
# The paper's rule: 17 places of the whole axis.
KNOTS, T_MAX, LAMBDA = 17, 5.0, 0.3


def fresh() -> dict[str, Tensor]:
    p = {f"encoder.{key}": value for key, value in fresh_encoder("body").items()}
    for index, (inputs, outputs) in enumerate([(WIDTH, HIDDEN), (HIDDEN, HIDDEN)]):
        p[f"projector.layers.{index}.linear.weight"] = matrix(inputs, outputs)
        p |= norm(f"projector.layers.{index}.norm", outputs)
    return p | linear("projector.layers.2.linear", HIDDEN, EMBEDDING)


def sigreg(embeddings: Tensor, directions: Tensor) -> Tensor:
    """The statistic of Epps and Pulley of one view, `[images, features]`, the mean over directions."""
    t = torch.linspace(-T_MAX, T_MAX, KNOTS)
    normal = torch.exp(-t.square() / 2)
    slices = embeddings @ (directions / directions.norm(dim=0))
    empirical = torch.exp(1j * slices[:, :, None] * t).mean(0)
    distance = (empirical - normal).abs().square() * normal
    return len(embeddings) * torch.trapezoid(distance, t).mean()


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    student = fresh()
    out = {f"start.{key}": value.clone() for key, value in student.items()}
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        crops = torch.randn(BATCH * CROPS, 1, ROWS * PATCH, COLS * PATCH)
        order = torch.rand(BATCH * CROPS * MASKS, CELLS).argsort(1)
        visible = order[:, :VISIBLE].sort(1).values
        directions = torch.randn(EMBEDDING, SLICES)
        out[f"crops.{step}"], out[f"directions.{step}"] = crops, directions
        out[f"hidden.{step}"] = torch.ones_like(order, dtype=torch.uint8).scatter(1, visible, 0)
        _, class_token = encode(student, crops.repeat_interleave(MASKS, 0), visible, "encoder.body")
        views = head(student, "projector", class_token).unflatten(0, (BATCH, CROPS * MASKS))
        prediction = (views - views.mean(1, keepdim=True)).square().mean()
        statistic = torch.stack([sigreg(view, directions) for view in views.unbind(1)]).mean()
        loss = (1 - LAMBDA) * prediction + LAMBDA * statistic
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for name, value in student.items():
            out[f"gradient.{step}.{name}"] = value.grad.clone()
            student[name] = value.detach() - RATE * value.grad
    out |= {f"end.{key}": value.detach() for key, value in student.items()}
    save_file({f"steps.{key}": value.contiguous() for key, value in out.items()}, PATH)


if __name__ == "__main__":
    main()
