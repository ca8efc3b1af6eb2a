//! A small network on every cell.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::kernel::{self, Activation};
use crate::nn::{Init, InitialWeights};

/// Two linear layers with a hyperbolic tangent between them.
#[derive(Module, Debug)]
pub struct TanhLayers {
    /// The first layer.
    pub first: Linear,
    /// The second layer.
    pub second: Linear,
}

impl TanhLayers {
    pub(super) fn new(
        [inputs, between, outputs]: [usize; 3],
        init: Init,
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            first: weights.linear(inputs, between, init),
            second: weights.linear(between, outputs, init),
        }
    }

    pub(super) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let layers = [&self.first, &self.second];
        let weights = layers.map(|layer| layer.weight.val());
        let biases = layers.map(|layer| layer.bias.as_ref().expect("it was made with one").val());
        kernel::mlp(tokens, weights, biases, Activation::Tanh)
    }
}
