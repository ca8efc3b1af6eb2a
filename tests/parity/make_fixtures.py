"""Writes the fixtures of the parity tests: small models with their inputs and expected outputs.

    pip install -r tests/parity/requirements.txt
    python tests/parity/make_fixtures.py            # all of them, beside this file
    python tests/parity/make_fixtures.py mae_gray   # only those named

Every folder holds the weights as their publisher lays them out, a `config.json`, and an
`io.safetensors` whose tensors are described in reference.py:

    mae_*, vit_mim_*      transformers' ViTMAEForPreTraining and ViTForMaskedImageModeling
    vit_model*            transformers' ViTModel (encoder alone)
    vit_mae_model*        transformers' ViTMAEModel (encoder alone)
    swin_mim_*, swin_v2_mim_*      transformers' SwinForMaskedImageModeling, Swinv2For...
    swin_model_*, swin_v2_model_*  transformers' SwinModel, Swinv2Model
    official_swin_*, official_swin_v2_*  microsoft/SimMIM and Swin-Transformer, `.pth`: transformers'
                          models under the official names
    convnext_v2_*         transformers' ConvNextV2Model and ConvNextV2ForImageClassification
    official_convnext_v2* facebookresearch/ConvNeXt-V2, `.pth`, with transformers' numbers
    timm_convnext_v2      timm's ConvNeXt with response norms
    timm_resnet_*         timm's ResNet, `.pth`
    spark_resnet          the same under SparK's masks
    image_gpt_*           transformers' ImageGPTForCausalImageModeling and ImageGPTModel
    timm_vit_*            timm's VisionTransformer
    timm_parts_*          the same with registers, query-key norm, RMS norm or SwiGLU, and as DINOv2
                          with registers has it
    timm_deit             timm's VisionTransformerDistilled: two class tokens
    timm_dinov3           timm's Eva as DINOv3 has it: rotary positions and registers
    official_mae_*        facebookresearch/mae, `.pth`, restated in restated.py
    official_data2vec     fairseq data2vec 2.0, `.pt`, restated in encoders.py
    official_ijepa        facebookresearch/ijepa, `.pth.tar`, with timm's numbers
    official_simmim_*     microsoft/SimMIM, `.pth`, restated in restated.py
    beit_mim_*            transformers' BeitForMaskedImageModeling
    beit_model*           transformers' BeitModel
    official_beit_*       microsoft/unilm's BEiT, `.pth`, with transformers' numbers
    official_beit_v2_*    microsoft/unilm's BEiT v2, `.pth`, with those of transformers' layers
    msn_*, ijepa_*, data2vec_*, dinov2_*, clip_*  transformers' ViTMSNModel, IJepaModel,
                          Data2VecVisionModel, Dinov2Model, Dinov2WithRegistersModel,
                          CLIPVisionModel, CLIPModel
    hiera_*               transformers' HieraForPreTraining, HieraModel, HieraForImageClassification
    official_hiera*       facebookresearch/hiera, `.pth`: the same under the official names
    videomae*             transformers' VideoMAEForPreTraining, VideoMAEModel,
                          VideoMAEForVideoClassification
    dalle_encoder         OpenAI's dVAE, its state dict, restated in beit.py

The `config.json` of the first four groups is transformers' own; timm's and the official files
have no complete one, so theirs has fields of our own. `ops.safetensors` has single operations.

Seeds are fixed and follow from a folder's name: the weights and inputs come out the same anywhere,
the outputs up to the last bits of a processor's arithmetic.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from beit import beit_mim, beit_model, dalle, official_beit, official_beit_v2
from check_restated import check_restated
from convnext import CONVNEXT
from encoders import ENCODERS
from families import (
    as_named_in_memory,
    as_on_the_hub,
    as_pytorch_bin,
    image_gpt,
    image_gpt_loss,
    in_shards,
    mae,
    official_mae,
    official_simmim,
    official_swin_simmim,
    seed,
    swin_mim,
    swin_model,
    timm_vit,
    vit_mae_model,
    vit_mim,
    vit_model,
)
from hiera import HIERA
from operations import operations
from optional_parts import timm_deit, timm_dinov3, timm_vit_parts
from resnet import RESNET
from videomae import VIDEOMAE

HERE = Path(__file__).parent
LIMIT = 300_000

# Sizes shared by most folders; encoder and decoder differ, and no MLP is four times as wide.
ENCODER = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, patch_size=4
)
WITH_DECODER = ENCODER | dict(
    decoder_hidden_size=12,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=3,
    decoder_intermediate_size=20,
)
BEIT = ENCODER | dict(vocab_size=11)
PAPER = dict(patch_size=4, width=16, depth=2, heads=4, mlp_ratio=4.0, eps=1e-6)
PAPER_DECODER = dict(decoder_width=12, decoder_depth=1, decoder_heads=3)
TIMM = PAPER | dict(qkv_bias=True, class_token=True, layer_scale=False)

SWIN = dict(patch_size=2, embed_dim=8, depths=[2, 3], num_heads=[2, 4], mlp_ratio=1.5)
SWIN_V2 = SWIN | dict(depths=[2, 2], pretrained_window_sizes=[0, 0])
GPT = dict(n_embd=12, n_layer=2, n_head=3, n_positions=16, vocab_size=8)

FIXTURES = ENCODERS | CONVNEXT | RESNET | HIERA | VIDEOMAE | {
    "timm_parts_registers": (
        timm_vit_parts,
        PAPER | dict(channels=1, image_size=[8, 12], registers=3, query_key_norm=True),
    ),
    "timm_parts_swiglu": (
        timm_vit_parts,
        PAPER | dict(channels=2, image_size=[12, 8], rms_norm=True, swiglu=True, mlp_ratio=1.5)
        | dict(query_key_norm=True),
    ),
    "timm_parts_dinov2": (
        timm_vit_parts,
        PAPER | dict(channels=1, image_size=[8, 12], registers=2, class_token=True)
        | dict(layer_scale=True),
    ),
    "timm_deit": (
        timm_deit,
        PAPER | dict(channels=1, image_size=[8, 12], more_class_tokens=1),
    ),
    "timm_dinov3": (
        timm_dinov3,
        PAPER | dict(channels=1, image_size=[8, 12], resized=[16, 8], registers=2)
        | dict(heads=2, rotary=100.0),
    ),
    # 12×12 and 6×6 tokens: windows of 5 are shifted by 2 and padded in both stages.
    "swin_mim_padded": (swin_mim, SWIN | dict(image_size=24, window_size=5, hidden=20)),
    # 12×12 tokens in windows of 3; then 6×6, 3×3: as large as the window, so without shift.
    "swin_mim_three_stages": (
        swin_mim,
        SWIN
        | dict(depths=[2, 1, 2], num_heads=[1, 2, 4], image_size=24, window_size=3, hidden=4)
        | dict(num_channels=2, qkv_bias=False, layer_norm_eps=1e-3, mlp_ratio=2.7)
        | dict(use_absolute_embeddings=True),
    ),
    "swin_mim_memory_spelling": (
        swin_mim,
        SWIN | dict(save=as_named_in_memory, image_size=16, window_size=4, hidden=8)
        | dict(num_channels=1),
    ),
    # Odd pixels, odd tokens before a merging; and another image than its own.
    "swin_model_any_size": (
        swin_model,
        SWIN | dict(image_size=[23, 37], window_size=4, resized=[30, 19]),
    ),
    "swin_v2_mim_padded": (swin_mim, SWIN_V2 | dict(image_size=24, window_size=5, hidden=20)),
    # The second stage has a window of 3, its biases are read as learned in one of 7.
    "swin_v2_mim_pretrained_windows": (
        swin_mim,
        SWIN_V2 | dict(image_size=12, window_size=4, hidden=5, num_channels=5, qkv_bias=False)
        | dict(pretrained_window_sizes=[6, 7], layer_norm_eps=1e-3),
    ),
    "swin_v2_model_any_size": (
        swin_model,
        SWIN_V2 | dict(image_size=[11, 36], window_size=4, resized=[30, 19], num_channels=1),
    ),
    # Published folders name four pre-trained windows, whatever the stages.
    "swin_v2_model_deep": (
        swin_model,
        SWIN_V2 | dict(depths=[1, 3], image_size=20, window_size=3)
        | dict(pretrained_window_sizes=[0, 0, 0, 0]),
    ),
    "official_swin_simmim": (
        official_swin_simmim,
        SWIN | dict(image_size=24, window_size=6, hidden=20),
    ),
    "official_swin_v2_simmim": (
        official_swin_simmim,
        SWIN_V2 | dict(image_size=24, window_size=5, hidden=20),
    ),
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
    # Whole images, so that the loss and its gradients are those of training.
    "image_gpt_loss": (image_gpt_loss, dict(n_embd=12, n_layer=2, n_head=2, colors=6)),
    "image_gpt_scaled_by_layer": (
        image_gpt,
        GPT | dict(tokens=16, scale_attn_by_inverse_layer_idx=True, n_inner=20, n_layer=3),
    ),
    "image_gpt_unscaled": (
        image_gpt,
        GPT | dict(tokens=5, scale_attn_weights=False, layer_norm_epsilon=1e-2),
    ),
    # Neither a square of positions nor Image GPT's activation.
    "image_gpt_gelu": (
        image_gpt,
        GPT | dict(tokens=1, n_positions=7, activation_function="gelu"),
    ),
    "image_gpt_gelu_new": (
        image_gpt,
        GPT | dict(tokens=9, activation_function="gelu_new", reorder_and_upcast_attn=True),
    ),
    "image_gpt_model": (image_gpt, GPT | dict(tokens=12, head=False)),
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
    "beit_mim_shared": (
        beit_mim,
        BEIT | dict(image_size=16, hidden=7, use_shared_relative_position_bias=True),
    ),
    "beit_mim_per_block": (
        beit_mim,
        BEIT
        | dict(image_size=12, hidden=4, num_channels=1, use_relative_position_bias=True)
        | dict(layer_norm_eps=1e-3, layer_scale_init_value=0.0),
    ),
    # Memory spelling of both tables.
    "beit_mim_absolute": (
        beit_mim,
        BEIT
        | dict(save=as_named_in_memory, image_size=16, hidden=6, num_channels=5)
        | dict(use_absolute_position_embeddings=True, use_shared_relative_position_bias=True),
    ),
    # Nothing says where a patch is: transformers takes any grid.
    "beit_mim_not_square": (beit_mim, BEIT | dict(image_size=[12, 20], hidden=6)),
    "beit_model": (
        beit_model,
        BEIT
        | dict(image_size=16, use_relative_position_bias=True, use_mask_token=True)
        | dict(use_absolute_position_embeddings=True),
    ),
    "beit_model_no_pooling": (
        beit_model,
        BEIT
        | dict(image_size=16, use_shared_relative_position_bias=True, use_mean_pooling=False),
    ),
    "official_beit_shared": (
        official_beit,
        BEIT | dict(image_size=16, hidden=7, use_shared_relative_position_bias=True),
    ),
    "official_beit_per_block": (
        official_beit,
        BEIT
        | dict(image_size=12, hidden=4, use_relative_position_bias=True)
        | dict(use_absolute_position_embeddings=True),
    ),
    "official_beit_v2_shared": (
        official_beit_v2,
        BEIT
        | dict(image_size=16, hidden=7, use_shared_relative_position_bias=True)
        | dict(num_hidden_layers=3, early=2, condenser=2),
    ),
    "official_beit_v2_absolute": (
        official_beit_v2,
        BEIT
        | dict(image_size=12, hidden=4, num_channels=1)
        | dict(use_absolute_position_embeddings=True)
        | dict(num_hidden_layers=3, early=1, condenser=1),
    ),
    # Groups of 8, 16, 32 and 64 channels; 2 × 3 tokens.
    "dalle_encoder": (
        dalle,
        dict(height=16, width=24, channels=3, hidden=8, blocks=1, vocabulary=11),
    ),
}


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
    # Sums are split between threads: with one, a processor always gives the same bits.
    torch.set_num_threads(1)
    check_restated()
    for name in names or FIXTURES:
        print(f"{name:32} {write_fixture(name):7} bytes")
    if not names:
        save_file(operations(), HERE / "ops.safetensors")


if __name__ == "__main__":
    main()
