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
    /// A head from an encoder of `width` features to `target_width` values per cell.
    pub fn new(width: usize, target_width: usize, weights: &mut Weights) -> Self {
        let init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };
        Self { projection: weights.linear(width, target_width, init) }
    }
}

impl PredictionHead<GridTokens> for LinearHead {
    fn predict(&self, features: GridTokens, mask: &Mask) -> Tensor<3> {
        per_token(&self.projection, mask.at(features.grid).select_hidden(features.tokens))
    }
}
