//! The trait that the configurations of encoders share.

use std::fmt::Debug;

use burn::config::Config;
use burn::tensor::Tensor;

use super::{Encoder, GridTokens, Stack, Swin, SwinConfig, SwinV2, SwinV2Config, Vit, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::nn::InitialWeights;

/// The configuration of an encoder that sees every cell, with a mask token in place of hidden ones:
/// the facts that the rest of a model needs. SimMIM works on any such encoder.
pub trait EncoderConfig: Config + Clone + Debug + PartialEq {
    /// The kind of encoder, as files name it.
    const KIND: &'static str;

    /// The encoder.
    type Encoder: Encoder<Images = Tensor<4>, Features = GridTokens>;

    /// The images the encoder is made for.
    fn image(&self) -> ImageShape;

    /// Side of a cell of its features in pixels.
    fn stride(&self) -> usize;

    /// Features per token of the output.
    fn width(&self) -> usize;

    /// Its blocks, for an estimate of the memory of a step. Default: none, they are not known
    fn stacks(&self) -> Vec<Stack> {
        Vec::new()
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    fn validate(&self) -> Result<()>;

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`EncoderConfig::validate`] when that fails.
    fn init(&self, weights: &mut InitialWeights) -> Self::Encoder;
}

impl EncoderConfig for VitConfig {
    const KIND: &'static str = "vit";
    type Encoder = Vit;

    fn image(&self) -> ImageShape {
        self.image
    }

    fn stride(&self) -> usize {
        self.patch
    }

    fn width(&self) -> usize {
        self.width
    }

    fn stacks(&self) -> Vec<Stack> {
        let blocks = self.stack(self.grid().cells());
        [blocks].into_iter().chain(self.stem_stack()).collect()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> Vit {
        self.init(weights)
    }
}

impl EncoderConfig for SwinConfig {
    const KIND: &'static str = "swin";
    type Encoder = Swin;

    fn image(&self) -> ImageShape {
        self.image
    }

    fn stride(&self) -> usize {
        self.stride()
    }

    fn width(&self) -> usize {
        self.output_width()
    }

    fn stacks(&self) -> Vec<Stack> {
        self.stacks()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> Swin {
        self.init(weights)
    }
}

impl EncoderConfig for SwinV2Config {
    const KIND: &'static str = "swin-v2";
    type Encoder = SwinV2;

    fn image(&self) -> ImageShape {
        self.sizes.image
    }

    fn stride(&self) -> usize {
        self.sizes.stride()
    }

    fn width(&self) -> usize {
        self.sizes.output_width()
    }

    fn stacks(&self) -> Vec<Stack> {
        self.sizes.stacks()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> SwinV2 {
        self.init(weights)
    }
}
