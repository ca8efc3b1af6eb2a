//! The presets of restoration.

use super::RestorationConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<RestorationConfig>> {
    vec![Preset {
        name: "restoration_small_images",
        about: "Restoration by a transformer of 128 × 4, patch 4, 16 feature maps: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: RestorationConfig::small_images,
        recipe: Recipe::restoration().with_base_lr(1e-3).with_warmup_epochs(0.2),
        // Mirrored images alone: crops are resized, which blurs.
        augmentation: Augmentation { flip: true, ..Augmentation::none() },
        batch_size: 64,
        images: Some(30_000),
    }]
}
