//! LeJEPA's presets.

use super::LeJepaConfig;
use crate::data::augment::{Augmentation, CropRange, JitterRange};
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<LeJepaConfig>> {
    vec![
        Preset {
            name: "lejepa_small_images",
            about: "LeJEPA of 4 masked views on MAE's small ViT of 128 × 6, patch 4: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: LeJepaConfig::small_images,
            recipe: recipe()
                .with_epochs(4)
                .with_lr_batch(128)
                .with_base_lr(2e-3)
                .with_warmup_epochs(0.5)
                .with_warmup_lr(0.0),
            augmentation: Augmentation::colors(),
            batch_size: 128,
        },
        Preset {
            name: "lejepa_vit_small_patch8_128",
            about: "LeJEPA on ViT-S/8 and Imagenette, 800 epochs (rbalestr-lab/lejepa MINIMAL.md)",
            image: ImageShape::square(3, 128),
            numbers: |image| on(LeJepaConfig::small_patch8(), image),
            recipe: recipe()
                .with_epochs(800)
                .with_lr_batch(256)
                .with_base_lr(2e-3)
                .with_warmup_lr(2e-5)
                .with_min_lr(1e-3),
            augmentation: Augmentation {
                crop: Some(CropRange::new([0.08, 1.0])),
                jitter: Some(JitterRange::uniform(0.8)),
                ..Augmentation::lejepa()
            },
            batch_size: 256,
        },
        Preset {
            name: "lejepa_vit_large_patch14_224",
            about: "LeJEPA on ViT-L/14, 100 epochs (arXiv 2511.08544; rbalestr-lab/lejepa README, scripts)",
            numbers: |image| on(LeJepaConfig::large_patch14(), image),
            ..published()
        },
        published(),
    ]
}

/// All images of a step are one sample of the normal distribution, so they are one batch.
fn published() -> Preset<LeJepaConfig> {
    Preset {
        name: "lejepa_vit_huge_patch14_224",
        about: "LeJEPA on ViT-H/14, 100 epochs (arXiv 2511.08544; rbalestr-lab/lejepa README)",
        image: ImageShape::square(3, 224),
        numbers: |image| on(LeJepaConfig::huge_patch14(), image),
        recipe: recipe(),
        augmentation: Augmentation::lejepa(),
        batch_size: 512,
    }
}

fn on(method: LeJepaConfig, image: ImageShape) -> LeJepaConfig {
    LeJepaConfig { encoder: VitConfig { image, ..method.encoder }, ..method }
}

/// Rates are for a batch of 512; the warm-up is that of the official `MINIMAL.md`.
pub(super) fn recipe() -> Recipe {
    Recipe::new()
        .with_epochs(100)
        .with_base_lr(5e-4)
        .with_lr_batch(512)
        .with_warmup_epochs(1.0)
        .with_warmup_lr(5e-6)
        .with_min_lr(5e-7)
        .with_betas([0.9, 0.999])
}
