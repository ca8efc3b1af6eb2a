//! MAE's presets.

use super::MaeConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<MaeConfig>> {
    vec![Preset {
        name: "mae_small_images",
        about: "MAE on a ViT of 128 × 6, patch 4, decoder 64 × 2: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: MaeConfig::small_images,
        recipe: Recipe::mae().with_base_lr(4e-3).with_warmup_epochs(0.5),
        augmentation: Augmentation::mae(),
        batch_size: 64,
        images: Some(30_000),
    }]
}
