//! Encoders as data, for those who do not care which it is.

use std::fmt::Debug;

use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{Encoder, GridTokens, Swin, SwinConfig, SwinV2, SwinV2Config, Vit, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::nn::InitialWeights;

/// What the rest of a model must know of an encoder's configuration.
pub trait EncoderSizes: Config + Clone + Debug + PartialEq {
    /// The images the encoder is made for.
    fn image(&self) -> ImageShape;

    /// Side of a cell of its features in pixels.
    fn stride(&self) -> usize;

    /// Features per token that comes out.
    fn width(&self) -> usize;

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    fn validate(&self) -> Result<()>;
}

/// The configuration of an encoder that sees every cell, the hidden ones as a mask token: what
/// SimMIM can be put on.
pub trait ReplacingEncoder: EncoderSizes {
    /// The encoder.
    type Encoder: Encoder<Features = GridTokens>;

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`EncoderSizes::validate`] when that fails.
    fn init(&self, weights: &mut InitialWeights) -> Self::Encoder;
}

/// Any encoder's configuration: a choice made at run time, as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EncoderConfig {
    /// A vision transformer.
    Vit(VitConfig),
    /// Swin.
    Swin(SwinConfig),
    /// Swin-v2.
    SwinV2(SwinV2Config),
}

impl Config for EncoderConfig {}

impl EncoderSizes for EncoderConfig {
    fn image(&self) -> ImageShape {
        match self {
            Self::Vit(config) => config.image(),
            Self::Swin(config) => config.image(),
            Self::SwinV2(config) => config.image(),
        }
    }

    fn stride(&self) -> usize {
        match self {
            Self::Vit(config) => EncoderSizes::stride(config),
            Self::Swin(config) => EncoderSizes::stride(config),
            Self::SwinV2(config) => EncoderSizes::stride(config),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Vit(config) => config.width(),
            Self::Swin(config) => config.width(),
            Self::SwinV2(config) => config.width(),
        }
    }

    fn validate(&self) -> Result<()> {
        match self {
            Self::Vit(config) => config.validate(),
            Self::Swin(config) => config.validate(),
            Self::SwinV2(config) => config.validate(),
        }
    }
}

impl EncoderSizes for VitConfig {
    fn image(&self) -> ImageShape {
        self.image
    }

    fn stride(&self) -> usize {
        self.patch
    }

    fn width(&self) -> usize {
        self.width
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }
}

impl EncoderSizes for SwinConfig {
    fn image(&self) -> ImageShape {
        self.image
    }

    fn stride(&self) -> usize {
        self.stride()
    }

    fn width(&self) -> usize {
        self.output_width()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }
}

impl EncoderSizes for SwinV2Config {
    fn image(&self) -> ImageShape {
        self.sizes.image
    }

    fn stride(&self) -> usize {
        self.sizes.stride()
    }

    fn width(&self) -> usize {
        self.sizes.output_width()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }
}

impl ReplacingEncoder for VitConfig {
    type Encoder = Vit;

    fn init(&self, weights: &mut InitialWeights) -> Vit {
        self.init(weights)
    }
}

impl ReplacingEncoder for SwinConfig {
    type Encoder = Swin;

    fn init(&self, weights: &mut InitialWeights) -> Swin {
        self.init(weights)
    }
}

impl ReplacingEncoder for SwinV2Config {
    type Encoder = SwinV2;

    fn init(&self, weights: &mut InitialWeights) -> SwinV2 {
        self.init(weights)
    }
}

impl From<VitConfig> for EncoderConfig {
    fn from(config: VitConfig) -> Self {
        Self::Vit(config)
    }
}

impl From<SwinConfig> for EncoderConfig {
    fn from(config: SwinConfig) -> Self {
        Self::Swin(config)
    }
}

impl From<SwinV2Config> for EncoderConfig {
    fn from(config: SwinV2Config) -> Self {
        Self::SwinV2(config)
    }
}
