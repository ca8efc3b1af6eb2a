//! The presets of context prediction.

use super::ContextConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<ContextConfig>> {
    let recipe = Recipe::mae().with_base_lr(4e-3).with_warmup_epochs(0.2);
    vec![Preset {
        name: "context_small_images",
        about: "Context prediction with patches of a quarter of the image: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: ContextConfig::small_images,
        recipe: recipe.with_clip_norm(Some(1.0)),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
        images: Some(60_000),
    }]
}
