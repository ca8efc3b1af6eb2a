"""The fixtures of timm's ResNet, whose keys are torchvision's."""

import random
from functools import partial
from pathlib import Path

import torch
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.nn import functional as F

from families import images, noise, write_io


def resnet(bottleneck: bool, depths: list[int], widths: tuple[int, ...], channels: int) -> ResNet:
    """A network with a classifier that an encoder has no use for, and norms that remember something."""
    block = Bottleneck if bottleneck else BasicBlock
    model = ResNet(block, depths, in_chans=channels, num_classes=3, channels=widths).eval()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.dtype != torch.float32:
            continue
        values = torch.randn(tensor.shape)
        if name.endswith("running_var"):
            tensor.data.copy_(values.abs() + 0.5)
        elif tensor.ndim == 1:
            scaled = 1 + 0.2 * values if name.endswith("weight") else 0.2 * values
            tensor.data.copy_(scaled)
        else:
            tensor.data.copy_(values / tensor[0].numel() ** 0.5)
    return model


def tokens(maps: Tensor) -> Tensor:
    return maps.flatten(2).mT


@torch.no_grad()
def timm_resnet(folder: Path, image_size: list[int], **config):
    model = resnet(**config)
    inputs = {"pixel_values": images(config["channels"], image_size)}
    stages = model.forward_intermediates(inputs["pixel_values"], indices=[1, 2, 3, 4], intermediates_only=True)
    torch.save(model.state_dict(), folder / "model.pth")
    write_io(folder, inputs, {f"stage_{index}": tokens(stage) for index, stage in enumerate(stages)})


def sparse(model: ResNet, visible: Tensor):
    """SparK's sparse convolutions (arXiv 2301.03580 §3.1): what mixes cells leaves zeros at hidden ones, and
    norms are over the visible cells of the batch, and remember them."""

    def only(x: Tensor) -> Tensor:
        return F.interpolate(visible, x.shape[2:])

    def norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        shown = only(x)[:, 0].bool()
        rows = x.permute(0, 2, 3, 1)[shown]
        running = layer.running_mean, layer.running_var
        rows = F.batch_norm(rows, *running, layer.weight, layer.bias, True, layer.momentum, layer.eps)
        maps = torch.zeros_like(x.permute(0, 2, 3, 1))
        maps[shown] = rows
        return maps.permute(0, 3, 1, 2)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, output: output * only(output))
        elif isinstance(layer, nn.BatchNorm2d):
            layer.forward = partial(norm, layer)


@torch.no_grad()
def spark_resnet(folder: Path, grid: tuple[int, int], hidden: int, **config):
    """The stages under masks of units of 32 pixels, and what two norms remember then."""
    model = resnet(**config)
    torch.save(model.state_dict(), folder / "model.pth")
    inputs = {"pixel_values": images(config["channels"], [32 * side for side in grid]), "noise": noise(grid)}
    bits = (inputs["noise"].argsort(1).argsort(1) < grid[0] * grid[1] - hidden).float()
    visible = bits.view(-1, 1, *grid)
    sparse(model, visible)
    shown = inputs["pixel_values"] * F.interpolate(visible, inputs["pixel_values"].shape[2:])
    stages = model.forward_intermediates(shown, indices=[1, 2, 3, 4], intermediates_only=True)
    outputs = {f"stage_{index}": tokens(stage) for index, stage in enumerate(stages)}
    for name, layer in [("first", model.bn1), ("last", model.layer4[-1].bn3)]:
        outputs |= {f"{name}_mean": layer.running_mean, f"{name}_variance": layer.running_var}
    write_io(folder, inputs, outputs)


def random_configuration(draw: random.Random) -> dict:
    return dict(
        bottleneck=draw.random() < 0.5,
        depths=[draw.randint(1, 3) for _ in range(4)],
        widths=tuple(draw.randint(1, 40) for _ in range(4)),
        channels=draw.randint(1, 5),
    )


RESNET = {
    "spark_resnet": (
        spark_resnet,
        dict(bottleneck=True, depths=[1, 2, 1, 1], widths=(4, 3, 5, 6), channels=2, grid=(2, 3), hidden=3),
    ),
    "timm_resnet_bottleneck": (
        timm_resnet,
        dict(bottleneck=True, depths=[2, 1, 1, 1], widths=(4, 3, 5, 6), channels=2, image_size=[64, 96]),
    ),
    # Sides that halve to odd ones; a stage of as many features as the one before.
    "timm_resnet_basic": (
        timm_resnet,
        dict(bottleneck=False, depths=[1, 2, 1, 1], widths=(5, 4, 4, 7), channels=1, image_size=[45, 70]),
    ),
}
