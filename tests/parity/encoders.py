"""The fixtures of transformers' vision transformers that are encoders alone, and of data2vec's."""

from pathlib import Path

import torch
import transformers
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

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


def alternative_block(p: dict, name: str, x: torch.Tensor, heads: int) -> torch.Tensor:
    """A block whose norms follow its branches."""
    apply = lambda layer, x: x @ p[f"{name}.{layer}.weight"].T + p[f"{name}.{layer}.bias"]
    norm = lambda layer, x: F.layer_norm(
        x, x.shape[-1:], p[f"{name}.{layer}.weight"], p[f"{name}.{layer}.bias"], 1e-6
    )
    query, key, value = apply("attn.qkv", x).unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    x = norm("norm1", x + apply("attn.proj", mixed))
    return norm("norm2", x + apply("mlp.fc2", F.gelu(apply("mlp.fc1", x))))


def official_data2vec(folder: Path, first: int, **config):
    """The file that data2vec 2.0's own training leaves of a model of images (fairseq,
    examples/data2vec/models/data2vec2.py): the student, of whose blocks the `first` are counted apart,
    its decoder, and its moving average. Restated from there."""
    width, patch, heads = config["width"], config["patch_size"], config["heads"]
    rows, cols = grid_of(config["image_size"], patch)
    image, inner = "modality_encoders.IMAGE", int(width * config["mlp_ratio"])
    shapes = {f"{image}.extra_tokens": (1, 1, width)}
    shapes[f"{image}.local_encoder.proj.weight"] = (width, config["channels"], patch, patch)
    shapes |= {f"{image}.local_encoder.proj.bias": (width,)}
    shapes |= {f"{image}.context_encoder.norm.{part}": (width,) for part in ["weight", "bias"]}
    blocks = [f"{image}.context_encoder.blocks.{index}" for index in range(first)]
    blocks += [f"blocks.{index}" for index in range(config["depth"] - first)]
    for block in blocks:
        for name, outputs, inputs in [
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", inner, width),
            ("mlp.fc2", width, inner),
        ]:
            shapes |= {f"{block}.{name}.weight": (outputs, inputs), f"{block}.{name}.bias": (outputs,)}
        for name in ["norm1", "norm2"]:
            shapes |= {f"{block}.{name}.{part}": (width,) for part in ["weight", "bias"]}
    draw = lambda shape: torch.randn(shape) / (shape[-1] ** 0.5 if len(shape) == 2 else 2.0)
    state = {key: draw(shape) for key, shape in shapes.items()}
    state[f"{image}.fixed_positional_encoder.positions"] = torch.randn(1, rows * cols, width)
    ema = {key: value + 1.0 for key, value in state.items()}
    state[f"{image}.decoder.proj.weight"] = torch.randn(width, 3)
    pixels = images(config["channels"], config["image_size"])
    x = F.conv2d(
        pixels,
        state[f"{image}.local_encoder.proj.weight"],
        state[f"{image}.local_encoder.proj.bias"],
        stride=patch,
    )
    x = x.flatten(2).mT + state[f"{image}.fixed_positional_encoder.positions"]
    x = torch.cat([state[f"{image}.extra_tokens"].expand(len(x), 1, width), x], 1)
    norm = [state[f"{image}.context_encoder.norm.{part}"] for part in ["weight", "bias"]]
    x = F.layer_norm(x, (width,), *norm, 1e-6)
    for block in blocks:
        x = alternative_block(state, block, x, heads)
    model = {"model": state | {"_ema": ema}, "cfg": {"model": {"_name": "data2vec_multi"}}}
    torch.save(model | {"extra_state": {"epoch": 3}}, folder / "model.pt")
    write_config(folder, config | {"first": first})
    write_io(folder, {"pixel_values": pixels}, {"features": x})


SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, patch_size=4)
PLAIN = SIZES | dict(intermediate_size=40)

ENCODERS = {
    # Of three blocks the first is counted apart; not square.
    "official_data2vec": (
        official_data2vec,
        dict(patch_size=4, width=8, depth=3, heads=2, mlp_ratio=2.0, first=1)
        | dict(channels=2, image_size=[8, 20]),
    ),
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
