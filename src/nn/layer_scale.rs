//! A learned scale per channel on a residual branch.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, InitialWeights};

/// Multiplies a residual branch by one learned factor per channel (CaiT, arXiv 2103.17239 §2.2);
/// BEiT and SimMIM start it at 0.1 for ViT-B and 1e-5 for ViT-L.
#[derive(Module, Debug)]
pub struct LayerScale {
    /// The factors, `[width]`.
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    /// Factors for `width` channels that start at `value`.
    pub fn new(width: usize, value: f64, weights: &mut InitialWeights) -> Self {
        Self { gamma: weights.param([width], Init::Constant(value as f32)) }
    }

    /// The scaled branch.
    ///
    /// # Shapes
    ///
    /// - branch: `[batch, tokens, width]`
    /// - output: the same
    pub fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        branch * self.gamma.val().unsqueeze()
    }
}
