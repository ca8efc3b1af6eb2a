"""The fixtures of Hiera: transformers' classes, and the official names."""

import re
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

from families import as_saved, fill, gradients_of, images, noise, write_io
from reference import outputs_of

GRADED = [
    "hiera.embeddings.patch_embeddings.projection.weight",
    "hiera.embeddings.position_embeddings",
    "hiera.encoder.stages.0.layers.0.attn.qkv.weight",
    "hiera.encoder.stages.1.layers.0.proj.weight",
    "hiera.encoder.stages.1.layers.0.attn.qkv.bias",
    "multiscale_fusion.multi_scale_fusion_heads.0.weight",
    "encoder_norm.weight",
    "decoder.mask_token",
    "decoder.decoder_position_embeddings",
    "decoder.decoder_pred.bias",
]


def tokens(config: transformers.HieraConfig) -> tuple[int, int]:
    """Rows and columns of tokens."""
    return tuple(side // step for side, step in zip(config.image_size, config.patch_stride))


def units(config: transformers.HieraConfig) -> tuple[int, int]:
    """Rows and columns of mask units."""
    return tuple(side // unit for side, unit in zip(tokens(config), config.masked_unit_size))


def hiera_mae(folder: Path, **config):
    """`HieraForPreTraining`."""
    config = transformers.HieraConfig(**config)
    model = transformers.HieraForPreTraining(config)
    # A table of zeros in place of sin-cos positions, of which a width of 4 is the least.
    fill(model.eval(), (1, 1))
    inputs = {
        "pixel_values": images(config.num_channels, config.image_size),
        "noise": noise(units(config)),
    }
    outputs = outputs_of(model, inputs)
    gradients = gradients_of(model, outputs["loss"], GRADED)
    as_saved(folder, model)
    write_io(folder, inputs, outputs, gradients)


def hiera_model(folder: Path, pooler: bool = False, resized: list[int] | None = None, **config):
    """`HieraModel`, also on images of another size than its own."""
    config = transformers.HieraConfig(**config)
    model = transformers.HieraModel(config, add_pooling_layer=pooler)
    fill(model.eval(), (1, 1))
    inputs = {"pixel_values": images(config.num_channels, config.image_size)}
    if resized:
        inputs["pixel_values_resized"] = images(config.num_channels, resized)
    as_saved(folder, model)
    write_io(folder, inputs, outputs_of(model, inputs))


def hiera_classifier(folder: Path, **config):
    """`HieraForImageClassification`, with its logits."""
    config = transformers.HieraConfig(**config)
    model = transformers.HieraForImageClassification(config)
    fill(model.eval(), (1, 1))
    inputs = {"pixel_values": images(config.num_channels, config.image_size)}
    as_saved(folder, model)
    write_io(folder, inputs, outputs_of(model, inputs))


def official_key(name: str, depths: list[int]) -> str:
    """How the official code spells what `save_pretrained` writes: transformers'
    `convert_hiera_to_hf.py` the other way round."""
    def block(found: re.Match) -> str:
        stage, layer = int(found[1]), int(found[2])
        return f"blocks.{sum(depths[:stage]) + layer}."

    for pattern, spelling in [
        (r"^hiera\.", ""),
        (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
        (r"embeddings\.position_embeddings", "pos_embed"),
        (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.", block),
        (r"layernorm_before", "norm1"),
        (r"layernorm_after", "norm2"),
        (r"pooler\.layernorm", "norm"),
        (r"^classifier", "head.projection"),
        (r"multiscale_fusion\.", ""),
        (r"decoder\.mask_token", "mask_token"),
        (r"decoder\.decoder_position_embeddings", "decoder_pos_embed"),
        (r"decoder\.decoder_block\.layers", "decoder_blocks"),
        (r"decoder\.decoder_embeddings", "decoder_embed"),
        (r"decoder\.decoder_", "decoder_"),
    ]:
        name = re.sub(pattern, spelling, name)
    return name


def official_hiera(folder: Path, make, **config):
    """A file of the official code (facebookresearch/hiera): transformers' model under its names,
    below `model_state` as the published files have them."""
    make(folder, **config)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    depths = config["depths"]
    state = {official_key(name, depths): value for name, value in weights.items()}
    torch.save({"model_state": state}, folder / "model.pth")


# Tokens of 2 pixels in mask units of 4 × 4, of which the second of three stages makes 2 × 2.
SMALL = dict(
    embed_dim=4,
    depths=[1, 2, 1],
    num_heads=[1, 2, 4],
    num_query_pool=1,
    masked_unit_size=[4, 4],
    masked_unit_attention=[True, False, False],
    mlp_ratio=1.5,
    patch_size=[3, 3],
    patch_stride=[2, 2],
    patch_padding=[1, 1],
)
DECODER = dict(decoder_hidden_size=12, decoder_depth=1, decoder_num_heads=3)
FUSED = SMALL | DECODER
# Four stages of one or two blocks on mask units of 8 × 8 tokens, of which three pool.
DEEP = SMALL | dict(
    depths=[1, 1, 2, 1],
    num_heads=[1, 2, 2, 4],
    num_query_pool=3,
    masked_unit_size=[8, 8],
    masked_unit_attention=[True, True, False, False],
)

HIERA = {
    "hiera_mae": (hiera_mae, FUSED | dict(image_size=[16, 24])),
    # All that can pool do so: a cell is a mask unit.
    "hiera_mae_pooled": (
        hiera_mae,
        FUSED | dict(image_size=[16, 32], num_query_pool=2, num_channels=1, mask_ratio=0.7)
        | dict(normalize_pixel_loss=False, layer_norm_eps=1e-3, mlp_ratio=2.7),
    ),
    # Attention within units in a stage that does not pool: transformers' windows are smaller there.
    "hiera_mae_windows": (
        hiera_mae,
        FUSED | dict(image_size=[24, 16], masked_unit_attention=[True, True, True])
        | dict(num_channels=2, mask_ratio=0.5),
    ),
    "hiera_model": (hiera_model, DEEP | dict(image_size=[32, 32], pooler=True, resized=[48, 16])),
    # Not all that can pool do: the last tokens lie group by group. The published patches.
    "hiera_model_unpooled": (
        hiera_model,
        DEEP | dict(image_size=[32, 64], num_query_pool=2, patch_size=[7, 7])
        | dict(patch_stride=[4, 4], patch_padding=[3, 3], num_channels=1),
    ),
    # Mask units of more tokens than lie together, and oblong strides.
    "hiera_model_oblong": (
        hiera_model,
        SMALL | dict(image_size=[16, 36], query_stride=[2, 3], masked_unit_size=[4, 18])
        | dict(num_query_pool=2, patch_size=[4, 5], patch_stride=[2, 1], patch_padding=[1, 2]),
    ),
    "hiera_classifier": (hiera_classifier, SMALL | dict(image_size=[16, 24], num_labels=3)),
    "official_hiera_mae": (official_hiera, FUSED | dict(make=hiera_mae, image_size=[16, 24])),
    "official_hiera": (
        official_hiera,
        DEEP | dict(make=hiera_classifier, image_size=[16, 32], num_labels=3),
    ),
}
