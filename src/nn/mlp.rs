//! The transformer's feed-forward layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{Init, InitialWeights, per_token};
use crate::kernel::{self, gelu};

/// Two linear layers with an exact GELU (the error function, not its tanh approximation) between.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `width` → `hidden`.
    pub fc1: Linear,
    /// `hidden` → `width`.
    pub fc2: Linear,
}

impl Mlp {
    /// A feed-forward layer of `width` features with `hidden` in between, its two matrices
    /// starting as `init` and `output_init`.
    pub fn new(
        width: usize,
        hidden: usize,
        [init, output_init]: [Init; 2],
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            fc1: weights.linear(width, hidden, init),
            fc2: weights.linear(hidden, width, output_init),
        }
    }

    /// Every token on its own.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - output: the same
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let weights = [&self.fc1, &self.fc2].map(|layer| layer.weight.val());
        match (&self.fc1.bias, &self.fc2.bias) {
            (Some(bias1), Some(bias2)) => kernel::mlp(tokens, weights, [bias1.val(), bias2.val()]),
            _ => per_token(&self.fc2, gelu(per_token(&self.fc1, tokens))),
        }
    }
}
