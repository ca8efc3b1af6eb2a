//! Layer normalization.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{DType, Device, Tensor};

use crate::kernel;

/// Layer normalization over each token's features (arXiv 1607.06450): burn's own layer on
/// [`kernel::layer_norm()`].
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// The scale of each feature.
    pub gamma: Param<Tensor<1>>,
    /// What is added to each feature.
    pub beta: Param<Tensor<1>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// A layer norm of weight 1 and bias 0.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        let gamma = Initializer::Ones.init([width], device);
        Self { gamma, beta: Initializer::Zeros.init([width], device), epsilon }
    }

    /// The tokens, each with mean 0 and variance 1 over its features, then scaled and moved.
    /// Tokens of half precision stay so, but what happens to them is computed in f32.
    ///
    /// # Shapes
    ///
    /// - tokens: `[.., width]`
    /// - output: the same
    ///
    /// # Panics
    ///
    /// When the tokens are of another width.
    pub fn forward<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        let (gamma, beta, dtype) = (self.gamma.val(), self.beta.val(), tokens.dtype());
        // As in PyTorch's autocast; f16 would not hold the sum of squares.
        if !matches!(dtype, DType::F16 | DType::BF16) {
            return kernel::layer_norm(tokens, gamma, beta, self.epsilon);
        }
        let [gamma, beta] = [gamma, beta].map(|parameter| parameter.cast(DType::F32));
        kernel::layer_norm(tokens.cast(DType::F32), gamma, beta, self.epsilon).cast(dtype)
    }
}
