"""Checks restated.py against transformers on a square grid, before its answers become fixtures."""

import re

import torch
import transformers
from torch import Tensor, nn

from reference import outputs_of
from restated import Mae, SimMim

BATCH, CELLS = 2, 16
SIZES = dict(image_size=16, patch_size=4, hidden_size=16, num_hidden_layers=2)
SIZES |= dict(num_attention_heads=4, intermediate_size=64, layer_norm_eps=1e-6)
OURS = dict(image_size=[16, 16], patch_size=4, channels=3, width=16, depth=2, heads=4, eps=1e-6)


@torch.no_grad()
def draw(model: nn.Module):
    for weight in model.parameters():
        weight.normal_(0.0, 0.3)


def official_names(
    theirs: dict[str, Tensor], spellings: list[tuple[str, str]]
) -> dict[str, Tensor]:
    """transformers' weights under the names of the papers' checkpoints, q, k and v joined."""
    common = [
        (r"layernorm_before", "norm1"),
        (r"layernorm_after", "norm2"),
        (r"attention\.o_proj", "attn.proj"),
        (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
        (r"embeddings\.position_embeddings", "pos_embed"),
        (r"embeddings\.", ""),
        (r"layernorm\.", "norm."),
    ]
    official, parts = {}, {}
    for name, value in theirs.items():
        for pattern, spelling in spellings + common:
            name = re.sub(pattern, spelling, name)
        if part := re.search(r"attention\.([qkv])_proj\.(weight|bias)", name):
            block = name[: part.start()]
            parts.setdefault((block, part[2]), {})[part[1]] = value
        else:
            official[name] = value
    for (block, kind), part in parts.items():
        if "k" in part:
            official[f"{block}attn.qkv.{kind}"] = torch.cat([part["q"], part["k"], part["v"]])
        else:
            official[f"{block}attn.q_bias"], official[f"{block}attn.v_bias"] = part["q"], part["v"]
    return official


def check_mae():
    """All outputs of a masked autoencoder."""
    decoder = dict(decoder_hidden_size=12, decoder_num_hidden_layers=1)
    decoder |= dict(decoder_num_attention_heads=3, decoder_intermediate_size=48)
    ratios = dict(mask_ratio=0.6, norm_pix_loss=True)
    theirs = transformers.ViTMAEForPreTraining(
        transformers.ViTMAEConfig(**SIZES, **decoder, **ratios)
    )
    draw(theirs.eval())
    ours = Mae(OURS | ratios | dict(decoder_width=12, decoder_depth=1, decoder_heads=3))
    spellings = [
        (r"decoder\.decoder_layers", "decoder_blocks"),
        (r"^vit\.layers", "blocks"),
        (r"^vit\.|^decoder\.", ""),
    ]
    ours.load_state_dict(official_names(theirs.state_dict(), spellings))
    inputs = {"pixel_values": torch.randn(BATCH, 3, 16, 16), "noise": torch.rand(BATCH, CELLS)}
    got = ours.outputs(inputs)
    expected = outputs_of(theirs, inputs)
    torch.testing.assert_close({key: got[key] for key in expected}, expected)


def check_simmim_encoder():
    """The features: SimMIM's vision transformer is BEiT's, which transformers has."""
    config = transformers.BeitConfig(
        **SIZES,
        use_mask_token=True,
        use_shared_relative_position_bias=True,
        use_mean_pooling=False,
        layer_scale_init_value=0.1,
    )
    theirs = transformers.BeitModel(config, add_pooling_layer=False)
    draw(theirs.eval())
    ours = SimMim(OURS).encoder
    spellings = [
        (r"^layers|^encoder\.layers?", "blocks"),
        (r"lambda_", "gamma_"),
        (r"^(encoder\.)?(shared_position_bias|relative_position_bias)\.", "rel_pos_bias."),
    ]
    weights = official_names(theirs.state_dict(), spellings)
    report = ours.load_state_dict(weights, strict=False)
    assert set(report.missing_keys) <= {"rel_pos_bias.relative_position_index"}, report
    assert not report.unexpected_keys, report
    images, mask = torch.randn(BATCH, 3, 16, 16), torch.rand(BATCH, CELLS) < 0.5
    expected = theirs(images, bool_masked_pos=mask).last_hidden_state
    torch.testing.assert_close(ours(images, mask), expected)


def check_restated():
    torch.manual_seed(0)
    check_mae()
    check_simmim_encoder()


if __name__ == "__main__":
    check_restated()
    print("restated.py agrees with transformers")
