//! Image GPT's presets.

use super::ImageGptConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<ImageGptConfig>> {
    let recipe = Recipe::mae().with_base_lr(8e-3).with_warmup_epochs(0.2);
    vec![Preset {
        name: "image_gpt_small_images",
        about: "Image GPT of 64 × 4 on images of 16 pixels: ours, for minutes on two cores",
        image: ImageShape::square(3, 16),
        numbers: ImageGptConfig::small_images,
        recipe: recipe.with_clip_norm(Some(1.0)),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
        images: Some(10_000),
    }]
}
