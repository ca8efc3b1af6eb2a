//! BEiT's presets.

use super::BeitConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::target::tokenizer::{TokenizerConfig, VqConfig};
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<BeitConfig>> {
    vec![Preset {
        name: "beit_small_images",
        about: "BEiT on a ViT of 128 × 4, patch 4, 512 tokens of a tokenizer that is trained first: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: |image| BeitConfig::small_images(small_tokens(image)),
        recipe: small_recipe(),
        augmentation: small_augmentation(),
        batch_size: 64,
        images: Some(12_000),
    }]
}

/// The tokens of either BEiT on small images.
pub(super) fn small_tokens(image: ImageShape) -> TokenizerConfig {
    TokenizerConfig::Vq(VqConfig::small_images(image))
}

/// The recipe of either BEiT on small images.
pub(super) fn small_recipe() -> Recipe {
    Recipe::beit().with_base_lr(1.5e-3).with_lr_batch(64).with_warmup_epochs(0.5)
}

/// The paper's augmentation with gentler crops.
pub(super) fn small_augmentation() -> Augmentation {
    let crop = Some(CropRange::new([0.2, 1.0]));
    Augmentation { crop, jitter: None, ..Augmentation::beit() }
}
