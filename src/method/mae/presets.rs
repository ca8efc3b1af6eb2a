//! MAE's presets.

use super::MaeConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::{OptimizerKind, Recipe};

pub(super) fn all() -> Vec<Preset<MaeConfig>> {
    vec![
        Preset {
            name: "mae_small_images",
            about: "MAE and a contrast of two views on convolutions and a ViT of 192 × 1, patch 8: ours, the best of docs/recipes.md for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: MaeConfig::two_views_small_images,
            recipe: Recipe::mae()
                .with_epochs(3)
                .with_lr_batch(128)
                .with_base_lr(2e-3)
                .with_warmup_epochs(0.1)
                .with_optimizer(OptimizerKind::Muon)
                .with_muon_rate(8.0),
            augmentation: Augmentation::colors(),
            batch_size: 32,
        },
        Preset {
            name: "mae_pixels_small_images",
            about: "MAE on a ViT of 128 × 6, patch 4, decoder 64 × 2: the paper's method, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: MaeConfig::small_images,
            recipe: Recipe::mae().with_epochs(12).with_base_lr(4e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        Preset {
            name: "mae_cross_small_images",
            about: "CrossMAE on a ViT of 128 × 6, patch 4, a third of the hidden patches decoded: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: MaeConfig::cross_small_images,
            recipe: Recipe::mae().with_epochs(12).with_base_lr(4e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        cross(
            "mae_cross_vit_small_patch16_224",
            "CrossMAE on ViT-S/16 (arXiv 2401.14391; TonyLianLong/CrossMAE README)",
            |image| on(MaeConfig::cross_small_patch16(), image),
        ),
        cross(
            "mae_cross_vit_base_patch16_224",
            "CrossMAE on ViT-B/16 (arXiv 2401.14391; TonyLianLong/CrossMAE README)",
            |image| on(MaeConfig::cross_base_patch16(), image),
        ),
        papers(
            "mae_vit_base_patch16_224",
            "MAE on ViT-B/16 (arXiv 2111.06377 §A.1, Table 8; facebookresearch/mae PRETRAIN.md)",
            |image| on(MaeConfig::base_patch16(), image),
        ),
        papers(
            "mae_vit_large_patch16_224",
            "MAE on ViT-L/16 (arXiv 2111.06377 §A.1, Table 8; facebookresearch/mae PRETRAIN.md)",
            |image| on(MaeConfig::large_patch16(), image),
        ),
        papers(
            "mae_vit_huge_patch14_224",
            "MAE on ViT-H/14 (arXiv 2111.06377 §A.1, Table 8; facebookresearch/mae PRETRAIN.md)",
            |image| on(MaeConfig::huge_patch14(), image),
        ),
    ]
}

/// A batch of 4096: 4 GPUs with 1024 images each. The rate is a third of MAE's, as a third of the
/// hidden patches is decoded.
fn cross(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> MaeConfig,
) -> Preset<MaeConfig> {
    let recipe = Recipe::mae().with_base_lr(5e-5).with_accumulation(4);
    Preset { recipe, batch_size: 1024, ..papers(name, about, numbers) }
}

/// A batch of 4096: 64 GPUs with 64 images each.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> MaeConfig,
) -> Preset<MaeConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: Recipe::mae().with_accumulation(64),
        augmentation: Augmentation::mae(),
        batch_size: 64,
    }
}

fn on(mae: MaeConfig, image: ImageShape) -> MaeConfig {
    MaeConfig { encoder: VitConfig { image, ..mae.encoder }, ..mae }
}
