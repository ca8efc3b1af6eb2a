"""The fixtures of transformers' vision transformers that are encoders alone, and of data2vec's."""

from pathlib import Path

import torch
import transformers
from timm.models.vision_transformer import VisionTransformer

from families import (
    as_named_in_memory,
    as_saved,
    fill,
    images,
    write_config,
    write_io,
    write_transformers,
)
from reference import grid_of, outputs_of


def encoder(folder: Path, name: str, resized: list[int] | None = None, save=as_saved, **config):
    """The model of the class `name`, also on images of another size than its own."""
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**config))
    inputs = {"pixel_values_resized": images(model.config.num_channels, resized)} if resized else {}
    write_transformers(folder, model, inputs, [], save)


def clip_model(folder: Path, vision: dict, text: dict):
    """A whole `CLIPModel`, of which the vision transformer alone is run."""
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=8)
    model = transformers.CLIPModel(config).eval()
    fill(model, grid_of(vision["image_size"], vision["patch_size"]))
    inputs = {"pixel_values": images(3, vision["image_size"])}
    model.save_pretrained(folder)
    write_io(folder, inputs, outputs_of(model, inputs))


def official_ijepa(folder: Path, **config):
    """The file that I-JEPA's own training leaves (facebookresearch/ijepa, `save_checkpoint` in
    src/train.py): encoder, predictor and the encoder's moving average, each named as
    `DistributedDataParallel` names it. Its encoder is timm's without a class token."""
    encoder, target = (
        VisionTransformer(
            img_size=tuple(config["image_size"]),
            patch_size=config["patch_size"],
            in_chans=config["channels"],
            embed_dim=config["width"],
            depth=config["depth"],
            num_heads=config["heads"],
            mlp_ratio=config["mlp_ratio"],
            class_token=False,
            global_pool="avg",
            fc_norm=False,
            num_classes=0,
        ).eval()
        for _ in range(2)
    )
    grid = grid_of(config["image_size"], config["patch_size"])
    fill(encoder, grid)
    fill(target, grid)
    optimizer = torch.optim.AdamW([encoder.norm.weight])
    optimizer.zero_grad()
    encoder.norm.weight.sum().backward()
    optimizer.step()
    narrow, cells = 8, grid[0] * grid[1]
    predictor = {
        "predictor_embed.weight": torch.randn(narrow, config["width"]),
        "predictor_embed.bias": torch.randn(narrow),
        "mask_token": torch.randn(1, 1, narrow),
        "predictor_pos_embed": torch.randn(1, cells, narrow),
        "predictor_blocks.0.norm1.weight": torch.randn(narrow),
        "predictor_norm.weight": torch.randn(narrow),
    }
    parallel = lambda state: {f"module.{key}": value for key, value in state.items()}
    state = {
        "encoder": parallel(encoder.state_dict()),
        "predictor": parallel(predictor),
        "target_encoder": parallel(target.state_dict()),
        "opt": optimizer.state_dict(),
        "scaler": None,
        "epoch": 3,
        "loss": 0.5,
        "batch_size": 2,
        "world_size": 1,
        "lr": 1e-3,
    }
    torch.save(state, folder / "model.pth.tar")
    write_config(folder, config)
    inputs = {"pixel_values": images(config["channels"], config["image_size"])}
    write_io(folder, inputs, {"features": target.forward_features(inputs["pixel_values"])})


SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, patch_size=4)
PLAIN = SIZES | dict(intermediate_size=40)

ENCODERS = {
    "msn_model": (
        encoder,
        PLAIN | dict(name="ViTMSNModel", image_size=12, resized=[8, 20]),
    ),
    "msn_memory_spelling": (
        encoder,
        PLAIN | dict(name="ViTMSNModel", save=as_named_in_memory, image_size=[8, 20])
        | dict(num_channels=1, qkv_bias=False, hidden_act="relu", layer_norm_eps=1e-3),
    ),
    # The published form: a mean is pooled, so that there is no final norm.
    "data2vec_shared": (
        encoder,
        PLAIN | dict(name="Data2VecVisionModel", image_size=16, resized=[12, 28])
        | dict(use_shared_relative_position_bias=True),
    ),
    "data2vec_per_block": (
        encoder,
        PLAIN | dict(name="Data2VecVisionModel", image_size=12, num_channels=1)
        | dict(use_relative_position_bias=True, use_absolute_position_embeddings=True)
        | dict(use_mean_pooling=False, use_mask_token=True, layer_scale_init_value=0.0),
    ),
    "ijepa_model": (encoder, PLAIN | dict(name="IJepaModel", image_size=12, resized=[8, 20])),
    "ijepa_not_square": (
        encoder,
        PLAIN | dict(name="IJepaModel", image_size=[8, 20], num_channels=2, qkv_bias=False),
    ),
    # Heads of 64 features, as the file does not say how many there are.
    "official_ijepa": (
        official_ijepa,
        dict(image_size=[12, 12], channels=1, patch_size=4, width=64, depth=1, heads=1)
        | dict(mlp_ratio=1.0, eps=1e-6, class_token=False),
    ),
    "dinov2_model": (
        encoder,
        SIZES | dict(name="Dinov2Model", image_size=12, mlp_ratio=2, resized=[8, 20]),
    ),
    "dinov2_gated": (
        encoder,
        SIZES | dict(name="Dinov2Model", image_size=8, use_swiglu_ffn=True, mlp_ratio=3)
        | dict(use_mask_token=False, qkv_bias=False, num_channels=1),
    ),
    "dinov2_gated_memory_spelling": (
        encoder,
        SIZES | dict(name="Dinov2Model", image_size=8, use_swiglu_ffn=True, mlp_ratio=3)
        | dict(save=as_named_in_memory),
    ),
    # Fewer rows than its own, and more columns.
    "dinov2_registers": (
        encoder,
        SIZES | dict(name="Dinov2WithRegistersModel", image_size=20, resized=[12, 28])
        | dict(num_register_tokens=3, mlp_ratio=2),
    ),
    "clip_vision": (
        encoder,
        PLAIN | dict(name="CLIPVisionModel", image_size=12, resized=[8, 20]),
    ),
    "clip_model": (
        clip_model,
        dict(
            vision=PLAIN | dict(image_size=8),
            text=dict(hidden_size=12, intermediate_size=16, num_hidden_layers=2)
            | dict(num_attention_heads=2, vocab_size=9, max_position_embeddings=7)
            | dict(bos_token_id=0, eos_token_id=1, pad_token_id=2),
        ),
    ),
}
