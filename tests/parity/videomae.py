"""The fixtures of transformers' VideoMAE."""

from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from families import (
    BATCH,
    as_named_in_memory,
    as_saved,
    fill,
    gradients_of,
    write_io,
)
from reference import outputs_of


def clips(config) -> Tensor:
    size = config.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return torch.randn(BATCH, config.num_frames, config.num_channels, height, width)


def cells_of(config) -> int:
    size = config.image_size
    height, width = (size, size) if isinstance(size, int) else size
    space = (height // config.patch_size) * (width // config.patch_size)
    return config.num_frames // config.tubelet_size * space


def masks(config, hidden: int) -> Tensor:
    """`hidden` ones in each sample, at different cells."""
    orders = torch.stack([torch.randperm(cells_of(config)) for _ in range(BATCH)])
    return (orders < hidden).to(torch.uint8)


def saved_key(name: str) -> str:
    """How `save_pretrained` spells a parameter."""
    name = name.replace("attention.query.bias", "attention.q_bias")
    return name.replace("attention.value.bias", "attention.v_bias")


GRADED = [
    "videomae.embeddings.patch_embeddings.projection.weight",
    "videomae.encoder.layer.0.attention.attention.query.weight",
    "videomae.encoder.layer.1.layernorm_after.weight",
    "encoder_to_decoder.weight",
    "mask_token",
    "decoder.decoder_layers.0.attention.attention.value.weight",
    "decoder.norm.weight",
    "decoder.head.bias",
]


def videomae(folder: Path, hidden: int, save=as_saved, **config):
    """`VideoMAEForPreTraining`."""
    config = transformers.VideoMAEConfig(**config)
    model = transformers.VideoMAEForPreTraining(config)
    fill(model.eval(), (1, 1))
    inputs = {"pixel_values": clips(config), "bool_masked_pos": masks(config, hidden)}
    outputs = outputs_of(model, inputs)
    spell = str if save is as_named_in_memory else saved_key
    graded = [name for name in GRADED if name in dict(model.named_parameters())]
    save(folder, model)
    write_io(folder, inputs, outputs, gradients_of(model, outputs["loss"], graded, spell))


def videomae_encoder(folder: Path, name: str, hidden: int = 0, save=as_saved, **config):
    """The class `name`, of which the encoder is run, on visible cells alone where some are hidden."""
    config = transformers.VideoMAEConfig(**config)
    model: nn.Module = getattr(transformers, name)(config)
    fill(model.eval(), (1, 1))
    inputs = {"pixel_values": clips(config)}
    if hidden:
        inputs["bool_masked_pos"] = masks(config, hidden)
    save(folder, model)
    write_io(folder, inputs, outputs_of(model, inputs))


# Two tubelets of two frames, 2 × 3 cells each; the decoder is another network than the encoder.
SIZES = dict(
    image_size=[8, 12],
    patch_size=4,
    num_frames=4,
    tubelet_size=2,
    num_channels=3,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=20,
    use_mean_pooling=False,
    decoder_hidden_size=10,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=14,
)

VIDEOMAE = {
    "videomae": (videomae, SIZES | dict(hidden=8)),
    "videomae_raw": (
        videomae,
        SIZES | dict(hidden=5, norm_pix_loss=False, save=as_named_in_memory, hidden_act="relu"),
    ),
    # One channel, as it comes; no norm after the encoder; no biases.
    "videomae_gray": (
        videomae,
        SIZES | dict(hidden=9, num_channels=1, num_frames=6, tubelet_size=3, qv_bias=False)
        | dict(use_mean_pooling=True, layer_norm_eps=1e-3, decoder_num_hidden_layers=2)
        | dict(image_size=[12, 8]),
    ),
    "videomae_model": (videomae_encoder, SIZES | dict(name="VideoMAEModel")),
    "videomae_model_masked": (
        videomae_encoder,
        SIZES | dict(name="VideoMAEModel", hidden=7, tubelet_size=1, num_frames=3)
        | dict(use_mean_pooling=True, image_size=8, save=as_named_in_memory),
    ),
    "videomae_classifier": (
        videomae_encoder,
        SIZES | dict(name="VideoMAEForVideoClassification", use_mean_pooling=True, num_labels=3),
    ),
}
