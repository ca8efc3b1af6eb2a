//! EVA's presets.

use super::EvaConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// 150 epochs in batches of 4096 (Table 2; official `run_eva_pretraining.py`).
pub(super) fn recipe() -> Recipe {
    Recipe::new()
        .with_epochs(150)
        .with_base_lr(1e-3)
        .with_lr_batch(4096)
        .with_warmup_epochs(2.0)
        .with_warmup_lr(1e-6)
        .with_min_lr(1e-5)
        .with_betas([0.9, 0.98])
        .with_epsilon(1e-6)
        .with_clip_norm(Some(3.0))
}

pub(super) fn all() -> Vec<Preset<EvaConfig>> {
    vec![
        Preset {
            name: "eva_small_images",
            about: "EVA on a ViT of 128 × 4, patch 4, with a teacher of 128 × 6 that is trained first: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: EvaConfig::small_images,
            recipe: recipe().with_epochs(3).with_lr_batch(64).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        Preset {
            name: "eva_giant_patch14_224",
            about: "EVA on ViT-g/14 with CLIP's ViT-L/14, which --teacher names (arXiv 2211.07636 Table 2; baaivision/EVA EVA-01/eva/README.md)",
            image: ImageShape::square(3, 224),
            numbers: |image| on(EvaConfig::giant_patch14(), image),
            recipe: recipe().with_accumulation(128),
            augmentation: Augmentation::mae(),
            batch_size: 32,
        },
    ]
}

fn on(eva: EvaConfig, image: ImageShape) -> EvaConfig {
    EvaConfig {
        encoder: VitConfig { image, ..eva.encoder },
        teacher: eva.teacher.for_images(image),
        ..eva
    }
}
