//! A linear layer on tokens.

use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::kernel;

/// `layer` applied to every token on its own, as one matrix product for the whole batch.
///
/// # Shapes
///
/// - tokens: `[batch, tokens, inputs]`
/// - output: `[batch, tokens, outputs]`
pub fn per_token(layer: &Linear, tokens: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    kernel::linear(tokens, layer.weight.val(), bias)
}
