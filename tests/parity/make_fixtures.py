"""Writes the fixtures of the parity tests: small models with their inputs and expected outputs.

    pip install -r tests/parity/requirements.txt
    python tests/parity/make_fixtures.py            # all of them, beside this file
    python tests/parity/make_fixtures.py mae_gray   # only those named

Every folder holds the weights as their publisher lays them out, a `config.json`, and an
`io.safetensors` whose tensors are described in reference.py:

    mae_*, vit_mim_*      transformers' ViTMAEForPreTraining and ViTForMaskedImageModeling
    vit_model*            transformers' ViTModel (encoder alone)
    vit_mae_model*        transformers' ViTMAEModel (encoder alone)
    timm_vit_*            timm's VisionTransformer
    official_mae_*        facebookresearch/mae, `.pth`, restated in restated.py
    official_simmim_*     microsoft/SimMIM, `.pth`, restated in restated.py

The first four groups' `config.json` is transformers' own; timm's and the official files carry no
complete one, so theirs has fields of our own. `ops.safetensors` has single operations.

Seeds are fixed and follow from a folder's name: the weights and inputs come out the same anywhere,
the outputs up to the last bits of a processor's arithmetic. Weights are drawn so that every bias,
norm, position and token matters; freshly initialised ones would hide mistakes.
"""

import argparse
import json
import re
import shutil
import sys
import types
import zlib
from pathlib import Path

import torch
import transformers
from check_restated import check_restated
from reference import grid_of, grids_that_are_not_square, outputs_of, sin_cos
from restated import Mae, SimMim
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).parent
LIMIT = 300_000
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
            values[0, weight.shape[1] - cells :] += sin_cos(grid, width)
        elif re.search(r"norm\w*\.weight$", name):
            values = 1 + 0.2 * values
        elif name.endswith(".bias"):
            values *= 0.2
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


def gradients_of(model: nn.Module, loss: Tensor, names: dict[str, str]) -> dict[str, Tensor]:
    """Gradients of the parameters in `names`, under the keys it gives them."""
    parameters = [model.get_parameter(name) for name in names]
    return dict(zip(names.values(), torch.autograd.grad(loss.sum(), parameters)))


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
    ]:
        name = re.sub(pattern, spelling, name)
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
    names = {name: spell(name) for name in graded}
    gradients = gradients_of(model, outputs["loss"], names) if graded else None
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
    """The official MAE layout. The full one is a training checkpoint, which pickles the command
    line's `argparse.Namespace`; the encoder alone is as published. Both container formats of
    `torch.save` have been in use: `legacy.pth` has the same content as `model.pth`."""
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
        gradients = gradients_of(model, outputs["loss"], dict(zip(graded, graded)))
        for key, value in gradients.items():
            model.get_parameter(key).grad = value
        arguments = argparse.Namespace(model="mae_vit_tiny", epochs=4, output_dir="out")
        state = training_state(model) | {"scaler": {"scale": 65536.0}, "args": arguments}
    write_config(folder, config)
    torch.save(state, folder / "model.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
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
    gradients = gradients_of(model, outputs["loss"], dict(zip(graded, graded)))
    for key, value in gradients.items():
        model.get_parameter(key).grad = value
    extra = {"lr_scheduler": {}, "max_accuracy": 0.0, "config": yacs_config({"TAG": "tiny"})}
    write_config(folder, config)
    torch.save(training_state(model) | extra, folder / "model.pth")
    write_io(folder, inputs, outputs, gradients)


# Sizes shared by most folders. Encoder and decoder differ in all of theirs, and no MLP is 4 wide.
ENCODER = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, patch_size=4
)
WITH_DECODER = ENCODER | dict(
    decoder_hidden_size=12,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=3,
    decoder_intermediate_size=20,
)
PAPER = dict(patch_size=4, width=16, depth=2, heads=4, mlp_ratio=4.0, eps=1e-6)
PAPER_DECODER = dict(decoder_width=12, decoder_depth=1, decoder_heads=3)
TIMM = PAPER | dict(qkv_bias=True, class_token=True, layer_scale=False)

FIXTURES = {
    # 16 cells, 4 kept; transformers' default epsilon of 1e-12.
    "mae_raw": (mae, WITH_DECODER | dict(image_size=16)),
    # 25 cells, 10 kept.
    "mae_gray": (
        mae,
        WITH_DECODER
        | dict(image_size=20, num_channels=1, mask_ratio=0.6, norm_pix_loss=True)
        | dict(layer_norm_eps=1e-3, qkv_bias=False),
    ),
    # 100 cells, 9 kept, not 10: 100 * (1 - 0.9) is 9.999999999999998.
    "mae_five_channels": (
        mae,
        WITH_DECODER
        | dict(image_size=20, patch_size=2, num_channels=5, mask_ratio=0.9, norm_pix_loss=True)
        | dict(decoder_hidden_size=24, decoder_num_hidden_layers=3, layer_norm_eps=1e-6),
    ),
    # 25 cells, 4 kept, not 5: 25 * (1 - 0.8) is 4.999999999999999.
    "mae_hub_spelling": (
        mae,
        WITH_DECODER | dict(save=as_on_the_hub, image_size=20, mask_ratio=0.8, num_channels=1),
    ),
    "mae_memory_spelling": (
        mae,
        WITH_DECODER
        | dict(save=as_named_in_memory, image_size=12, num_channels=2, norm_pix_loss=True),
    ),
    "mae_shards": (mae, WITH_DECODER | dict(save=in_shards, image_size=16, layer_norm_eps=1e-5)),
    # Rows 3, columns 5.
    "mae_not_square": (
        mae,
        WITH_DECODER
        | dict(image_size=[12, 20], mask_ratio=0.7, norm_pix_loss=True, layer_norm_eps=1e-3),
    ),
    "vit_mim_rgb": (vit_mim, ENCODER | dict(image_size=16, hidden=9)),
    "vit_mim_gray": (
        vit_mim,
        ENCODER
        | dict(image_size=12, num_channels=1, hidden=5)
        | dict(layer_norm_eps=1e-3, qkv_bias=False),
    ),
    "vit_mim_five_channels": (
        vit_mim,
        ENCODER
        | dict(image_size=16, patch_size=2, num_channels=5, hidden=39)
        | dict(num_hidden_layers=3, num_attention_heads=4, intermediate_size=17),
    ),
    "vit_mim_bin": (
        vit_mim,
        ENCODER | dict(save=as_pytorch_bin, image_size=12, hidden=1, layer_norm_eps=1e-6),
    ),
    "vit_mim_not_square": (vit_mim, ENCODER | dict(image_size=[20, 12], hidden=9)),
    "vit_model": (vit_model, ENCODER | dict(image_size=12, pooler=True, resized=[8, 20])),
    "vit_model_not_square": (
        vit_model,
        ENCODER | dict(image_size=[8, 20], num_channels=1, pooler=False, layer_norm_eps=1e-3),
    ),
    "vit_model_memory_spelling": (
        vit_model,
        ENCODER
        | dict(save=as_named_in_memory, image_size=12, pooler=True)
        | dict(num_channels=5, qkv_bias=False),
    ),
    "vit_mae_model": (vit_mae_model, ENCODER | dict(image_size=16, mask_ratio=0.6)),
    "vit_mae_model_not_square": (
        vit_mae_model,
        ENCODER | dict(image_size=[8, 20], num_channels=5, qkv_bias=False, layer_norm_eps=1e-3),
    ),
    "vit_mae_model_hub_spelling": (
        vit_mae_model,
        ENCODER | dict(save=as_on_the_hub, image_size=12, num_channels=1),
    ),
    "timm_vit_rgb": (timm_vit, TIMM | dict(image_size=[16, 16], channels=3)),
    "timm_vit_no_qkv_bias": (
        timm_vit,
        TIMM | dict(image_size=[12, 12], channels=1, qkv_bias=False, eps=1e-3, mlp_ratio=2.0),
    ),
    "timm_vit_not_square": (timm_vit, TIMM | dict(image_size=[8, 20], channels=5, heads=2)),
    "timm_vit_no_class_token": (
        timm_vit,
        TIMM | dict(image_size=[12, 8], channels=3, class_token=False, layer_scale=True),
    ),
    "official_mae_full": (
        official_mae,
        PAPER
        | PAPER_DECODER
        | dict(image_size=[12, 20], channels=3, mask_ratio=0.75, norm_pix_loss=True),
    ),
    "official_mae_gray": (
        official_mae,
        PAPER
        | PAPER_DECODER
        | dict(image_size=[16, 16], channels=1, mask_ratio=0.75, norm_pix_loss=False),
    ),
    "official_mae_encoder": (
        official_mae,
        PAPER | dict(image_size=[20, 8], channels=5, mask_ratio=0.6),
    ),
    "official_simmim_vit": (
        official_simmim,
        PAPER | dict(image_size=[16, 16], channels=3, hidden=10),
    ),
    "official_simmim_vit_not_square": (
        official_simmim,
        PAPER | dict(image_size=[8, 20], channels=3, hidden=4, eps=1e-3),
    ),
    "official_simmim_vit_gray": (
        official_simmim,
        PAPER | dict(image_size=[20, 12], channels=1, hidden=9, heads=2, depth=3),
    ),
}


def operations() -> dict[str, Tensor]:
    """Single operations: inputs and outputs, and gradients for the `grad_output` beside them.

    Linear layers are PyTorch's: weights [out, in]. Tables are row-major over their grid.
    """
    seed("operations")
    table = torch.randn(12, 8)
    planes = table.T.reshape(1, 8, 4, 3)
    tensors = {
        "sin_cos.4x6_width_16": sin_cos((4, 6), 16),
        "resize.table_4x3": table,
    }
    for rows, cols in [(6, 5), (2, 2), (4, 3)]:
        resized = F.interpolate(planes, (rows, cols), mode="bicubic", align_corners=False)
        tensors[f"resize.to_{rows}x{cols}"] = resized.flatten(2)[0].T

    def record(name: str, layer, **arguments: Tensor):
        """Runs `layer` forwards, and backwards from a random gradient of its output."""
        arguments = {key: value.requires_grad_() for key, value in arguments.items()}
        output = layer(**arguments)
        grad_output = torch.randn(output.shape)
        gradients = torch.autograd.grad(output, list(arguments.values()), grad_output)
        tensors.update({f"{name}.{key}": value.detach() for key, value in arguments.items()})
        tensors.update({f"{name}.output": output.detach(), f"{name}.grad_output": grad_output})
        for key, gradient in zip(arguments, gradients):
            tensors[f"{name}.grad.{key}"] = gradient

    def layer_norm(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(input, [8], weight, bias, 1e-3)

    def attention(input: Tensor, qkv_weight, qkv_bias, out_weight, out_bias, scores_bias) -> Tensor:
        qkv = F.linear(input, qkv_weight, qkv_bias).unflatten(2, (3, 2, 4))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        joined = F.scaled_dot_product_attention(query, key, value, scores_bias)
        return F.linear(joined.transpose(1, 2).flatten(2), out_weight, out_bias)

    draw = torch.randn
    record("gelu", F.gelu, input=torch.linspace(-6, 6, 49))
    record("layer_norm_eps_1e-3", layer_norm, input=draw(2, 3, 8), weight=draw(8), bias=draw(8))
    record(
        "attention_2_heads",
        attention,
        input=draw(2, 5, 8),
        qkv_weight=draw(24, 8) * 0.4,
        qkv_bias=draw(24),
        out_weight=draw(8, 8) * 0.4,
        out_bias=draw(8),
        scores_bias=draw(1, 2, 5, 5),
    )
    return {key: value.contiguous() for key, value in tensors.items()}


def write_fixture(name: str) -> int:
    """Writes the folder `name` anew and returns its size in bytes."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    make, options = FIXTURES[name]
    seed(name)
    make(folder, **options)
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > LIMIT:
        sys.exit(f"{name} takes {size} bytes, more than {LIMIT}")
    return size


def main():
    parser = argparse.ArgumentParser(description="Writes the fixtures of the parity tests.")
    parser.add_argument("names", nargs="*", help="folders to write; all, when none is named")
    names = parser.parse_args().names
    unknown = sorted(set(names) - set(FIXTURES))
    if unknown:
        sys.exit(f"no such fixture: {', '.join(unknown)}; there are {', '.join(FIXTURES)}")
    check_restated()
    for name in names or FIXTURES:
        print(f"{name:32} {write_fixture(name):7} bytes")
    if not names:
        save_file(operations(), HERE / "ops.safetensors")


if __name__ == "__main__":
    main()
