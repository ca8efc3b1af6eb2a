//! The presets of context prediction.

use super::{ContextConfig, PatchPairs};
use crate::data::augment::Augmentation;
use crate::encoder::ResidualConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<ContextConfig>> {
    let recipe = Recipe::mae().with_base_lr(4e-3).with_clip_norm(Some(1.0));
    vec![
        Preset {
            name: "context_small_images",
            about: "Context prediction with patches of a quarter of the image: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: ContextConfig::small_images,
            recipe: recipe.clone().with_epochs(15).with_warmup_epochs(0.2),
            augmentation: Augmentation::simmim(),
            batch_size: 64,
        },
        Preset {
            name: "context_patch96_512",
            about: "Context prediction with the paper's patches (arXiv 1505.05192 §3; cdoersch/deepcontext train.py), a recipe of ours",
            image: ImageShape::square(3, 512),
            numbers: large_images,
            recipe: recipe.with_epochs(100).with_warmup_epochs(5.0),
            augmentation: Augmentation::none(),
            batch_size: 64,
        },
    ]
}

/// The paper's pairs, a third of the patches shrunk as in the published code, and widths as of its
/// AlexNet: what it knows of a patch is 3 × 3 cells of 256 features, and the classifier has 4096.
fn large_images(image: ImageShape) -> ContextConfig {
    let encoder = ResidualConfig::new(image.channels);
    let encoder = encoder.with_widths(vec![96, 96, 256, 384, 384, 256]);
    let pairs = PatchPairs::large_images(image).with_downsampled(0.33);
    ContextConfig::new(encoder, pairs).with_hidden(4096)
}
