//! One linear layer on the hidden cells.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::PredictionHead;
use crate::encoder::GridTokens;
use crate::mask::Mask;
use crate::nn::{Init, Weights, per_token};

/// A linear layer from a hidden cell's features to its prediction (SimMIM, arXiv 2111.09886 §3.3:
/// as good as any deeper head).
#[derive(Module, Debug)]
pub struct LinearHead {
    /// Encoder width → target width.
    pub projection: Linear,
}

impl LinearHead {
    /// A head from an encoder of `width` features to `target_width` values per cell, normal with σ =
    /// 0.02.
    pub fn new(width: usize, target_width: usize, weights: &mut Weights) -> Self {
        Self::with_init(width, target_width, Init::Normal { std: 0.02 }, weights)
    }

    /// The same with a weight that starts otherwise; the bias starts at 0.
    pub fn with_init(width: usize, target_width: usize, init: Init, weights: &mut Weights) -> Self {
        Self { projection: weights.linear(width, target_width, init) }
    }
}

impl PredictionHead<GridTokens> for LinearHead {
    fn predict(&self, features: GridTokens, mask: &Mask) -> Tensor<3> {
        per_token(&self.projection, mask.at(features.grid).select_hidden(features.tokens))
    }
}
