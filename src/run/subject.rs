//! What an evaluation measures: the encoder, and baselines beside it.

use serde::{Deserialize, Serialize};

/// What is measured: the encoder that was given, or a baseline beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Subject {
    /// The encoder with its weights.
    Given,
    /// An encoder of the same shape with random weights, other ones for each seed.
    Random,
    /// No encoder: the pixels themselves, see [`Handmade::Pixels`](crate::eval::Handmade).
    Pixels,
    /// No encoder: histograms of oriented gradients, see [`Handmade::Hog`](crate::eval::Handmade).
    Hog,
}

impl Subject {
    /// What the encoder is compared with.
    pub const BASELINES: [Self; 3] = [Self::Random, Self::Pixels, Self::Hog];

    /// Whether it has weights and tokens: whether it is an encoder.
    pub fn is_encoder(self) -> bool {
        matches!(self, Self::Given | Self::Random)
    }

    /// The name of a baseline in scores; nothing for the encoder itself.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Given => "",
            Self::Random => "random weights",
            Self::Pixels => "raw pixels",
            Self::Hog => "HOG",
        }
    }
}
