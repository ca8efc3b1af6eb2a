"""Writes the fixtures of what a vision transformer may have besides: timm's registers, query-key
norm, root-mean-square norm, SwiGLU, DeiT's distillation token, and DINOv3's rotary positions."""

from pathlib import Path

from safetensors.torch import save_file
from timm.layers import RmsNorm, SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from families import fill, images, write_config, write_io
from reference import grid_of


def norm_layer(config: dict):
    """The norm of `config`, whose epsilon timm leaves to whoever makes it."""
    kind = RmsNorm if config.get("rms_norm") else nn.LayerNorm
    return lambda width, **rest: kind(width, **(rest | dict(eps=config["eps"])))


def write(folder: Path, model: nn.Module, config: dict):
    fill(model.eval(), grid_of(config["image_size"], config["patch_size"]))
    inputs = {"pixel_values": images(config["channels"], config["image_size"])}
    write_config(folder, config)
    save_file(model.state_dict(), folder / "model.safetensors")
    outputs = {"features": model.forward_features(inputs["pixel_values"])}
    if "resized" in config:
        inputs["pixel_values_resized"] = images(config["channels"], config["resized"])
        outputs["features_resized"] = model.forward_features(inputs["pixel_values_resized"])
    write_io(folder, inputs, outputs)


def timm_vit_parts(folder: Path, **config):
    """timm's `VisionTransformer`, whose class token, if it has one, and registers have no positions,
    as in DINOv2 with registers."""
    class_token = config.get("class_token", False)
    mlp = dict(mlp_layer=SwiGLUPacked, act_layer=nn.SiLU) if config.get("swiglu") else {}
    model = VisionTransformer(
        img_size=tuple(config["image_size"]),
        patch_size=config["patch_size"],
        in_chans=config["channels"],
        embed_dim=config["width"],
        depth=config["depth"],
        num_heads=config["heads"],
        # timm counts gates and values together.
        mlp_ratio=config["mlp_ratio"] * (2 if config.get("swiglu") else 1),
        qk_norm=config.get("query_key_norm", False),
        reg_tokens=config.get("registers", 0),
        no_embed_class=True,
        init_values=0.1 if config.get("layer_scale") else None,
        class_token=class_token,
        global_pool="token" if class_token else "avg",
        fc_norm=False,
        norm_layer=norm_layer(config),
        num_classes=0,
        **mlp,
    )
    write(folder, model, config | dict(class_token=class_token))


def timm_dinov3(folder: Path, **config):
    """timm's `Eva` as DINOv3 has it: rotary positions alone, class token, registers, layer scale."""
    model = Eva(
        img_size=tuple(config["image_size"]),
        patch_size=config["patch_size"],
        in_chans=config["channels"],
        embed_dim=config["width"],
        depth=config["depth"],
        num_heads=config["heads"],
        mlp_ratio=config["mlp_ratio"],
        qkv_bias=False,
        init_values=0.1,
        num_reg_tokens=config["registers"],
        use_abs_pos_emb=False,
        use_rot_pos_emb=True,
        rope_type="dinov3",
        rope_temperature=config["rotary"],
        rope_rotate_half=True,
        use_fc_norm=False,
        dynamic_img_size=True,
        norm_layer=norm_layer(config),
        num_classes=0,
    )
    write(folder, model, config | dict(qkv_bias=False, layer_scale=True))


def timm_deit(folder: Path, **config):
    """timm's `VisionTransformerDistilled`: two class tokens, each with a position."""
    model = VisionTransformerDistilled(
        img_size=tuple(config["image_size"]),
        patch_size=config["patch_size"],
        in_chans=config["channels"],
        embed_dim=config["width"],
        depth=config["depth"],
        num_heads=config["heads"],
        mlp_ratio=config["mlp_ratio"],
        norm_layer=norm_layer(config),
        num_classes=0,
    )
    write(folder, model, config)
