//! Selfie's presets.

use super::SelfieConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<SelfieConfig>> {
    let recipe = Recipe::mae().with_base_lr(4e-3).with_warmup_epochs(0.2);
    vec![Preset {
        name: "selfie_small_images",
        about: "Selfie with patches of a quarter of the image: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: SelfieConfig::small_images,
        recipe: recipe.with_clip_norm(Some(1.0)),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
        images: Some(10_000),
    }]
}
