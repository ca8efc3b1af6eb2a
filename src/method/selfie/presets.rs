//! Selfie's presets.

use super::SelfieConfig;
use crate::data::augment::Augmentation;
use crate::encoder::ResidualConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<SelfieConfig>> {
    let recipe = Recipe::mae().with_base_lr(4e-3).with_clip_norm(Some(1.0));
    let papers = |name, about, side, numbers| Preset {
        name,
        about,
        image: ImageShape::square(3, side),
        numbers,
        recipe: recipe.clone().with_epochs(100).with_warmup_epochs(5.0),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
    };
    vec![
        Preset {
            name: "selfie_small_images",
            about: "Selfie with patches of a quarter of the image: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: SelfieConfig::small_images,
            recipe: recipe.clone().with_epochs(2).with_warmup_epochs(0.2),
            augmentation: Augmentation::simmim(),
            batch_size: 64,
        },
        papers(
            "selfie_patch8_32",
            "Selfie with the paper's patches for 32 × 32 pixels (arXiv 1906.02940, pretraining details), network and recipe of ours",
            32,
            |image| of_patches(image, 8),
        ),
        papers(
            "selfie_patch32_224",
            "Selfie with the paper's patches for 224 × 224 pixels (arXiv 1906.02940, pretraining details), network and recipe of ours",
            224,
            |image| of_patches(image, 32),
        ),
    ]
}

/// Stages of as many features as those of ResNet-50's first three blocks, 256 to 1024.
fn of_patches(image: ImageShape, patch: usize) -> SelfieConfig {
    let encoder = ResidualConfig::new(image.channels).with_widths(vec![256, 512, 1024]);
    SelfieConfig::new(image, encoder).with_patch(patch)
}
