//! The encoders that SparK works on.

use std::fmt::Debug;

use burn::config::Config;
use burn::tensor::Tensor;

use crate::encoder::{
    Backbone, Encoder, FeatureMaps, ResNet, ResNetConfig, ResidualConfig, ResidualNet,
};
use crate::error::Result;
use crate::nn::InitialWeights;

/// The configuration of a hierarchy of convolutions whose features are zeros at hidden cells: SparK works on
/// any such encoder.
pub trait SparkEncoderConfig: Config + Clone + Debug + PartialEq {
    /// The kind of encoder, as files name it.
    const KIND: &'static str;

    /// The encoder.
    type Encoder: Encoder<Images = Tensor<4>, Features = FeatureMaps> + Backbone + Clone;

    /// Channels of the images.
    fn channels(&self) -> usize;

    /// The features that each stage leaves, finest first. Each stage has half the rows and columns of the
    /// one before.
    fn widths(&self) -> Vec<usize>;

    /// Side of a cell of the first stage in pixels, a power of two.
    fn cell(&self) -> usize;

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
    /// With the message of [`validate`](Self::validate) when that fails.
    fn init(&self, weights: &mut InitialWeights) -> Self::Encoder;
}

impl SparkEncoderConfig for ResidualConfig {
    const KIND: &'static str = "residual";
    type Encoder = ResidualNet;

    fn channels(&self) -> usize {
        self.channels
    }

    fn widths(&self) -> Vec<usize> {
        self.widths.clone()
    }

    fn cell(&self) -> usize {
        1
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> ResidualNet {
        self.init(weights)
    }
}

impl SparkEncoderConfig for ResNetConfig {
    const KIND: &'static str = "resnet";
    type Encoder = ResNet;

    fn channels(&self) -> usize {
        self.channels
    }

    fn widths(&self) -> Vec<usize> {
        (0..self.depths.len()).map(|stage| self.stage_width(stage)).collect()
    }

    fn cell(&self) -> usize {
        self.first_stride()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> ResNet {
        self.init(weights)
    }
}
