//! The presets of BEiT v2.

use super::BeitV2Config;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::method::beit::presets::{small_augmentation, small_recipe, small_tokens};

pub(super) fn all() -> Vec<Preset<BeitV2Config>> {
    vec![Preset {
        name: "beit_v2_small_images",
        about: "BEiT v2 on a ViT of 128 × 4, patch 4, one condenser block, 512 tokens: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: |image| BeitV2Config::small_images(small_tokens(image)),
        recipe: small_recipe(),
        augmentation: small_augmentation(),
        batch_size: 64,
        images: Some(12_000),
    }]
}
