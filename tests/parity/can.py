"""Writes can.safetensors: three steps of a masked autoencoder that tells its images apart, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/can.py

Written from the paper (CAN, arXiv 2210.16870 §3.1 and §3.2) on the ViT of refine.py and the decoder of
cmae.py: the two views of an image follow each other in the batch. Names and layouts of the weights are
those of burn-mim. Every step is one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from cmae import CELLS, HIDDEN, INNER, PROJECTION, TEMPERATURE, WEIGHT, decode, fresh_decoder
from refine import BATCH, COLS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import encode, fresh_encoder, head, linear, matrix, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("can.safetensors")
PROJECTOR = "contrast.projector"


def fresh() -> dict[str, Tensor]:
    p = fresh_encoder("encoder.body") | fresh_decoder("head", PATCH * PATCH)
    p[f"{PROJECTOR}.layers.0.linear.weight"] = matrix(WIDTH, HIDDEN)
    return p | norm(f"{PROJECTOR}.layers.0.norm", HIDDEN) | linear(f"{PROJECTOR}.layers.1.linear", HIDDEN, PROJECTION)


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    student, fixed = fresh(), {"head.positions.table": torch.randn(1 + CELLS, INNER)}
    out = {f"start.{key}": value.clone() for key, value in (student | fixed).items()}
    views = 2 * BATCH
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        images = torch.randn(views, 1, ROWS * PATCH, COLS * PATCH)
        visible, hidden = (part.sort(1).values for part in torch.rand(views, CELLS).argsort(1).chunk(2, 1))
        out[f"images.{step}"] = images
        out[f"hidden.{step}"] = torch.zeros(views, CELLS).scatter(1, hidden, 1.0).to(torch.uint8)
        cells, class_token = encode(student, images, visible, "encoder.body")
        pixels = decode(student | fixed, "head", cells, class_token, visible, hidden)
        # (row, column, channel) is (row, column) of gray images.
        target = F.unfold(images, PATCH, stride=PATCH).mT.take_along_dim(hidden[:, :, None], 1)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
        projected = F.normalize(head(student, PROJECTOR, cells.mean(1)), dim=1)
        cosines = projected[0::2] @ projected[1::2].T / TEMPERATURE
        each = torch.arange(BATCH)
        contrast = (F.cross_entropy(cosines, each) + F.cross_entropy(cosines.T, each)) / 2
        loss = (pixels - target).square().mean() + WEIGHT * contrast
        loss.backward()
        out[f"loss.{step}"] = loss.detach().reshape(1)
        for name, value in student.items():
            out[f"gradient.{step}.{name}"] = value.grad.clone()
            student[name] = value.detach() - RATE * value.grad
    out |= {f"end.{key}": value.detach() for key, value in (student | fixed).items()}
    save_file({f"steps.{key}": value.contiguous() for key, value in out.items()}, PATH)


main()
