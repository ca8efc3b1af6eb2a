//! Image GPT's presets.

use super::ImageGptConfig;
use crate::data::augment::{Augmentation, CropRange};
use crate::encoder::GptConfig;
use crate::grid::ImageShape;
use crate::method::Preset;
use crate::train::Recipe;

pub(super) fn all() -> Vec<Preset<ImageGptConfig>> {
    let small = Recipe::mae().with_epochs(1).with_base_lr(8e-3).with_warmup_epochs(0.2);
    vec![
        Preset {
            name: "image_gpt_small_images",
            about: "Image GPT of 64 × 4 on images of 16 pixels: ours, for minutes on two cores",
            image: ImageShape::square(3, 16),
            numbers: ImageGptConfig::small_images,
            recipe: small.with_clip_norm(Some(1.0)),
            augmentation: Augmentation::simmim(),
            batch_size: 64,
        },
        papers(
            "image_gpt_small_32",
            "iGPT-S on 32 × 32 pixels (Generative Pretraining from Pixels §3, appendix A.1)",
            |image| on(GptConfig::small(), image),
            (32, 3e-3),
        ),
        papers(
            "image_gpt_medium_32",
            "iGPT-M on 32 × 32 pixels (Generative Pretraining from Pixels §3, appendix A.1)",
            |image| on(GptConfig::medium(), image),
            (32, 3e-3),
        ),
        papers(
            "image_gpt_large_32",
            "iGPT-L on 32 × 32 pixels (Generative Pretraining from Pixels §3, appendix A.1)",
            |image| on(GptConfig::large(), image),
            (32, 1e-3),
        ),
        papers(
            "image_gpt_large_48",
            "iGPT-L on 48 × 48 pixels (Generative Pretraining from Pixels §3, appendix A.1)",
            |image| on(GptConfig::large(), image),
            (48, 1e-3),
        ),
    ]
}

/// A million steps of 128 images are 100 epochs of ImageNet-1k; 64 images a batch as of 8 GPUs with
/// 8 each, in the published code.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> ImageGptConfig,
    (side, rate): (usize, f64),
) -> Preset<ImageGptConfig> {
    let recipe = Recipe::mae().with_epochs(100).with_warmup_epochs(1.0).with_weight_decay(0.0);
    // 224 of 256 to 384 pixels of a side, as a share of the area.
    let crop = CropRange { scale: [0.34, 0.77], ratio: [1.0, 1.0] };
    Preset {
        name,
        about,
        image: ImageShape::square(3, side),
        numbers,
        recipe: recipe.with_base_lr(rate).with_lr_batch(128).with_accumulation(2),
        augmentation: Augmentation { crop: Some(crop), ..Augmentation::none() },
        batch_size: 64,
    }
}

fn on(gpt: GptConfig, image: ImageShape) -> ImageGptConfig {
    ImageGptConfig::new(GptConfig { image, ..gpt })
}
