//! FCMAE's presets.

use super::FcMaeConfig;
use crate::data::augment::Augmentation;
use crate::encoder::ConvNextV2Config;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<FcMaeConfig>> {
    vec![
        Preset {
            name: "fcmae_small_images",
            about: "FCMAE on a ConvNeXt V2 of three stages from 48 features on, patch 2: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: FcMaeConfig::small_images,
            recipe: Recipe::mae().with_epochs(12).with_base_lr(8e-3).with_warmup_epochs(0.5),
            augmentation: Augmentation::mae(),
            batch_size: 64,
        },
        papers(
            "fcmae_convnext_v2_atto_224",
            "FCMAE on ConvNeXt V2-A (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::atto(), image),
        ),
        papers(
            "fcmae_convnext_v2_femto_224",
            "FCMAE on ConvNeXt V2-F (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::femto(), image),
        ),
        papers(
            "fcmae_convnext_v2_pico_224",
            "FCMAE on ConvNeXt V2-P (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::pico(), image),
        ),
        papers(
            "fcmae_convnext_v2_nano_224",
            "FCMAE on ConvNeXt V2-N (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::nano(), image),
        ),
        papers(
            "fcmae_convnext_v2_tiny_224",
            "FCMAE on ConvNeXt V2-T (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::tiny(), image),
        ),
        papers(
            "fcmae_convnext_v2_base_224",
            "FCMAE on ConvNeXt V2-B (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::base(), image),
        ),
        papers(
            "fcmae_convnext_v2_large_224",
            "FCMAE on ConvNeXt V2-L (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::large(), image),
        ),
        papers(
            "fcmae_convnext_v2_huge_224",
            "FCMAE on ConvNeXt V2-H (arXiv 2301.00808 §A.1; facebookresearch/ConvNeXt-V2 TRAINING.md)",
            |image| on(ConvNextV2Config::huge(), image),
        ),
    ]
}

/// 1600 epochs, else as MAE's (§A.1, Table 8).
pub(super) fn recipe() -> Recipe {
    Recipe::mae().with_epochs(1600)
}

/// A batch of 4096: 64 GPUs with 64 images each.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> FcMaeConfig,
) -> Preset<FcMaeConfig> {
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

fn on(encoder: ConvNextV2Config, image: ImageShape) -> FcMaeConfig {
    FcMaeConfig::new(encoder.with_image(image))
}
