"""How fast a pre-training step of Hugging Face transformers is on PyTorch: the same step, flags and
last line as `cargo run --release --example throughput`.

    python benches/pytorch/step.py --method mae --image-size 32 --patch-size 2

Needs torch and transformers. Threads are PyTorch's default.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from transformers import (
    SwinConfig,
    SwinForMaskedImageModeling,
    ViTConfig,
    ViTForMaskedImageModeling,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="mae", choices=["mae", "simmim"])
    parser.add_argument("--encoder", default="vit", choices=["vit", "swin"])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--patch-size", type=int, default=2)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--depth", default="12")
    parser.add_argument("--heads", default="3")
    parser.add_argument("--window", type=int, default=6)
    parser.add_argument("--decoder-width", type=int, default=192)
    parser.add_argument("--decoder-depth", type=int, default=4)
    parser.add_argument("--decoder-heads", type=int, default=3)
    parser.add_argument("--mask-ratio", type=float, default=0.75)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    return parser.parse_args()


def mae(args):
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
    return model, lambda images: model(images).loss


def simmim(args):
    """The units of the masks are the model's patches, of which Swin's last stage has merged 8 × 8."""
    shared = dict(image_size=args.image_size, num_channels=args.channels, patch_size=args.patch_size)
    if args.encoder == "swin":
        depths = [int(depth) for depth in args.depth.split(",")]
        config = SwinConfig(
            **shared,
            embed_dim=args.width,
            depths=depths,
            num_heads=[int(heads) for heads in args.heads.split(",")],
            window_size=args.window,
            encoder_stride=args.patch_size * 2 ** (len(depths) - 1),
            drop_path_rate=0.0,
        )
        model = SwinForMaskedImageModeling(config)
    else:
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
    cells = (args.image_size // args.patch_size) ** 2
    hidden = -int(-cells * args.mask_ratio // 1)

    def loss(images):
        order = torch.rand(args.batch, cells, device=images.device).argsort(dim=1)
        return model(images, bool_masked_pos=order < hidden).loss

    return model, loss


def main():
    args = arguments()
    torch.manual_seed(0)
    model, loss_of = {"mae": mae, "simmim": simmim}[args.method](args)
    model.train().to(args.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)
    images = torch.rand(args.batch, args.channels, args.image_size, args.image_size, device=args.device) * 2 - 1
    seconds, losses = [], []
    for _ in range(args.steps):
        start = time.perf_counter()
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = loss_of(images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    line = {
        "method": args.method,
        "images_per_s": args.batch / median,
        "step_s_median": median,
        "step_s_min": min(seconds),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
