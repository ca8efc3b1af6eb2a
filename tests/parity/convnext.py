"""The fixtures of ConvNeXt V2: transformers' folders, and the official code's and timm's files."""

import re
from pathlib import Path

import torch
import transformers
from timm.models.convnext import ConvNeXt

from families import as_saved, fill, images, write_io, write_transformers
from reference import outputs_of


def convnext(
    folder: Path, resized: list[int] | None = None, labels: int = 0, save=as_saved, **config
):
    """`ConvNextV2Model`, or with a classifier of `labels` classes `ConvNextV2ForImageClassification`."""
    config = transformers.ConvNextV2Config(num_stages=len(config["depths"]), **config)
    if labels:
        config.num_labels = labels
        model = transformers.ConvNextV2ForImageClassification(config)
    else:
        model = transformers.ConvNextV2Model(config)
    inputs = {"pixel_values_resized": images(config.num_channels, resized)} if resized else {}
    write_transformers(folder, model, inputs, [], save)


def official_key(name: str) -> str:
    """How facebookresearch/ConvNeXt-V2 spells a parameter of transformers' ConvNextV2Model."""
    for pattern, spelling in [
        (r"^embeddings\.patch_embeddings\.", "downsample_layers.0.0."),
        (r"^embeddings\.layernorm\.", "downsample_layers.0.1."),
        (r"^encoder\.stages\.(\d+)\.downsampling_layer\.", r"downsample_layers.\1."),
        (r"^encoder\.stages\.(\d+)\.layers\.", r"stages.\1."),
        (r"^layernorm\.", "norm."),
        (r"\.layernorm\.", ".norm."),
        (r"\.grn\.weight$", ".grn.gamma"),
        (r"\.grn\.bias$", ".grn.beta"),
    ]:
        name = re.sub(pattern, spelling, name)
    return name


def official_convnext(folder: Path, pretrained: bool, **config):
    """The file of the official code, of pre-training without the norm of pooled features, with
    transformers' numbers."""
    shape = transformers.ConvNextV2Config(num_stages=len(config["depths"]), **config)
    model = transformers.ConvNextV2Model(shape).eval()
    fill(model, (1, 1))
    inputs = {"pixel_values": images(shape.num_channels, shape.image_size)}
    outputs = outputs_of(model, inputs)
    weights = {official_key(key): value for key, value in model.state_dict().items()}
    if pretrained:
        weights = {key: value for key, value in weights.items() if not key.startswith("norm.")}
    torch.save({"model": weights}, folder / "model.pth")
    write_io(folder, inputs, outputs)


def timm_convnext(folder: Path, image_size: list[int], channels: int, depths, widths):
    """timm's `ConvNeXt` as its version 2, with a classifier that an encoder has no use for."""
    model = ConvNeXt(
        in_chans=channels, num_classes=3, depths=depths, dims=widths, use_grn=True,
        ls_init_value=None,
    ).eval()
    fill(model, (1, 1))
    inputs = {"pixel_values": images(channels, image_size)}
    features = model.forward_features(inputs["pixel_values"])
    pooled = model.head(features, pre_logits=True)
    torch.save(model.state_dict(), folder / "model.pth")
    write_io(folder, inputs, {"features": features.flatten(2).mT, "pooled": pooled})


SMALL = dict(hidden_sizes=[8, 12, 20], depths=[1, 2, 1], patch_size=2)

CONVNEXT = {
    # 16 × 16, 8 × 8 and 4 × 4 cells.
    "convnext_v2_model": (convnext, SMALL | dict(image_size=32)),
    # 11 × 18, 5 × 9 and 2 × 4 cells: the last are left out.
    "convnext_v2_any_size": (
        convnext,
        SMALL | dict(image_size=[23, 37], num_channels=5, resized=[30, 19], layer_norm_eps=1e-3),
    ),
    # Four stages that do not double, of which two have equal widths.
    "convnext_v2_classifier": (
        convnext,
        dict(hidden_sizes=[6, 6, 9, 10], depths=[1, 1, 1, 2], patch_size=4, labels=3)
        | dict(image_size=[40, 64], num_channels=1),
    ),
    "official_convnext_v2": (official_convnext, SMALL | dict(image_size=16, pretrained=False)),
    "official_convnext_v2_fcmae": (
        official_convnext,
        SMALL | dict(image_size=[24, 16], num_channels=2, pretrained=True),
    ),
    "timm_convnext_v2": (
        timm_convnext,
        dict(image_size=[32, 48], channels=3, depths=(1, 1, 2, 1), widths=(4, 6, 8, 12)),
    ),
}
