"""Writes can.safetensors: three steps of a masked autoencoder that tells its images apart, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/can.py

Written from the paper (CAN, arXiv 2210.16870 §3.1 and §3.2) on the ViT of refine.py and the decoder of
cmae.py: the two views of an image follow each other in the batch. Names and layouts of the weights are
those of burn-mim. Every step is one of gradient descent with a rate of 0.01. In the case `stem` convolutions
(arXiv 2106.14881 §3) read the images first, sparse ones as in resnet.py: zeros at hidden pixels, and norms over
the visible ones.
"""

from pathlib import Path

import torch
from cmae import CELLS, HIDDEN, INNER, PROJECTION, TEMPERATURE, WEIGHT, decode, fresh_decoder
from refine import BATCH, COLS, PATCH, RATE, ROWS, STEPS, WIDTH
from refine import embed, fresh_encoder, head, linear, matrix, norm, transform
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("can.safetensors")
PROJECTOR = "contrast.projector"


STEM = "encoder.body.stem"
# What each convolution reads and makes, and its stride.
LAYERS = [(1, 3, 1), (3, 5, 2)]
# What comes out of them has half the rows and columns, and a patch is made of so many of each.
SIDE = PATCH // 2


def fresh(stem: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights, and what no gradient moves."""
    p = fresh_encoder("encoder.body") | fresh_decoder("head", PATCH * PATCH)
    p[f"{PROJECTOR}.layers.0.linear.weight"] = matrix(WIDTH, HIDDEN)
    p |= norm(f"{PROJECTOR}.layers.0.norm", HIDDEN) | linear(f"{PROJECTOR}.layers.1.linear", HIDDEN, PROJECTION)
    fixed = {"head.positions.table": torch.randn(1 + CELLS, INNER)}
    for index, (inputs, outputs, _) in enumerate(LAYERS if stem else []):
        p[f"{STEM}.convs.{index}.conv.weight"] = torch.randn(outputs, inputs, 3, 3) / 3
        p |= norm(f"{STEM}.convs.{index}.norm.norm", outputs)
        fixed[f"{STEM}.convs.{index}.norm.running_mean"] = torch.randn(outputs)
        fixed[f"{STEM}.convs.{index}.norm.running_variance"] = torch.rand(outputs)
    if stem:
        p |= linear("encoder.body.patch_embed", LAYERS[-1][1] * SIDE * SIDE, WIDTH)
    return p, fixed


def convolved(p: dict[str, Tensor], fixed: dict[str, Tensor], images: Tensor, visible: Tensor) -> Tensor:
    """Every patch of a stem's maps, without its position. `fixed` remembers what norms saw."""
    units = torch.zeros(len(images), CELLS).scatter(1, visible, 1.0).reshape(-1, 1, ROWS, COLS)
    seen = lambda x: F.interpolate(units, size=x.shape[2:])
    x = images * seen(images)
    for index, (_, _, stride) in enumerate(LAYERS):
        layer = f"{STEM}.convs.{index}"
        x = F.conv2d(x, p[f"{layer}.conv.weight"], stride=stride, padding=1)
        places = seen(x)[:, 0] > 0
        remembered = [fixed[f"{layer}.norm.running_{name}"] for name in ("mean", "variance")]
        weights = [p[f"{layer}.norm.norm.{name}"] for name in ("gamma", "beta")]
        rows = F.batch_norm(x.movedim(1, 3)[places], *remembered, *weights, training=True, momentum=0.1, eps=1e-5)
        x = torch.zeros_like(x.movedim(1, 3)).masked_scatter(places[..., None], F.relu(rows)).movedim(3, 1)
    patches = F.unfold(x, SIDE, stride=SIDE).mT
    return patches @ p["encoder.body.patch_embed.weight"] + p["encoder.body.patch_embed.bias"]


def case(stem: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    student, fixed = fresh(stem)
    out = {f"start.{key}": value.clone() for key, value in (student | fixed).items()}
    views = 2 * BATCH
    for step in range(STEPS):
        for key, value in student.items():
            student[key] = value.detach().requires_grad_()
        images = torch.randn(views, 1, ROWS * PATCH, COLS * PATCH)
        visible, hidden = (part.sort(1).values for part in torch.rand(views, CELLS).argsort(1).chunk(2, 1))
        out[f"images.{step}"] = images
        out[f"hidden.{step}"] = torch.zeros(views, CELLS).scatter(1, hidden, 1.0).to(torch.uint8)
        tokens = convolved(student, fixed, images, visible) if stem else embed(student, "encoder.body", images)
        tokens = transform(student, "encoder.body", tokens, visible)
        cells, class_token = tokens[:, 1:], tokens[:, 0]
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
    title = "stem" if stem else "steps"
    return {f"{title}.{key}": value.contiguous() for key, value in out.items()}


torch.set_num_threads(1)
save_file(case(stem=False) | case(stem=True), PATH)
