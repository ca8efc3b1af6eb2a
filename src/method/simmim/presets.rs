//! SimMIM's presets.

use std::any::Any;

use super::SimMimConfig;
use crate::data::augment::Augmentation;
use crate::encoder::{ConvNextV2Config, EncoderConfig, SwinConfig, SwinV2Config, VitConfig};
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

/// The presets on the encoder `C`; none of encoders from elsewhere.
pub(super) fn of_encoder<C: 'static>() -> Vec<Preset<SimMimConfig<C>>> {
    let all: [Box<dyn Any>; 4] = [
        Box::new(on_vit()),
        Box::new(on_swin()),
        Box::new(on_swin_v2()),
        Box::new(on_convnext_v2()),
    ];
    all.into_iter().find_map(|presets| presets.downcast().ok().map(|own| *own)).unwrap_or_default()
}

fn on_vit() -> Vec<Preset<SimMimConfig>> {
    vec![
        small(
            "simmim_vit_small_images",
            "SimMIM on a ViT of 128 × 4, patch 4: ours, for minutes on two cores",
            |image| SimMimConfig::in_small_squares(SimMimConfig::small_images(image).encoder),
        ),
        papers(
            "simmim_vit_base_patch16_224",
            "SimMIM on ViT-B/16 (arXiv 2111.09886 §4.1; microsoft/SimMIM vit_base__800ep)",
            |image| SimMimConfig::base_patch16().on(|vit| VitConfig { image, ..vit }),
            (224, Recipe::simmim_800()),
        ),
    ]
}

fn on_swin() -> Vec<Preset<SimMimConfig<SwinConfig>>> {
    let base = |image| SimMimConfig::swin_base().on(|swin| swin.with_image(image));
    vec![
        small(
            "simmim_swin_small_images",
            "SimMIM on a Swin of three stages from 48 features on, patch 2: ours, for minutes on two cores",
            |image| SimMimConfig::in_small_squares(SwinConfig::small_images(image)),
        ),
        papers(
            "simmim_swin_base_192",
            "SimMIM on Swin-B, windows of 6, 100 epochs (arXiv 2111.09886 §4.1; microsoft/SimMIM swin_base__100ep)",
            base,
            (192, Recipe::simmim()),
        ),
        papers(
            "simmim_swin_base_192_800ep",
            "SimMIM on Swin-B, windows of 6, 800 epochs (microsoft/SimMIM swin_base__800ep)",
            base,
            (192, Recipe::simmim_800()),
        ),
        papers(
            "simmim_swin_large_192",
            "SimMIM on Swin-L, windows of 12, 800 epochs (microsoft/SimMIM swin_large__800ep)",
            |image| SimMimConfig::swin_large().on(|swin| swin.with_image(image)),
            (192, Recipe::simmim_800()),
        ),
    ]
}

fn on_swin_v2() -> Vec<Preset<SimMimConfig<SwinV2Config>>> {
    vec![
        small(
            "simmim_swin_v2_small_images",
            "SimMIM on a Swin-v2 of three stages from 48 features on, patch 2: ours, for minutes on two cores",
            |image| SimMimConfig::in_small_squares(SwinV2Config::small_images(image)),
        ),
        papers(
            "simmim_swin_v2_base_192",
            "SimMIM on SwinV2-B, windows of 12 (microsoft/Swin-Transformer simmim_pretrain__swinv2_base)",
            |image| SimMimConfig::swin_v2_base().on(|swin| swin.with_image(image)),
            (192, Recipe::simmim_800()),
        ),
    ]
}

fn on_convnext_v2() -> Vec<Preset<SimMimConfig<ConvNextV2Config>>> {
    vec![small(
        "simmim_convnext_v2_small_images",
        "SimMIM on a ConvNeXt V2 of three stages from 48 features on, patch 2: ours, for minutes on two cores",
        |image| SimMimConfig::in_small_squares(ConvNextV2Config::small_images(image)),
    )]
}

impl<C> SimMimConfig<C> {
    /// The same on another encoder of its kind.
    fn on(self, change: impl FnOnce(C) -> C) -> Self {
        Self { encoder: change(self.encoder), ..self }
    }
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
        recipe: Recipe::simmim().with_epochs(5).with_base_lr(8e-3).with_warmup_epochs(0.2),
        augmentation: Augmentation::simmim(),
        batch_size: 64,
    }
}

/// A batch of 2048: 16 GPUs with 128 images each.
fn papers<C: EncoderConfig>(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> SimMimConfig<C>,
    (side, recipe): (usize, Recipe),
) -> Preset<SimMimConfig<C>> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, side),
        numbers,
        recipe: recipe.with_accumulation(16),
        augmentation: Augmentation::simmim(),
        batch_size: 128,
    }
}
