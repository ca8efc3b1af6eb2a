"""The networks that transformers has."""

import torch
from torch import Tensor, nn
from transformers import (
    ConvNextV2Config,
    ConvNextV2Model,
    HieraConfig,
    HieraForPreTraining,
    SwinConfig,
    SwinForMaskedImageModeling,
    Swinv2Config,
    Swinv2ForMaskedImageModeling,
    VideoMAEConfig,
    VideoMAEForPreTraining,
    ViTConfig,
    ViTForMaskedImageModeling,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    ViTModel,
)
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

from .task import Task

# The command line of ../step.py has the names of the flags of the example `throughput`.


def images(args) -> Tensor:
    """The same ones for every step, as there."""
    return torch.rand(args.batch, args.channels, args.image_size, args.image_size) * 2 - 1


def mae(args) -> Task:
    config = ViTMAEConfig(
        image_size=args.image_size,
        num_channels=args.channels,
        patch_size=args.patch_size,
        hidden_size=args.width,
        num_hidden_layers=int(args.depth),
        num_attention_heads=int(args.heads),
        intermediate_size=4 * args.width,
        decoder_hidden_size=args.decoder_width,
        decoder_num_hidden_layers=args.decoder_depth,
        decoder_num_attention_heads=args.decoder_heads,
        decoder_intermediate_size=4 * args.decoder_width,
        mask_ratio=args.mask_ratio,
        norm_pix_loss=True,
        layer_norm_eps=1e-6,
    )
    model = ViTMAEForPreTraining(config)
    # A model made from a configuration has tables of zeros.
    side = args.image_size // args.patch_size
    for part in (model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed):
        part.data.copy_(build_2d_sinusoidal_position_embedding(side, side, part.shape[-1], cls_token=True))
    read = images(args)
    return Task(model, lambda: (read,), lambda images: model(images).loss)


def simmim(args) -> Task:
    """The units of the masks are the model's patches, of which Swin's last stage has merged 8 × 8."""
    shared = dict(image_size=args.image_size, num_channels=args.channels, patch_size=args.patch_size)
    if args.encoder == "vit":
        config = ViTConfig(
            **shared,
            hidden_size=args.width,
            num_hidden_layers=int(args.depth),
            num_attention_heads=int(args.heads),
            intermediate_size=4 * args.width,
            encoder_stride=args.patch_size,
            layer_norm_eps=1e-6,
        )
        model = ViTForMaskedImageModeling(config)
    else:
        depths = [int(depth) for depth in args.depth.split(",")]
        sizes = dict(
            **shared,
            embed_dim=args.width,
            depths=depths,
            num_heads=[int(heads) for heads in args.heads.split(",")],
            window_size=args.window,
            encoder_stride=args.patch_size * 2 ** (len(depths) - 1),
            drop_path_rate=0.0,
        )
        swin = args.encoder == "swin"
        model = SwinForMaskedImageModeling(SwinConfig(**sizes)) if swin else swin_v2(sizes)
    cells = (args.image_size // args.patch_size) ** 2
    hidden = -int(-cells * args.mask_ratio // 1)
    read = images(args)

    def loss(images: Tensor) -> Tensor:
        order = torch.rand(args.batch, cells, device=images.device).argsort(dim=1)
        return model(images, bool_masked_pos=order < hidden).loss

    return Task(model, lambda: (read,), loss)


def swin_v2(sizes: dict) -> Swinv2ForMaskedImageModeling:
    return Swinv2ForMaskedImageModeling(Swinv2Config(**sizes))


def hiera(batch: int, side: int) -> Task:
    """Hiera-T, as `hiera_mae_tiny_224`."""
    config = HieraConfig(
        image_size=[side, side],
        depths=[1, 2, 7, 2],
        embed_dim=96,
        num_heads=[1, 2, 4, 8],
        drop_path_rate=0.0,
        num_query_pool=2,
        decoder_hidden_size=512,
        decoder_depth=8,
        decoder_num_heads=16,
        mask_ratio=0.6,
        normalize_pixel_loss=True,
    )
    model = HieraForPreTraining(config)
    return Task(model, lambda: (torch.rand(batch, 3, side, side),), lambda images: model(images).loss)


def videomae(batch: int, side: int) -> Task:
    """ViT-S/16 with a decoder of half its width, as `VideoMaeConfig::small_patch16`."""
    config = VideoMAEConfig(
        image_size=side,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        intermediate_size=1536,
        decoder_hidden_size=192,
        decoder_num_hidden_layers=4,
        decoder_num_attention_heads=3,
        decoder_intermediate_size=768,
        norm_pix_loss=True,
        layer_norm_eps=1e-6,
        use_mean_pooling=False,
    )
    model = VideoMAEForPreTraining(config)
    cells = (side // 16) ** 2

    def draw() -> tuple:
        tubes = torch.rand(batch, cells).argsort(1) < int(0.9 * cells)
        return torch.rand(batch, 16, 3, side, side), tubes.repeat(1, 8)

    return Task(model, draw, lambda clips, hidden: model(clips, bool_masked_pos=hidden).loss)


def represents(model: nn.Module, batch: int, side: int) -> Task:
    """A mean of the features of whole images, without a gradient."""
    read = torch.randn(batch, 3, side, side)
    return Task(model, lambda: (read,), lambda images: model(images).last_hidden_state.mean())


def vit_represents(batch: int, side: int) -> Task:
    """ViT-B/16."""
    return represents(ViTModel(ViTConfig(image_size=side, layer_norm_eps=1e-6), add_pooling_layer=False), batch, side)


def convnext_represents(batch: int, side: int) -> Task:
    """ConvNeXt V2-A, as the encoder of `fcmae_convnext_v2_atto_224`."""
    config = ConvNextV2Config(image_size=side, hidden_sizes=[40, 80, 160, 320], depths=[2, 2, 6, 2])
    return represents(ConvNextV2Model(config), batch, side)
