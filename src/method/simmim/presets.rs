//! SimMIM's presets.

use std::any::Any;

use super::SimMimConfig;
use crate::data::augment::Augmentation;
use crate::encoder::{EncoderConfig, SwinConfig, SwinV2Config};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// The presets on the encoder `C`; none of encoders from elsewhere.
pub(super) fn of_encoder<C: 'static>() -> Vec<Preset<SimMimConfig<C>>> {
    let all: [Box<dyn Any>; 3] = [Box::new(on_vit()), Box::new(on_swin()), Box::new(on_swin_v2())];
    all.into_iter().find_map(|presets| presets.downcast().ok().map(|own| *own)).unwrap_or_default()
}

fn on_vit() -> Vec<Preset<SimMimConfig>> {
    vec![small(
        "simmim_vit_small_images",
        "SimMIM on a ViT of 128 × 4, patch 4: ours, for minutes on two cores",
        |image| SimMimConfig::in_small_squares(SimMimConfig::small_images(image).encoder),
    )]
}

fn on_swin() -> Vec<Preset<SimMimConfig<SwinConfig>>> {
    vec![small(
        "simmim_swin_small_images",
        "SimMIM on a Swin of three stages from 48 features on, patch 2: ours, for minutes on two cores",
        |image| SimMimConfig::in_small_squares(SwinConfig::small_images(image)),
    )]
}

fn on_swin_v2() -> Vec<Preset<SimMimConfig<SwinV2Config>>> {
    vec![small(
        "simmim_swin_v2_small_images",
        "SimMIM on a Swin-v2 of three stages from 48 features on, patch 2: ours, for minutes on two cores",
        |image| SimMimConfig::in_small_squares(SwinV2Config::small_images(image)),
    )]
}

fn small<C: EncoderConfig>(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> SimMimConfig<C>,
) -> Preset<SimMimConfig<C>> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 32),
        numbers,
        recipe: Recipe::simmim().with_base_lr(8e-3).with_warmup_epochs(0.2),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
        images: Some(10_000),
    }
}
