//! iBOT's presets.

use super::IBotConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<IBotConfig>> {
    vec![
        Preset {
            name: "ibot_small_images",
            about: "iBOT on a ViT of 128 × 4, patch 4: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: IBotConfig::small_images,
            recipe: recipe()
                .with_epochs(2)
                .with_base_lr(1e-3)
                .with_lr_batch(64)
                .with_warmup_epochs(0.5),
            augmentation: Augmentation::colors(),
            batch_size: 64,
        },
        published(
            "ibot_vit_small_patch16_224",
            "iBOT on ViT-S/16, 800 epochs (arXiv 2111.07832; README of bytedance/ibot)",
            |image| on(IBotConfig::small_patch16(), image),
            800,
        ),
        published(
            "ibot_vit_base_patch16_224",
            "iBOT on ViT-B/16, 400 epochs (arXiv 2111.07832)",
            |image| on(IBotConfig::base_patch16(), image),
            400,
        ),
        published(
            "ibot_vit_large_patch16_224",
            "iBOT on ViT-L/16, 250 epochs (arXiv 2111.07832)",
            |image| on(IBotConfig::large_patch16(), image),
            250,
        ),
    ]
}

/// The paper's optimization of ViT-S/16 (arXiv 2111.07832 §3.2; official code, `main_ibot.py`): rates are
/// for its batch of 1024.
pub(super) fn recipe() -> Recipe {
    Recipe::new()
        .with_base_lr(2e-3)
        .with_lr_batch(1024)
        .with_warmup_epochs(10.0)
        .with_min_lr(1e-6)
        .with_betas([0.9, 0.999])
        .with_weight_decay(0.04)
        .with_clip_norm(Some(3.0))
}

/// 16 devices of 64 images.
fn published(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> IBotConfig,
    epochs: usize,
) -> Preset<IBotConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: recipe().with_epochs(epochs).with_accumulation(16),
        augmentation: Augmentation::ibot(),
        batch_size: 64,
    }
}

fn on(method: IBotConfig, image: ImageShape) -> IBotConfig {
    IBotConfig { encoder: VitConfig { image, ..method.encoder }, ..method }
}
