"""The fixtures of BEiT: transformers' models, the official layout, and DALL·E's encoder."""

import re
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from families import as_saved, fill, images, mask, saved_key, write_config, write_io
from families import write_transformers
from reference import grid_of, outputs_of


def beit_mim(folder: Path, hidden: int, save=as_saved, **config):
    """`BeitForMaskedImageModeling`."""
    config = transformers.BeitConfig(**config, use_mask_token=True)
    model = transformers.BeitForMaskedImageModeling(config)
    inputs = {"bool_masked_pos": mask(grid_of(config.image_size, config.patch_size), hidden)}
    write_transformers(folder, model, inputs, [], save)


def beit_model(folder: Path, save=as_saved, **config):
    """`BeitModel`; its pooler has the final norm where it pools the mean."""
    config = transformers.BeitConfig(**config)
    model = transformers.BeitModel(config, add_pooling_layer=config.use_mean_pooling)
    write_transformers(folder, model, {}, [], save)


def official_names(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' weights under the names of microsoft/unilm's files, q, k and v joined."""
    official, parts = {}, {}
    for name, value in theirs.items():
        for pattern, spelling in [
            (r"^beit\.", ""),
            (r"encoder\.relative_position_bias\.", "rel_pos_bias."),
            (r"encoder\.layer\.", "blocks."),
            (r"attention\.attention\.relative_position_bias\.", "attn."),
            (r"attention\.attention\.(query|value)\.bias", r"attn.\1_bias"),
            (r"query_bias", "q_bias"),
            (r"value_bias", "v_bias"),
            (r"layernorm_before", "norm1"),
            (r"layernorm_after", "norm2"),
            (r"attention\.output\.dense", "attn.proj"),
            (r"intermediate\.dense", "mlp.fc1"),
            (r"(?<!attention\.)output\.dense", "mlp.fc2"),
            (r"lambda_", "gamma_"),
            (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
            (r"embeddings\.position_embeddings", "pos_embed"),
            (r"embeddings\.", ""),
            (r"^layernorm\.", "norm."),
        ]:
            name = re.sub(pattern, spelling, name)
        joined = re.fullmatch(r"(.*)attention\.attention\.(query|key|value)\.weight", name)
        if joined:
            parts.setdefault(joined[1], {})[joined[2]] = value
        else:
            official[name] = value
    for block, part in parts.items():
        joined = torch.cat([part[name] for name in ("query", "key", "value")])
        official[f"{block}attn.qkv.weight"] = joined
    return official


def official_beit(folder: Path, hidden: int, **config):
    """The official layout, with the weights and numbers of transformers' model."""
    config = transformers.BeitConfig(**config, use_mask_token=True)
    model = transformers.BeitForMaskedImageModeling(config).eval()
    grid = grid_of(config.image_size, config.patch_size)
    fill(model, grid)
    inputs = {"bool_masked_pos": mask(grid, hidden)}
    inputs["pixel_values"] = images(config.num_channels, config.image_size)
    state = {own_key(name): value for name, value in model.state_dict().items()}
    official = official_names(state)
    for name in [name for name in official if name.endswith("bias_table")]:
        index = name.replace("bias_table", "index")
        official[index] = torch.zeros(1, dtype=torch.int64)
    torch.save({"model": official, "epoch": 3}, folder / "model.pth")
    write_config(folder, config.to_diff_dict())
    write_io(folder, inputs, outputs_of(model, inputs))


@torch.no_grad()
def official_beit_v2(folder: Path, hidden: int, early: int, condenser: int, **config):
    """BEiT v2's condenser (arXiv 2208.06366, section 3.3) of transformers' layers, in the official
    layout: the last class token joins the patches after `early` layers, and goes on with them
    through `condenser` more."""
    config = transformers.BeitConfig(**config, use_mask_token=True)
    model = transformers.BeitForMaskedImageModeling(config).eval()
    layers = nn.ModuleList(type(model.beit.layers[0])(config) for _ in range(condenser)).eval()
    grid = grid_of(config.image_size, config.patch_size)
    fill(model, grid)
    fill(layers, grid)
    pixels = images(config.num_channels, config.image_size)
    inputs = {"bool_masked_pos": mask(grid, hidden), "pixel_values": pixels}
    outputs = outputs_of(model, inputs)
    is_hidden = inputs["bool_masked_pos"].bool()
    tokens = model.beit.embeddings(pixels, bool_masked_pos=is_hidden)
    shared = model.beit.shared_position_bias
    bias = shared(grid, dim_size=tokens.shape[1]) if shared is not None else None
    for number, layer in enumerate(model.beit.layers, start=1):
        tokens = layer(tokens, attention_mask=bias)
        if number == early:
            patches = tokens[:, 1:]
    torch.testing.assert_close(tokens, outputs["features"])
    condensed = torch.cat([tokens[:, :1], patches], 1)
    for layer in layers:
        condensed = layer(condensed, attention_mask=bias)
    condensed = model.layernorm(condensed)
    outputs["features"] = model.layernorm(tokens)
    outputs["condensed.features"] = condensed
    outputs["condensed.logits"] = model.lm_head(condensed[:, 1:][is_hidden])
    official = official_names({own_key(k): v for k, v in model.state_dict().items()})
    own = {own_key(f"beit.layers.{name}"): value for name, value in layers.state_dict().items()}
    for name, value in official_names(own).items():
        official[name.replace("blocks.", "cls_pt_layers.")] = value
    if shared is not None:
        official["rel_pos_bias.relative_position_index"] = torch.zeros(1, dtype=torch.int64)
    torch.save({"model": official, "epoch": 3}, folder / "model.pth")
    write_config(folder, config.to_diff_dict())
    write_io(folder, inputs, outputs)


def own_key(name: str) -> str:
    """How `save_pretrained` spells a parameter of BEiT."""
    name = re.sub(r"^beit\.layers\.", "beit.encoder.layer.", name)
    name = re.sub(r"^beit\.shared_position_bias", "beit.encoder.relative_position_bias", name)
    own = r"\1attention.attention.relative_position_bias."
    name = re.sub(r"(encoder\.layer\.\d+\.)relative_position_bias\.", own, name)
    return saved_key(name)


class Conv(nn.Module):
    """DALL·E's convolution, whose parameters are called w and b."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.w = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.b = nn.Parameter(torch.randn(outputs) * 0.2)
        with torch.no_grad():
            self.w /= (inputs * kernel**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, self.b, padding=self.w.shape[-1] // 2)


class ResPath(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        narrow = outputs // 4
        self.conv_1 = Conv(inputs, narrow, 3)
        self.conv_2 = Conv(narrow, narrow, 3)
        self.conv_3 = Conv(narrow, narrow, 3)
        self.conv_4 = Conv(narrow, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv_1, self.conv_2, self.conv_3, self.conv_4):
            x = conv(F.relu(x))
        return x


class EncoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, layers: int):
        super().__init__()
        self.gain = 1 / layers**2
        self.id_path = nn.Identity() if inputs == outputs else Conv(inputs, outputs, 1)
        self.res_path = ResPath(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.id_path(x) + self.gain * self.res_path(x)


class DalleEncoder(nn.Module):
    """The encoder of DALL·E's dVAE (arXiv 2102.12092, appendix A.1): four groups of residual
    blocks, the first as wide as the first convolution, each other twice as wide as the one before
    it, and a maximum pool after each but the last."""

    def __init__(self, channels: int, hidden: int, blocks: int, vocabulary: int):
        super().__init__()
        self.blocks = nn.Module()
        self.blocks.input = Conv(channels, hidden, 7)
        inputs = hidden
        for number in range(1, 5):
            group = nn.Module()
            outputs = hidden * 2 ** (number - 1)
            for block in range(1, blocks + 1):
                setattr(group, f"block_{block}", EncoderBlock(inputs, outputs, 4 * blocks))
                inputs = outputs
            setattr(self.blocks, f"group_{number}", group)
        self.blocks.output = nn.Module()
        self.blocks.output.conv = Conv(inputs, vocabulary, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [b, vocabulary, h/8, w/8] of pixels in [0, 1]."""
        x = self.blocks.input((1 - 2 * 0.1) * pixels + 0.1)
        for number in range(1, 5):
            for block in getattr(self.blocks, f"group_{number}").children():
                x = block(x)
            if number < 4:
                x = F.max_pool2d(x, 2)
        return self.blocks.output.conv(F.relu(x))


def dalle(folder: Path, height: int, width: int, **config):
    """A state dict of DALL·E's encoder."""
    model = DalleEncoder(**config)
    pixels = torch.rand(2, config["channels"], height, width)
    logits = model(pixels).flatten(2).mT
    save_file(model.state_dict(), folder / "model.safetensors")
    write_config(folder, config)
    outputs = {"logits": logits, "ids": logits.argmax(-1)}
    write_io(folder, {"pixel_values": pixels}, outputs)
