//! The presets of BEiT v2.

use super::{BeitConfig, BeitV2Config};
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::method::beit::presets::{
    gentler_crops, papers, small_augmentation, small_recipe, small_tokens,
};
use crate::target::tokenizer::{TokenizerConfig, VqConfig};
use crate::train::Recipe;

/// The features of CLIP ViT-B/16, the tokenizer's teacher.
const CLIP: usize = 512;

pub(super) fn all() -> Vec<Preset<BeitV2Config>> {
    let long = Recipe::beit().with_epochs(1600);
    let short = Recipe::beit().with_epochs(300).with_betas([0.9, 0.98]);
    vec![
        Preset {
            name: "beit_v2_small_images",
            about: "BEiT v2 on a ViT of 128 × 4, patch 4, one condenser block, 512 tokens: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: |image| BeitV2Config::small_images(small_tokens(image)),
            recipe: small_recipe(),
            augmentation: small_augmentation(),
            batch_size: 64,
        },
        papers(
            "beit_v2_base_patch16_224",
            "BEiT v2-B on VQ-KD's tokens, 1600 epochs (arXiv 2208.06366; microsoft/unilm beit2/PRETRAINING.md)",
            |image| on(BeitV2Config::base_patch16(CLIP), image),
            (128, long.clone()),
            gentler_crops(),
        ),
        papers(
            "beit_v2_base_patch16_224_300ep",
            "BEiT v2-B on VQ-KD's tokens, 300 epochs without drop path (microsoft/unilm beit2/PRETRAINING.md)",
            |image| without_drop_path(on(BeitV2Config::base_patch16(CLIP), image)),
            (128, short),
            gentler_crops(),
        ),
        papers(
            "beit_v2_large_patch16_224",
            "BEiT v2-L on VQ-KD's tokens, 1600 epochs (arXiv 2208.06366; microsoft/unilm beit2/PRETRAINING.md)",
            |image| on(BeitV2Config::large_patch16(CLIP), image),
            (32, long),
            gentler_crops(),
        ),
    ]
}

/// `second` for other images, which its tokenizer reads as they are.
fn on(second: BeitV2Config, image: ImageShape) -> BeitV2Config {
    let tokens = VqConfig::base_patch16(CLIP);
    let tokens = VqConfig { encoder: VitConfig { image, ..tokens.encoder }, ..tokens };
    let beit = BeitConfig {
        encoder: VitConfig { image, ..second.beit.encoder },
        tokenizer: TokenizerConfig::Vq(tokens),
        ..second.beit
    };
    BeitV2Config { beit, ..second }
}

fn without_drop_path(mut second: BeitV2Config) -> BeitV2Config {
    second.beit.encoder.drop_path = 0.0;
    second
}
