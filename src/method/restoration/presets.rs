//! The presets of restoration.

use super::RestorationConfig;
use crate::data::augment::Augmentation;
use crate::encoder::VitConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::nn::{Positions, QkvBias};
use crate::train::{Decay, Recipe};

pub(super) fn all() -> Vec<Preset<RestorationConfig>> {
    // Mirrored images alone: crops are resized, which blurs.
    let augmentation = Augmentation { flip: true, ..Augmentation::none() };
    vec![
        Preset {
            name: "restoration_small_images",
            about: "Restoration by a transformer of 128 × 4, patch 4, 16 feature maps: ours, for minutes on two cores",
            image: ImageShape::square(3, 32),
            numbers: RestorationConfig::small_images,
            recipe: Recipe::restoration().with_epochs(3).with_base_lr(1e-3).with_warmup_epochs(0.2),
            augmentation,
            batch_size: 64,
        },
        Preset {
            name: "restoration_ipt_48",
            about: "Restoration by a transformer of IPT's sizes (arXiv 2012.00364 §3.1, §4; huawei-noah/Pretrained-IPT)",
            image: ImageShape::square(3, 48),
            numbers: ipt,
            recipe: ipt_recipe(),
            augmentation,
            batch_size: 64,
        },
    ]
}

/// The published code's sizes: 64 feature maps in patches of 3, which are tokens of 576 features, 12
/// heads; its 12 blocks of encoder and 12 of decoder are one stack.
fn ipt(image: ImageShape) -> RestorationConfig {
    let encoder = VitConfig::new(image, 3, 576, 24, 12)
        .with_class_token(false)
        .with_norm_epsilon(1e-5)
        .with_positions(Positions::Learned)
        .with_qkv_bias(QkvBias::None);
    RestorationConfig::new(encoder)
}

/// Adam at 5e-5 for batches of 256, at 2e-5 from epoch 200 of 300 on (§4).
fn ipt_recipe() -> Recipe {
    Recipe::restoration()
        .with_epochs(300)
        .with_base_lr(5e-5)
        .with_lr_batch(256)
        .with_warmup_epochs(0.0)
        .with_decay(Decay::MultiStep { epochs: vec![200.0], factor: 0.4 })
        .with_betas([0.9, 0.999])
        .with_clip_norm(None)
        .with_accumulation(4)
}
