//! MaskFeat's presets.

use super::MaskFeatConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<MaskFeatConfig>> {
    let small = Recipe::maskfeat().with_epochs(5).with_base_lr(8e-3).with_warmup_epochs(0.2);
    vec![
        Preset {
            name: "maskfeat_small_images",
            about: "MaskFeat on a ViT of 128 × 4, patch 4 of one cell: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: MaskFeatConfig::small_images,
            recipe: small.with_betas([0.9, 0.95]).with_clip_norm(Some(1.0)),
            // Crops are enlarged, and gradients of enlarged pixels are those of no other image.
            augmentation: Augmentation { flip: true, ..Augmentation::none() },
            batch_size: 64,
        },
        papers(
            "maskfeat_vit_base_patch16_224",
            "MaskFeat on ViT-B/16 (arXiv 2112.09133; facebookresearch/SlowFast in1k_VIT_B_MaskFeat_PT)",
            |image| on(MaskFeatConfig::base_patch16(), image),
        ),
        papers(
            "maskfeat_vit_large_patch16_224",
            "MaskFeat on ViT-L/16 (arXiv 2112.09133; facebookresearch/SlowFast in1k_VIT_L_MaskFeat_PT)",
            |image| on(MaskFeatConfig::large_patch16(), image),
        ),
    ]
}

/// A batch of 2048: 8 machines with 256 images each.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> MaskFeatConfig,
) -> Preset<MaskFeatConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: Recipe::maskfeat().with_accumulation(8),
        augmentation: Augmentation::maskfeat(),
        batch_size: 256,
    }
}

fn on(maskfeat: MaskFeatConfig, image: ImageShape) -> MaskFeatConfig {
    MaskFeatConfig { encoder: VitConfig { image, ..maskfeat.encoder }, ..maskfeat }
}
