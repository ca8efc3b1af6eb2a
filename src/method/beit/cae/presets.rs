//! CAE's presets.

use super::CaeConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::method::beit::presets::{on, papers, small_recipe, small_tokens};
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<CaeConfig>> {
    let shorter = |epochs, warmup| recipe().with_epochs(epochs).with_warmup_epochs(warmup);
    let base = |name, about, recipe| {
        let numbers = |image| of(CaeConfig::base_patch16(), image);
        papers(name, about, numbers, (128, recipe), augmentation())
    };
    vec![
        Preset {
            name: "cae_small_images",
            about: "CAE on a ViT of 128 × 4, patch 4, 512 tokens of a tokenizer that is trained first: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: |image| CaeConfig::small_images(small_tokens(image)),
            recipe: small_recipe(),
            augmentation: Augmentation { crop: Some(CropRange::new([0.2, 1.0])), ..augmentation() },
            batch_size: 64,
        },
        base(
            "cae_base_patch16_224",
            "CAE-B on DALL·E's tokens, 1600 epochs (arXiv 2202.03026; lxtGH/CAE README.md)",
            recipe(),
        ),
        base(
            "cae_base_patch16_224_800ep",
            "CAE-B on DALL·E's tokens, 800 epochs (lxtGH/CAE scripts/cae_base_800e.sh)",
            shorter(800, 20.0),
        ),
        base(
            "cae_base_patch16_224_300ep",
            "CAE-B on DALL·E's tokens, 300 epochs (lxtGH/CAE README.md)",
            shorter(300, 10.0),
        ),
        papers(
            "cae_large_patch16_224",
            "CAE-L on DALL·E's tokens, 1600 epochs (lxtGH/CAE scripts/cae_large_1600e.sh)",
            |image| of(CaeConfig::large_patch16(), image),
            (32, recipe()),
            augmentation(),
        ),
    ]
}

/// The official command's: BEiT's rates, for 1600 epochs of which 40 warm up.
pub(super) fn recipe() -> Recipe {
    Recipe::beit().with_epochs(1600).with_warmup_epochs(40.0)
}

/// BEiT's without its color jitter.
pub(super) fn augmentation() -> Augmentation {
    Augmentation { jitter: None, ..Augmentation::beit() }
}

/// `cae` for other images.
fn of(cae: CaeConfig, image: ImageShape) -> CaeConfig {
    CaeConfig { beit: on(cae.beit, image), ..cae }
}
