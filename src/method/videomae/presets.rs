//! VideoMAE's presets.

use super::VideoMaeConfig;
use crate::data::augment::Augmentation;
use crate::encoder::ClipVitConfig;
use crate::grid::{ClipShape, ImageShape};
use crate::mask::ClipMaskConfig;
use crate::method::Preset;
use crate::train::Recipe;

/// The frames of a clip of the preset for small clips.
const FRAMES: usize = 8;

/// How the official code trains: 800 epochs of its shorter runs, 40 of them warm-up.
pub(super) fn recipe() -> Recipe {
    Recipe::mae().with_warmup_lr(1e-6).with_min_lr(1e-5)
}

pub(super) fn all() -> Vec<Preset<VideoMaeConfig>> {
    vec![
        Preset {
            name: "videomae_small_clips",
            about: "VideoMAE, and motion beside pixels, on a convolutional stem and a ViT of 96 × 1, tubelets of 2 × 8 × 8, every second of 15 frames: ours, for two cores",
            image: small(ImageShape::square(3, 32)).encoder.image(),
            numbers: small,
            recipe: recipe().with_epochs(4).with_base_lr(1.6e-2).with_warmup_epochs(0.1),
            augmentation: Augmentation::none(),
            batch_size: 32,
        },
        papers(
            "videomae_vit_small_patch16_224",
            "VideoMAE on ViT-S/16, 1600 epochs (arXiv 2203.12602; MCG-NJU/VideoMAE scripts/kinetics)",
            |image| on(VideoMaeConfig::small_patch16(), image),
            [1600, 32, 32],
        ),
        papers(
            "videomae_vit_base_patch16_224",
            "VideoMAE on ViT-B/16, 800 epochs (arXiv 2203.12602; MCG-NJU/VideoMAE scripts/kinetics)",
            |image| on(VideoMaeConfig::base_patch16(), image),
            [800, 64, 32],
        ),
        papers(
            "videomae_vit_large_patch16_224",
            "VideoMAE on ViT-L/16, 1600 epochs (arXiv 2203.12602; MCG-NJU/VideoMAE scripts/kinetics)",
            |image| on(VideoMaeConfig::large_patch16(), image),
            [1600, 64, 8],
        ),
        papers(
            "videomae_random_vit_base_patch16_224",
            "VideoMAE on ViT-B/16 with the agnostic masks of MAE of video: random over space and time (arXiv 2205.09113 §3)",
            |image| {
                let mask = ClipMaskConfig::Random { ratio: 0.9 };
                on(VideoMaeConfig::base_patch16().with_mask(mask), image)
            },
            [800, 64, 32],
        ),
    ]
}

/// Clips of 8 frames, every second one of their source.
fn small(image: ImageShape) -> VideoMaeConfig {
    let config = VideoMaeConfig::small_clips(ClipShape::new(image.frame(), FRAMES));
    VideoMaeConfig { encoder: config.encoder.with_stride(2), ..config }
}

/// As the scripts for Kinetics-400: so many epochs on so many GPUs with so many clips each.
fn papers(
    name: &'static str,
    about: &'static str,
    numbers: fn(ImageShape) -> VideoMaeConfig,
    [epochs, gpus, batch_size]: [usize; 3],
) -> Preset<VideoMaeConfig> {
    Preset {
        name,
        about,
        image: numbers(ImageShape::square(3, 224)).encoder.image(),
        numbers,
        recipe: recipe().with_epochs(epochs).with_accumulation(gpus),
        augmentation: Augmentation::videomae(),
        batch_size,
    }
}

/// The model on frames of another shape: 16 of them, each the fourth of its source.
fn on(config: VideoMaeConfig, image: ImageShape) -> VideoMaeConfig {
    let clip = ClipShape::new(image.frame(), config.encoder.clip.frames);
    VideoMaeConfig { encoder: ClipVitConfig { clip, stride: 4, ..config.encoder }, ..config }
}
