//! A linear layer on tokens.

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::module::linear;

/// `layer` applied to every token on its own.
///
/// All tokens of the batch are the rows of one matrix product: as a product per sample, which is
/// what three axes mean to burn, small samples leave most of a processor idle.
///
/// # Shapes
///
/// - tokens: `[batch, tokens, inputs]`
/// - output: `[batch, tokens, outputs]`
pub fn per_token(layer: &Linear, tokens: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    per_token_with(layer.weight.val(), bias, tokens)
}

/// As [`per_token`], with a weight `[inputs, outputs]` and a bias `[outputs]`.
pub(super) fn per_token_with(
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    tokens: Tensor<3>,
) -> Tensor<3> {
    let [batch, count, inputs] = tokens.dims();
    let [_, outputs] = weight.dims();
    linear(tokens.reshape([batch * count, inputs]), weight, bias).reshape([batch, count, outputs])
}
