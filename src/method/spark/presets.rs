//! SparK's presets.

use super::SparkConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<SparkConfig>> {
    vec![Preset {
        name: "spark_small_images",
        about: "SparK on a residual network of three stages from 24 features on, patch 4: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: SparkConfig::small_images,
        recipe: recipe()
            .with_epochs(1)
            .with_base_lr(2e-3)
            .with_lr_batch(64)
            .with_warmup_epochs(0.1),
        augmentation: augmentation(),
        batch_size: 64,
    }]
}

/// The official command's numbers, with AdamW in the place of LAMB.
pub(super) fn recipe() -> Recipe {
    Recipe::mae().with_epochs(1600).with_base_lr(2e-4).with_weight_decay(0.04)
}

/// Crops of at least two thirds of the area, and flips (official code).
pub(super) fn augmentation() -> Augmentation {
    Augmentation { crop: Some(CropRange::new([0.67, 1.0])), ..Augmentation::mae() }
}
