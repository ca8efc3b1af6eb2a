"""What `compare` can time: of each case, the flags of the example `throughput` and the step in PyTorch.

`mae` and `simmim` of any sizes need no case: both sides read the same flags.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    title: str
    method: str
    # Of our side, but for batch, side of the images and steps.
    flags: list[str]
    batch: int
    side: int
    # The function of `networks` that makes the same step, as `module.function`; by default step.py reads
    # the same flags.
    theirs: str | None = None
    encoder: str = ""
    inference: bool = False
    # By what the first losses may differ, over the larger: their random weights, inputs and masks are
    # not the same. Those of corruptions depend on which one was drawn; MAE's head starts as the official
    # code's, Xavier-uniform, here, and nearly at 0 in transformers.
    loss_within: float = 0.15
    # How many parameters more than the other side ours has.
    more: int = 0

    def ours(self) -> list[str]:
        return [*self.flags, "--batch", str(self.batch), "--image-size", str(self.side)]


def sized(method: str, **flags) -> list[str]:
    words = ["--method", method]
    for name, value in flags.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def preset(name: str, *more: str) -> list[str]:
    return ["--preset", name, *more]


VIT_B = dict(patch_size=16, width=768, heads=12, decoder_width=512, decoder_depth=8, decoder_heads=16)
SWIN_T = dict(patch_size=4, width=96, depth="2,2,6,2", heads="3,6,12,24", mask_ratio=0.6)

CASES = {
    "mae-tiny": Case("MAE, ViT-T/2", "mae", sized("mae"), 64, 32, encoder="vit", loss_within=0.8),
    "simmim-tiny": Case(
        "SimMIM, ViT-T/4", "simmim", sized("simmim", patch_size=4, mask_ratio=0.6), 64, 32, encoder="vit"
    ),
    "mae-base": Case("MAE, ViT-B/16", "mae", sized("mae", **VIT_B), 8, 224, encoder="vit", loss_within=0.8),
    "simmim-swin": Case(
        "SimMIM, Swin-T", "simmim", sized("simmim", encoder="swin", window=6, **SWIN_T), 8, 192, encoder="swin"
    ),
    "simmim-swin-v2": Case(
        "SimMIM, Swin-v2-T", "simmim", sized("simmim", encoder="swin-v2", window=12, **SWIN_T), 8, 192,
        encoder="swin-v2",
    ),
    "beit": Case(
        "BEiT, ViT-T/4", "beit", sized("beit", patch_size=4, mask_ratio=0.4), 64, 32, "tokens.beit", "vit"
    ),
    "maskfeat": Case("MaskFeat, small", "maskfeat", preset("maskfeat_small_images"), 64, 32, "pixels.maskfeat", "vit"),
    "image-gpt": Case("Image GPT, small", "image-gpt", preset("image_gpt_small_images"), 64, 16, "tokens.image_gpt", "gpt"),
    "selfie": Case("Selfie, small", "selfie", preset("selfie_small_images"), 64, 32, "residual.selfie", "resnet"),
    "context": Case("Context prediction, small", "context", preset("context_small_images"), 64, 32, "residual.context", "resnet", loss_within=0.4),
    "restoration": Case(
        "Restoration, small", "restoration", preset("restoration_small_images"), 64, 32, "pixels.restoration", "vit",
        loss_within=0.9,
    ),
    "dvae": Case("dVAE, small", "dvae", sized("dvae"), 64, 32, "tokens.dvae", "conv", loss_within=0.5),
    "vq": Case("VQ, small", "vq", sized("vq"), 64, 32, "tokens.vq", "vit", loss_within=0.5),
    "spark": Case("SparK, small residual network", "spark", preset("spark_small_images"), 64, 32, "residual.spark", "resnet"),
    "fcmae": Case(
        "FCMAE, ConvNeXt V2-A", "fcmae", preset("fcmae_convnext_v2_atto_224"), 16, 128, "convnext.fcmae", "convnext-v2"
    ),
    "hiera": Case("MAE, Hiera-T", "hiera", preset("hiera_mae_tiny_224"), 8, 224, "huggingface.hiera", "hiera", loss_within=0.5),
    "videomae": Case(
        "VideoMAE, ViT-S/16", "videomae", sized("videomae"), 2, 224, "huggingface.videomae", "vit",
        # Position tables, no parameters there.
        more=1568 * (384 + 192),
    ),
    "vit-inference": Case(
        "inference, ViT-B/16", "mae", preset("mae_vit_base_patch16_224", "--inference"), 8, 224,
        "huggingface.vit_represents", "vit", inference=True,
    ),
    "convnext-inference": Case(
        "inference, ConvNeXt V2-A", "fcmae", preset("fcmae_convnext_v2_atto_224", "--inference"), 8, 224,
        # transformers' has a norm of its pooled features.
        "huggingface.convnext_represents", "convnext-v2", inference=True, more=-640,
    ),
}  # fmt: skip
