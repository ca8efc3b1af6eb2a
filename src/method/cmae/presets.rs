//! CMAE's presets.

use super::CmaeConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<CmaeConfig>> {
    vec![
        Preset {
            name: "cmae_small_images",
            about: "CMAE on MAE's small ViT of 128 × 6, patch 4: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: CmaeConfig::small_images,
            recipe: Recipe::mae().with_epochs(6).with_base_lr(1e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::cmae(),
            batch_size: 256,
        },
        papers(
            "cmae_vit_base_patch16_224",
            300,
            "CMAE on ViT-B/16, 300 epochs (arXiv 2207.13532; ZhichengHuang/CMAE)",
        ),
        papers(
            "cmae_vit_base_patch16_224_1600ep",
            1600,
            "CMAE on ViT-B/16, 1600 epochs (arXiv 2207.13532; ZhichengHuang/CMAE)",
        ),
    ]
}

/// All 4096 images of a step are told apart from each other, so they are one batch.
fn papers(name: &'static str, epochs: usize, about: &'static str) -> Preset<CmaeConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers: |image| CmaeConfig {
            encoder: VitConfig { image, ..VitConfig::base_patch16() },
            ..CmaeConfig::base_patch16()
        },
        recipe: Recipe::mae().with_epochs(epochs),
        augmentation: Augmentation::cmae(),
        batch_size: 4096,
    }
}
