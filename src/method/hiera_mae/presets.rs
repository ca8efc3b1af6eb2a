//! The presets of MAE on Hiera.

use super::HieraMaeConfig;
use crate::data::augment::Augmentation;
use crate::encoder::HieraConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// How the paper trains: 8e-4 for a batch of 4096, 40 epochs of warm-up, 1600 epochs (appendix,
/// "pretraining settings" on ImageNet-1K).
pub(super) fn recipe() -> Recipe {
    Recipe::mae().with_epochs(1600).with_base_lr(8e-4).with_lr_batch(4096).with_warmup_epochs(40.0)
}

pub(super) fn all() -> Vec<Preset<HieraMaeConfig>> {
    vec![
        Preset {
            name: "hiera_mae_small_images",
            about: "MAE on a Hiera of 48 to 192 features, 1-2-2 blocks, mask units of 8 pixels, decoder 64 × 2: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: HieraMaeConfig::small_images,
            recipe: Recipe::mae().with_epochs(7).with_base_lr(4e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        papers(
            "hiera_mae_tiny_224",
            "MAE on Hiera-T (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::tiny(), image, 0.0),
        ),
        papers(
            "hiera_mae_small_224",
            "MAE on Hiera-S (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::small(), image, 0.0),
        ),
        papers(
            "hiera_mae_base_224",
            "MAE on Hiera-B (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::base(), image, 0.0),
        ),
        papers(
            "hiera_mae_base_plus_224",
            "MAE on Hiera-B+ (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::base_plus(), image, 0.0),
        ),
        papers(
            "hiera_mae_large_224",
            "MAE on Hiera-L (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::large(), image, 0.2),
        ),
        papers(
            "hiera_mae_huge_224",
            "MAE on Hiera-H (arXiv 2306.00989, Table 2 and appendix; facebookresearch/hiera)",
            |image| on(HieraMaeConfig::huge(), image, 0.2),
        ),
    ]
}

/// A batch of 4096: 64 GPUs with 64 images each.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> HieraMaeConfig,
) -> Preset<HieraMaeConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: recipe().with_accumulation(64),
        augmentation: Augmentation::mae(),
        batch_size: 64,
    }
}

/// Drop path helps the larger models (Table 3d).
fn on(mae: HieraMaeConfig, image: ImageShape, drop_path: f64) -> HieraMaeConfig {
    HieraMaeConfig { encoder: HieraConfig { image, drop_path, ..mae.encoder }, ..mae }
}
