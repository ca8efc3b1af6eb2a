//! The presets of refinement.

use std::any::Any;

use super::{RefinableConfig, RefineConfig};
use crate::data::augment::Augmentation;
use crate::encoder::{SwinConfig, SwinV2Config, VitConfig};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// The presets on the encoder `C`; none of encoders from elsewhere.
pub(super) fn of_encoder<C: 'static>() -> Vec<Preset<RefineConfig<C>>> {
    let swin = small(
        "refine_swin_small_images",
        "Refinement of a Swin of three stages from 48 features on: ours, for minutes on two cores",
        |image| RefineConfig::small(SwinConfig::small_images(image)),
    );
    let swin_v2 = small(
        "refine_swin_v2_small_images",
        "Refinement of a Swin-v2 of three stages from 48 features on: ours, for minutes on two cores",
        |image| RefineConfig::small(SwinV2Config::small_images(image)),
    );
    let all: [Box<dyn Any>; 3] =
        [Box::new(on_vit()), Box::new(vec![swin]), Box::new(vec![swin_v2])];
    all.into_iter().find_map(|presets| presets.downcast().ok().map(|own| *own)).unwrap_or_default()
}

fn on_vit() -> Vec<Preset<RefineConfig>> {
    vec![
        small(
            "refine_vit_small_images",
            "Refinement of a ViT of 128 × 6, patch 4, such as MAE's: ours, for minutes on two cores",
            RefineConfig::small_images,
        ),
        papers(
            "refine_vit_base_patch16_224",
            "MAE-CT (aug) on ViT-B/16 (arXiv 2304.10520; ml-jku/MAE-CT stage3_maectaug base16.yaml)",
            |image| on(RefineConfig::base_patch16(), image),
            Recipe::refine(),
        ),
        papers(
            "refine_vit_large_patch16_224",
            "MAE-CT (aug) on ViT-L/16 (arXiv 2304.10520; ml-jku/MAE-CT stage3_maectaug large16.yaml)",
            |image| on(RefineConfig::large_patch16(), image),
            Recipe::refine().with_epochs(40).with_warmup_epochs(8.0),
        ),
    ]
}

fn on(refine: RefineConfig, image: ImageShape) -> RefineConfig {
    RefineConfig { encoder: VitConfig { image, ..refine.encoder }, ..refine }
}

fn small<C: RefinableConfig>(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> RefineConfig<C>,
) -> Preset<RefineConfig<C>> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 32),
        numbers,
        recipe: Recipe::refine()
            .with_epochs(3)
            .with_base_lr(1e-3)
            .with_warmup_epochs(0.5)
            .with_ema(None),
        augmentation: Augmentation::two_views(),
        batch_size: 256,
    }
}

/// All 1024 images of a step are told apart from each other, so they are one batch.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> RefineConfig,
    recipe: Recipe,
) -> Preset<RefineConfig> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe,
        augmentation: Augmentation::two_views(),
        batch_size: 1024,
    }
}
