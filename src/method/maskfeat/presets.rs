//! MaskFeat's presets.

use super::MaskFeatConfig;
use crate::data::augment::Augmentation;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<MaskFeatConfig>> {
    let recipe = Recipe::maskfeat().with_base_lr(8e-3).with_warmup_epochs(0.2);
    vec![Preset {
        name: "maskfeat_small_images",
        about: "MaskFeat on a ViT of 128 × 4, patch 4 of one cell: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: MaskFeatConfig::small_images,
        recipe: recipe.with_betas([0.9, 0.95]).with_clip_norm(Some(1.0)),
        // Crops are enlarged, and gradients of enlarged pixels are those of no other image.
        augmentation: Augmentation { flip: true, ..Augmentation::none() },
        batch_size: 64,
        images: Some(50_000),
    }]
}
