//! BEiT's presets.

use super::BeitConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::target::tokenizer::{DvaeConfig, TokenizerConfig, VqConfig};
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<BeitConfig>> {
    let on_22k = Recipe::beit().with_epochs(150).with_warmup_epochs(1.44);
    let large = Recipe::beit().with_clip_norm(Some(1.0));
    vec![
        Preset {
            name: "beit_small_images",
            about: "BEiT on a ViT of 128 × 4, patch 4, 512 tokens of a tokenizer that is trained first: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: |image| BeitConfig::small_images(small_tokens(image)),
            recipe: small_recipe(),
            augmentation: small_augmentation(),
            batch_size: 64,
        },
        papers(
            "beit_base_patch16_224",
            "BEiT-B on DALL·E's tokens, ImageNet-1k (arXiv 2106.08254 Table 12; microsoft/unilm beit/README.md)",
            |image| on(BeitConfig::base_patch16(), image),
            (128, Recipe::beit()),
            Augmentation::beit(),
        ),
        papers(
            "beit_base_patch16_224_pt22k",
            "BEiT-B on DALL·E's tokens, ImageNet-22k, as the published weights (microsoft/unilm beit/README.md)",
            |image| on(BeitConfig::base_patch16(), image),
            (128, on_22k),
            Augmentation::beit(),
        ),
        papers(
            "beit_large_patch16_224",
            "BEiT-L on DALL·E's tokens, ImageNet-1k (arXiv 2106.08254 Table 12)",
            |image| on(BeitConfig::large_patch16(), image),
            (32, large),
            Augmentation::beit(),
        ),
    ]
}

/// A preset of the paper of a BEiT, or of CAE: a batch of 2048, `batch_size` images at a time.
pub(super) fn papers<M>(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> M,
    (batch_size, recipe): (usize, Recipe),
    augmentation: Augmentation,
) -> Preset<M> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: recipe.with_accumulation(2048 / batch_size),
        augmentation,
        batch_size,
    }
}

/// `beit` for other images, whose tokenizer reads a second view of half their size.
pub(super) fn on(beit: BeitConfig, image: ImageShape) -> BeitConfig {
    let view = ImageShape { height: image.height / 2, width: image.width / 2, ..image };
    let tokens = DvaeConfig { image: view, ..DvaeConfig::dalle_encoder() };
    BeitConfig {
        encoder: VitConfig { image, ..beit.encoder },
        tokenizer: TokenizerConfig::Dvae(tokens),
        ..beit
    }
}

/// The tokens of either BEiT on small images.
pub(super) fn small_tokens(image: ImageShape) -> TokenizerConfig {
    TokenizerConfig::Vq(VqConfig::small_images(image))
}

/// The recipe of either BEiT on small images.
pub(super) fn small_recipe() -> Recipe {
    Recipe::beit().with_epochs(3).with_base_lr(1.5e-3).with_lr_batch(64).with_warmup_epochs(0.5)
}

/// The paper's augmentation with gentler crops.
pub(super) fn small_augmentation() -> Augmentation {
    Augmentation { jitter: None, ..gentler_crops() }
}

/// The paper's augmentation with crops from a fifth of the area on, as BEiT v2 takes them.
pub(super) fn gentler_crops() -> Augmentation {
    Augmentation { crop: Some(CropRange::new([0.2, 1.0])), ..Augmentation::beit() }
}
