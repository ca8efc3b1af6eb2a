//! I-JEPA's presets.

use super::IJepaConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<IJepaConfig>> {
    vec![
        Preset {
            name: "ijepa_small_images",
            about: "I-JEPA on MAE's small ViT of 128 × 6, patch 4: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: IJepaConfig::small_images,
            recipe: Recipe::ijepa()
                .with_epochs(5)
                .with_lr_batch(64)
                .with_warmup_epochs(0.5)
                .with_warmup_lr(0.0),
            augmentation: Augmentation::ijepa(),
            batch_size: 64,
        },
        Preset {
            name: "ijepa_vit_base_patch16_224",
            about: "I-JEPA on ViT-B/16, 600 epochs (arXiv 2301.08243, Table 1 and appendix A.1)",
            numbers: |image| on(IJepaConfig::base_patch16(), image),
            recipe: of_the_paper(),
            ..published()
        },
        Preset {
            name: "ijepa_vit_large_patch16_224",
            about: "I-JEPA on ViT-L/16, 600 epochs (arXiv 2301.08243, Table 1 and appendix A.1)",
            numbers: |image| on(IJepaConfig::large_patch16(), image),
            recipe: of_the_paper(),
            ..published()
        },
        published(),
        Preset {
            name: "ijepa_vit_huge_patch16_448",
            about: "I-JEPA on ViT-H/16 of 448 pixels, 300 epochs (in1k_vith16-448_ep300.yaml)",
            image: ImageShape::square(3, 448),
            numbers: |image| {
                let method = on(IJepaConfig::huge_patch14(), image);
                IJepaConfig { encoder: VitConfig { patch: 16, ..method.encoder }, ..method }
            },
            recipe: Recipe::ijepa().with_accumulation(128),
            batch_size: 16,
            ..published()
        },
        Preset {
            name: "ijepa_vit_huge_patch14_224_in22k",
            about: "I-JEPA on ViT-H/14, 66 epochs of ImageNet-22k (in22k_vith14_ep66.yaml)",
            recipe: of_imagenet_22k(66).with_accumulation(64),
            batch_size: 32,
            ..published()
        },
        Preset {
            name: "ijepa_vit_giant_patch16_224_in22k",
            about: "I-JEPA on ViT-G/16, 44 epochs of ImageNet-22k (in22k_vitg16_ep44.yaml)",
            numbers: |image| on(IJepaConfig::giant_patch16(), image),
            recipe: of_imagenet_22k(44).with_accumulation(128),
            batch_size: 16,
            ..published()
        },
    ]
}

/// ViT-H/14 on ImageNet-1k: 16 devices of 128 images.
fn published() -> Preset<IJepaConfig> {
    Preset {
        name: "ijepa_vit_huge_patch14_224",
        about: "I-JEPA on ViT-H/14, 300 epochs (in1k_vith14_ep300.yaml)",
        image: ImageShape::square(3, 224),
        numbers: |image| on(IJepaConfig::huge_patch14(), image),
        recipe: Recipe::ijepa().with_accumulation(16),
        augmentation: Augmentation::ijepa(),
        batch_size: 128,
    }
}

/// The optimization that the paper tells, of which there is no configuration.
fn of_the_paper() -> Recipe {
    let recipe = Recipe::ijepa().with_epochs(600).with_accumulation(16);
    recipe.with_warmup_epochs(15.0).with_warmup_lr(1e-4)
}

fn of_imagenet_22k(epochs: usize) -> Recipe {
    Recipe::ijepa().with_epochs(epochs).with_warmup_epochs(3.0)
}

fn on(method: IJepaConfig, image: ImageShape) -> IJepaConfig {
    IJepaConfig { encoder: VitConfig { image, ..method.encoder }, ..method }
}
