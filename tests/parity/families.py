"""Writes one fixture of each family: draws its weights and inputs, runs it, saves all.

Weights are drawn so that every bias, norm, position and token matters; freshly initialized ones
would hide mistakes.
"""

import argparse
import json
import re
import sys
import types
import zlib
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from reference import grid_of, grids_that_are_not_square, outputs_of, sin_cos
from restated import Mae, SimMim

BATCH = 2


def seed(name: str):
    """Everything drawn for a folder follows from its name."""
    torch.manual_seed(zlib.crc32(name.encode()))


@torch.no_grad()
def fill(model: nn.Module, grid: tuple[int, int]):
    """Draws every weight; position tables are MAE's sin-cos table with some noise."""
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape)
        if re.search(r"pos(ition)?_embed", name):
            cells, width = grid[0] * grid[1], weight.shape[-1]
            values *= 0.1
            values.view(-1, width)[-cells:] += sin_cos(grid, width)
        elif re.search(r"(norm\w*|ln_\w+)\.weight$", name):
            values = 1 + 0.2 * values
        elif name.endswith(".bias"):
            values *= 0.2
        elif name.endswith("logit_scale"):
            values = weight + 0.5 * values
        elif weight.dim() == 1 or re.search(r"token$|table$", name):
            values *= 0.5
        else:
            values /= weight[0].numel() ** 0.5
        weight.copy_(values)


def images(channels: int, image_size) -> Tensor:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return torch.randn(BATCH, channels, height, width)


def noise(grid: tuple[int, int]) -> Tensor:
    """Masking noise in [0, 1): a permutation per sample, so that no two values are close."""
    cells = grid[0] * grid[1]
    return torch.stack([torch.randperm(cells) for _ in range(BATCH)]) / cells


def mask(grid: tuple[int, int], hidden: int) -> Tensor:
    """`hidden` ones in each sample, at different places."""
    return (noise(grid).argsort(1) < hidden).to(torch.uint8)


def write_io(folder: Path, inputs: dict, outputs: dict, gradients: dict | None = None):
    gradients = {f"grad.{key}": value for key, value in (gradients or {}).items()}
    tensors = inputs | outputs | gradients
    tensors = {key: value.detach().contiguous() for key, value in tensors.items()}
    save_file(tensors, folder / "io.safetensors")


def write_config(folder: Path, config: dict):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def gradients_of(model: nn.Module, loss: Tensor, names: list[str], spell=str) -> dict[str, Tensor]:
    """Gradients of the parameters in `names`, under the keys that `spell` makes of them."""
    gradients = torch.autograd.grad(loss.sum(), [model.get_parameter(name) for name in names])
    return {spell(name): gradient for name, gradient in zip(names, gradients, strict=True)}


def saved_key(name: str) -> str:
    """How `save_pretrained` spells a parameter of transformers 5: as older versions named it, but
    for the decoder's blocks, which get a name that no version had."""
    for pattern, spelling in [
        (r"^((?:vit\.)?)layers\.", r"\1encoder.layer."),
        (r"decoder\.decoder_layers\.", "decoder.decoder_encoder.layer."),
        (r"attention\.q_proj", "attention.attention.query"),
        (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
        (r"attention\.relative_position_bias\.", "attention.self."),
    ]:
        name = re.sub(pattern, spelling, name)
    if name.startswith(("swin.", "encoder.layers.")):
        name = name.replace("attention.attention.", "attention.self.")
    return name


def hub_key(name: str) -> str:
    """How the files on the hub spell it."""
    return saved_key(name).replace("decoder_encoder.layer.", "decoder_layers.")


def as_saved(folder: Path, model: nn.Module):
    model.save_pretrained(folder)


def as_on_the_hub(folder: Path, model: nn.Module):
    model.save_pretrained(folder)
    weights = {hub_key(name): value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def as_pytorch_bin(folder: Path, model: nn.Module):
    as_on_the_hub(folder, model)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_named_in_memory(folder: Path, model: nn.Module):
    model.save_pretrained(folder, save_original_format=False)


def in_shards(folder: Path, model: nn.Module):
    model.save_pretrained(folder, max_shard_size="20KB")


SPELLINGS = {as_on_the_hub: hub_key, as_pytorch_bin: hub_key, as_named_in_memory: str}


def write_transformers(folder: Path, model: nn.Module, inputs: dict, graded: list[str], save):
    """Fills, runs and saves a transformers model."""
    config = model.config
    fill(model.eval(), grid_of(config.image_size, config.patch_size))
    inputs = inputs | {"pixel_values": images(config.num_channels, config.image_size)}
    # Position tables that transformers freezes get a gradient here as the others do.
    model.requires_grad_()
    outputs = outputs_of(model, inputs)
    spell = SPELLINGS.get(save, saved_key)
    gradients = gradients_of(model, outputs["loss"], graded, spell) if graded else None
    save(folder, model)
    write_io(folder, inputs, outputs, gradients)


MAE_GRADED = [
    "vit.embeddings.cls_token",
    "vit.embeddings.patch_embeddings.projection.weight",
    "vit.layers.0.attention.q_proj.weight",
    "vit.layers.1.layernorm_after.weight",
    "decoder.mask_token",
    "decoder.decoder_layers.0.attention.v_proj.weight",
    "decoder.decoder_pred.bias",
]


def mae(folder: Path, save=as_saved, **config):
    """`ViTMAEForPreTraining`."""
    config = transformers.ViTMAEConfig(**config)
    with grids_that_are_not_square():
        model = transformers.ViTMAEForPreTraining(config)
    inputs = {"noise": noise(grid_of(config.image_size, config.patch_size))}
    write_transformers(folder, model, inputs, MAE_GRADED, save)


MIM_GRADED = [
    "vit.embeddings.mask_token",
    "vit.embeddings.position_embeddings",
    "vit.layers.0.attention.v_proj.weight",
    "decoder.0.weight",
    "decoder.0.bias",
]


def vit_mim(folder: Path, hidden: int, save=as_saved, **config):
    """`ViTForMaskedImageModeling`; its patch size must be its encoder stride."""
    config = transformers.ViTConfig(**config, encoder_stride=config["patch_size"])
    model = transformers.ViTForMaskedImageModeling(config)
    inputs = {"bool_masked_pos": mask(grid_of(config.image_size, config.patch_size), hidden)}
    write_transformers(folder, model, inputs, MIM_GRADED, save)


def vit_model(
    folder: Path, pooler: bool, resized: list[int] | None = None, save=as_saved, **config
):
    """`ViTModel`, with or without its pooler, which the features do not depend on."""
    config = transformers.ViTConfig(**config)
    model = transformers.ViTModel(config, add_pooling_layer=pooler)
    inputs = {"pixel_values_resized": images(config.num_channels, resized)} if resized else {}
    write_transformers(folder, model, inputs, [], save)


def vit_mae_model(folder: Path, save=as_saved, **config):
    """`ViTMAEModel`: its config names a decoder, its weights have none."""
    config = transformers.ViTMAEConfig(**config)
    model = transformers.ViTMAEModel(config)
    inputs = {"noise": noise(grid_of(config.image_size, config.patch_size))}
    write_transformers(folder, model, inputs, [], save)


def swin_mim(folder: Path, hidden: int, save=as_saved, **config):
    """`SwinForMaskedImageModeling`, hiding cells of its last stage."""
    model, inputs = swin_mim_model(hidden, **config)
    graded = graded_of(model, config)
    write_transformers(folder, model, inputs, graded, save)


def swin_mim_model(hidden: int, **config) -> tuple[nn.Module, dict]:
    is_v2 = "pretrained_window_sizes" in config
    make = transformers.Swinv2Config if is_v2 else transformers.SwinConfig
    scale = 2 ** (len(config["depths"]) - 1)
    config = make(**config, encoder_stride=config["patch_size"] * scale)
    rows, cols = grid_of(config.image_size, config.encoder_stride)
    masks = mask((rows, cols), hidden).reshape(-1, rows, cols)
    masks = masks.repeat_interleave(scale, 1).repeat_interleave(scale, 2).flatten(1)
    name = "Swinv2ForMaskedImageModeling" if is_v2 else "SwinForMaskedImageModeling"
    return getattr(transformers, name)(config), {"bool_masked_pos": masks}


def graded_of(model: nn.Module, config: dict) -> list[str]:
    prefix = model.base_model_prefix
    names = [f"{prefix}.embeddings.mask_token", "decoder.0.bias"]
    names.append(f"{prefix}.encoder.layers.0.downsample.reduction.weight")
    position = "continuous_position_bias_mlp.0.weight", "relative_position_bias_table"
    names += [
        name for name, _ in model.named_parameters() if "layers.0.blocks.1" in name
        and name.endswith((*position, "logit_scale"))
    ]
    return names


def swin_model(folder: Path, resized: list[int] | None = None, save=as_saved, **config):
    """`SwinModel` or `Swinv2Model`, also on images of another size than its own."""
    is_v2 = "pretrained_window_sizes" in config
    make = transformers.Swinv2Config if is_v2 else transformers.SwinConfig
    config = make(**config)
    model = (transformers.Swinv2Model if is_v2 else transformers.SwinModel)(config)
    inputs = {"pixel_values_resized": images(config.num_channels, resized)} if resized else {}
    write_transformers(folder, model, inputs, [], save)


IMAGE_GPT_GRADED = [
    "transformer.wte.weight",
    "transformer.h.0.attn.c_attn.weight",
    "transformer.h.1.ln_2.weight",
    "lm_head.weight",
]


def save_image_gpt(folder: Path, model: nn.Module):
    model.save_pretrained(folder)
    # How to sample is not part of the model.
    (folder / "generation_config.json").unlink(missing_ok=True)


def image_gpt(folder: Path, tokens: int, head: bool = True, **config):
    """`ImageGPTForCausalImageModeling` or, without its head, `ImageGPTModel`."""
    config = transformers.ImageGPTConfig(**config)
    kind = transformers.ImageGPTForCausalImageModeling if head else transformers.ImageGPTModel
    model = kind(config)
    fill(model.eval(), (1, 1))
    inputs = {"input_ids": torch.randint(0, config.vocab_size, (BATCH, tokens))}
    save_image_gpt(folder, model)
    write_io(folder, inputs, outputs_of(model, inputs))


def image_gpt_loss(folder: Path, colors: int, **config):
    """`ImageGPTForCausalImageModeling` with a palette, on whole images of 3 x 3 pixels."""
    config = transformers.ImageGPTConfig(**config, vocab_size=colors + 1, n_positions=9)
    model = transformers.ImageGPTForCausalImageModeling(config)
    fill(model.eval(), (1, 1))
    pixels = torch.randint(0, colors, (BATCH, 9))
    start = torch.full((BATCH, 1), colors)
    inputs = {"input_ids": torch.cat([start, pixels[:, :-1]], 1), "image_ids": pixels}
    outputs = outputs_of(model, inputs)
    gradients = gradients_of(model, outputs["loss"], IMAGE_GPT_GRADED)
    save_image_gpt(folder, model)
    clusters = torch.rand(colors, 3) * 2 - 1
    transformers.ImageGPTImageProcessor(clusters=clusters.tolist()).save_pretrained(folder)
    write_io(folder, inputs, outputs, gradients)


def timm_vit(folder: Path, **config):
    """timm's `VisionTransformer`, with a classifier that an encoder has no use for."""
    model = VisionTransformer(
        img_size=tuple(config["image_size"]),
        patch_size=config["patch_size"],
        in_chans=config["channels"],
        embed_dim=config["width"],
        depth=config["depth"],
        num_heads=config["heads"],
        mlp_ratio=config["mlp_ratio"],
        qkv_bias=config["qkv_bias"],
        init_values=0.1 if config["layer_scale"] else None,
        class_token=config["class_token"],
        global_pool="token" if config["class_token"] else "avg",
        fc_norm=False,
        norm_layer=lambda width, **rest: nn.LayerNorm(width, eps=config["eps"], **rest),
        num_classes=3,
    )
    fill(model.eval(), grid_of(config["image_size"], config["patch_size"]))
    inputs = {"pixel_values": images(config["channels"], config["image_size"])}
    write_config(folder, config)
    save_file(model.state_dict(), folder / "model.safetensors")
    write_io(folder, inputs, {"features": model.forward_features(inputs["pixel_values"])})


def training_state(model: nn.Module) -> dict:
    """A checkpoint as a training run leaves it, after one step."""
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned[:2], lr=0.0, weight_decay=0.0)
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}


def official_mae(folder: Path, **config):
    """The official MAE layout: the encoder alone as published, in both container formats that
    `torch.save` has had; the full one as a training run leaves it, with the pickled
    `argparse.Namespace` of its command line."""
    model = Mae(config)
    grid = grid_of(config["image_size"], config["patch_size"])
    fill(model, grid)
    pixels = images(config["channels"], config["image_size"])
    inputs = {"pixel_values": pixels, "noise": noise(grid)}
    outputs = model.outputs(inputs)
    state, gradients = {"model": model.state_dict()}, None
    if "decoder_width" in config:
        graded = ["cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"]
        graded += ["mask_token", "decoder_pred.bias"]
        gradients = gradients_of(model, outputs["loss"], graded)
        for key, value in gradients.items():
            model.get_parameter(key).grad = value
        arguments = argparse.Namespace(model="mae_vit_tiny", epochs=4, output_dir="out")
        state = training_state(model) | {"scaler": {"scale": 65536.0}, "args": arguments}
    else:
        # Its storages are named by their addresses in memory: these bytes differ in every run.
        torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(state, folder / "model.pth")
    write_config(folder, config)
    write_io(folder, inputs, outputs, gradients)


def yacs_config(content: dict) -> dict:
    """A dictionary that pickles as `yacs.config.CfgNode`, which SimMIM's checkpoints hold."""
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module = types.ModuleType("yacs.config")
    module.CfgNode = node
    sys.modules.setdefault("yacs", types.ModuleType("yacs"))
    sys.modules["yacs.config"] = module
    config = node(content)
    config.__dict__["__immutable__"] = True
    return config


def official_simmim(folder: Path, hidden: int, **config):
    """The official SimMIM layout on a vision transformer, as a training run leaves it."""
    model = SimMim(config)
    grid = grid_of(config["image_size"], config["patch_size"])
    fill(model, grid)
    pixels = images(config["channels"], config["image_size"])
    inputs = {"pixel_values": pixels, "bool_masked_pos": mask(grid, hidden)}
    outputs = model.outputs(inputs)
    graded = ["encoder.mask_token", "encoder.rel_pos_bias.relative_position_bias_table"]
    graded += ["encoder.blocks.0.attn.v_bias", "encoder.blocks.0.gamma_1", "decoder.0.bias"]
    gradients = gradients_of(model, outputs["loss"], graded)
    for key, value in gradients.items():
        model.get_parameter(key).grad = value
    extra = {"lr_scheduler": {}, "max_accuracy": 0.0, "config": yacs_config({"TAG": "tiny"})}
    write_config(folder, config)
    torch.save(training_state(model) | extra, folder / "model.pth")
    write_io(folder, inputs, outputs, gradients)


def official_swin_key(name: str) -> str:
    """How the official code spells what `save_pretrained` writes of either Swin."""
    for pattern, spelling in [
        (r"^swin(v2)?\.", "encoder."),
        (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
        (r"embeddings\.norm", "patch_embed.norm"),
        (r"embeddings\.mask_token", "mask_token"),
        (r"encoder\.encoder\.layers", "encoder.layers"),
        (r"encoder\.layernorm\.", "encoder.norm."),
        (r"layernorm_before", "norm1"),
        (r"layernorm_after", "norm2"),
        (r"attention\.output\.dense", "attn.proj"),
        (r"attention\.self\.continuous_position_bias_mlp", "attn.rpe_mlp"),
        (r"attention\.self", "attn"),
        (r"intermediate\.dense", "mlp.fc1"),
        (r"output\.dense", "mlp.fc2"),
    ]:
        name = re.sub(pattern, spelling, name)
    return name


def official_swin_weights(saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a saved folder as the official code has them: query, key and value fused, the
    biases of Swin-v2 apart, and buffers that hold no weights."""
    weights = {official_swin_key(name): value for name, value in saved.items()}
    for query in [name for name in weights if name.endswith("attn.query.weight")]:
        block = query.removesuffix("query.weight")
        parts = [weights.pop(f"{block}{part}.weight") for part in ("query", "key", "value")]
        weights[f"{block}qkv.weight"] = torch.cat(parts)
        if f"{block}key.bias" in weights:
            parts = [weights.pop(f"{block}{part}.bias") for part in ("query", "key", "value")]
            weights[f"{block}qkv.bias"] = torch.cat(parts)
        elif f"{block}query.bias" in weights:
            weights[f"{block}q_bias"] = weights.pop(f"{block}query.bias")
            weights[f"{block}v_bias"] = weights.pop(f"{block}value.bias")
        weights[f"{block}relative_position_index"] = torch.zeros(4, 4, dtype=torch.int64)
    weights["encoder.layers.0.blocks.1.attn_mask"] = torch.zeros(4, 9, 9)
    return weights


def official_swin_simmim(folder: Path, hidden: int, **config):
    """The official SimMIM layout on Swin or Swin-v2, as a training run leaves it: transformers'
    model, whose numbers are the official code's, under its names."""
    model, inputs = swin_mim_model(hidden, **config)
    write_transformers(folder, model, inputs, [], as_saved)
    weights = official_swin_weights(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    state = {"model": weights, "config": yacs_config({"TAG": "tiny"}), "max_accuracy": 0.0}
    torch.save(state, folder / "model.pth")
