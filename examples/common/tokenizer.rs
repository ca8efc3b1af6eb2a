//! The tokenizers of the examples, with recipes for minutes.

use burn_mim::ImageShape;
use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::run::TokenizerRecipe;
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};
use burn_mim::task::DvaeSchedule;
use burn_mim::train::Recipe;

/// Which tokenizer to fit.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The colours of patches: seconds
    Palette,
    /// Vector quantisation: a minute
    Vq,
    /// A discrete variational autoencoder: minutes
    Dvae,
}

impl Kind {
    /// A tokenizer of 512 tokens for patches of 4 pixels.
    pub(crate) fn config(self, image: ImageShape) -> TokenizerConfig {
        match self {
            Self::Palette => TokenizerConfig::Palette(PaletteConfig::new(image).with_cell(4)),
            Self::Vq => TokenizerConfig::Vq(VqConfig::small_images(image)),
            Self::Dvae => TokenizerConfig::Dvae(DvaeConfig::small_images(image)),
        }
    }

    /// Images to train on where nothing else is asked for.
    pub(crate) fn images(self) -> usize {
        match self {
            Self::Palette => 0,
            Self::Vq => 30_000,
            Self::Dvae => 20_000,
        }
    }
}

/// How the tokenizers of the examples are trained.
pub(crate) fn recipe(epochs: usize) -> TokenizerRecipe {
    let crop = Some(CropRange::new([0.5, 1.0]));
    let recipe = Recipe::new()
        .with_epochs(epochs.max(1))
        .with_base_lr(1.2e-2)
        .with_warmup_epochs(0.2)
        .with_betas([0.9, 0.99])
        .with_weight_decay(1e-4)
        .with_clip_norm(Some(1.0));
    TokenizerRecipe {
        augmentation: Augmentation { crop, ..Augmentation::mae() },
        recipe,
        schedule: DvaeSchedule::new().with_cooling(0.25).with_kl_weight(1e-4),
    }
}
