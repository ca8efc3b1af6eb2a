//! SparK's presets.

use std::any::Any;

use super::SparkConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::encoder::ResNetConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::{OptimizerKind, Recipe};

/// The presets on the encoder `C`; none of encoders from elsewhere.
pub(super) fn of_encoder<C: 'static>() -> Vec<Preset<SparkConfig<C>>> {
    let all: [Box<dyn Any>; 2] = [Box::new(on_residual_net()), Box::new(on_resnet())];
    all.into_iter().find_map(|presets| presets.downcast().ok().map(|own| *own)).unwrap_or_default()
}

fn on_residual_net() -> Vec<Preset<SparkConfig>> {
    vec![Preset {
        name: "spark_small_images",
        about: "SparK on a residual network of three stages from 24 features on, patch 4: ours, for minutes on two cores",
        image: ImageShape::square(3, 32),
        numbers: SparkConfig::small_images,
        recipe: recipe()
            .with_optimizer(OptimizerKind::AdamW)
            .with_epsilon(1e-8)
            .with_clip_norm(None)
            .with_epochs(1)
            .with_base_lr(2e-3)
            .with_lr_batch(64)
            .with_warmup_lr(0.0)
            .with_min_lr(0.0)
            .with_warmup_epochs(0.1),
        augmentation: augmentation(),
        batch_size: 64,
    }]
}

fn on_resnet() -> Vec<Preset<SparkConfig<ResNetConfig>>> {
    vec![
        papers(
            "spark_resnet50_224",
            "SparK on ResNet-50 (arXiv 2301.03580 §4.1; keyu-tian/SparK pretrain)",
            SparkConfig::resnet50,
        ),
        papers(
            "spark_resnet101_224",
            "SparK on ResNet-101 (arXiv 2301.03580 §4.1; keyu-tian/SparK pretrain)",
            |image| SparkConfig::on(ResNetConfig::resnet101(image.channels), image),
        ),
        papers(
            "spark_resnet152_224",
            "SparK on ResNet-152 (arXiv 2301.03580 §4.1; keyu-tian/SparK pretrain)",
            |image| SparkConfig::on(ResNetConfig::resnet152(image.channels), image),
        ),
        papers(
            "spark_resnet200_224",
            "SparK on ResNet-200 (arXiv 2301.03580 §4.1; keyu-tian/SparK pretrain)",
            |image| SparkConfig::on(ResNetConfig::resnet200(image.channels), image),
        ),
    ]
}

/// Batches of 4096 (official code).
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> SparkConfig<ResNetConfig>,
) -> Preset<SparkConfig<ResNetConfig>> {
    Preset {
        name,
        about,
        image: ImageShape::square(3, 224),
        numbers,
        recipe: recipe().with_accumulation(64),
        augmentation: augmentation(),
        batch_size: 64,
    }
}

/// The official command's numbers: rates of 0.005 and 0.001 of the peak, for a batch of 256, at both ends.
pub(super) fn recipe() -> Recipe {
    Recipe::mae()
        .with_optimizer(OptimizerKind::Lamb)
        .with_epochs(1600)
        .with_base_lr(2e-4)
        .with_warmup_lr(1e-6)
        .with_min_lr(2e-7)
        .with_epsilon(1e-6)
        .with_weight_decay(0.04)
        .with_clip_norm(Some(5.0))
}

/// Crops of at least two thirds of the area, and flips (official code).
pub(super) fn augmentation() -> Augmentation {
    Augmentation { crop: Some(CropRange::new([0.67, 1.0])), ..Augmentation::mae() }
}
