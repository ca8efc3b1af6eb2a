//! The transformer block of Image GPT.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::GptConfig;
use crate::nn::{Attention, AttentionConfig, Init, InitialWeights, KeysValues, Mlp};

/// x / √(mean(x²) + ε) · γ: a layer norm that does not take the mean away, and has no bias.
///
/// burn's own widens to 32 bits whatever it is given, and so narrows 64.
#[derive(Module, Debug)]
pub struct RootMeanSquareNorm {
    /// The scale of each feature.
    pub gamma: Param<Tensor<1>>,
    epsilon: f64,
}

impl RootMeanSquareNorm {
    pub(super) fn new(width: usize, epsilon: f64, weights: &mut InitialWeights) -> Self {
        Self { gamma: weights.param([width], Init::Constant(1.0)), epsilon }
    }

    /// Every token on its own, `[batch, tokens, width]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let square = tokens.clone().square().mean_dim(2);
        tokens / (square + self.epsilon).sqrt() * self.gamma.val().unsqueeze()
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub struct GptBlock {
    /// Before the attention.
    pub norm1: RootMeanSquareNorm,
    /// Tokens look at each other.
    pub attention: Attention,
    /// Before the MLP.
    pub norm2: RootMeanSquareNorm,
    /// Tokens on their own.
    pub mlp: Mlp,
}

impl GptBlock {
    pub(super) fn new(config: &GptConfig, index: usize, weights: &mut InitialWeights) -> Self {
        let (width, mlp) = (config.width, config.mlp_width());
        let init = Init::Normal { std: 0.02 };
        let residual = Init::Normal { std: 0.02 / (2.0 * config.depth as f32).sqrt() };
        let attention = AttentionConfig {
            scale: Some(config.scale(index)),
            output_init: residual,
            ..AttentionConfig::new(width, config.heads, init)
        };
        Self {
            norm1: RootMeanSquareNorm::new(width, config.norm_epsilon, weights),
            attention: attention.init(weights),
            norm2: RootMeanSquareNorm::new(width, config.norm_epsilon, weights),
            mlp: Mlp::new(width, mlp, [init, residual], weights).with_activation(config.activation),
        }
    }

    /// The tokens after this block, which see those of `past` too and are added to it.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias: `[1, 1, tokens, past + tokens]`, added to the scores
    /// - output: `[batch, tokens, width]`
    ///
    /// # Panics
    ///
    /// When the width of `tokens` is not the block's.
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        past: Option<&mut Option<KeysValues>>,
    ) -> Tensor<3> {
        let normed = self.norm1.forward(tokens.clone());
        let attended = match past {
            Some(past) => self.attention.forward_after(past, normed, bias),
            None => self.attention.forward(normed, bias),
        };
        let tokens = tokens + attended;
        tokens.clone() + self.mlp.forward(self.norm2.forward(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    #[test]
    fn the_norm_divides_by_the_root_of_the_mean_square() {
        let mut norm = RootMeanSquareNorm::new(2, 0.5, &mut InitialWeights::new(0, &test_device()));
        norm.gamma = Param::from_tensor(Tensor::from_floats([1.0, 10.0], &test_device()));
        let out = norm.forward(Tensor::from_floats([[[1.0, 4.0]]], &test_device()));
        // √((1 + 16) / 2 + 0.5) = 3.
        let expected = TensorData::from([[[1.0f32 / 3.0, 40.0 / 3.0]]]);
        out.into_data().assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::default());
    }
}
