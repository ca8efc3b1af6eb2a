//! Global response normalization.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, InitialWeights};

/// x + γ · x · n + β, n being how large a feature is over all tokens of an image, ‖x‖₂, relative to the
/// mean over all features (Woo et al. 2023, arXiv 2301.00808 §4, Algorithm 1). It starts as the
/// identity.
///
/// It is computed together with the GELU before it: [`gelu_response_norm`](crate::kernel::gelu_response_norm).
#[derive(Module, Debug)]
pub struct ResponseNorm {
    /// The weight of the normalized features, `[width]`.
    pub gamma: Param<Tensor<1>>,
    /// What is added to each feature, `[width]`.
    pub beta: Param<Tensor<1>>,
}

impl ResponseNorm {
    /// A norm of `width` features.
    pub fn new(width: usize, weights: &mut InitialWeights) -> Self {
        let zeros = Init::Constant(0.0);
        Self { gamma: weights.param([width], zeros), beta: weights.param([width], zeros) }
    }
}
