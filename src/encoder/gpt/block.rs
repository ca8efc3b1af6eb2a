//! The transformer block of Image GPT.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{gelu_approximate, relu, sigmoid, silu, softmax};
use burn::tensor::{Tensor, assert_shape, s};
use serde::{Deserialize, Serialize};

use super::GptConfig;
use crate::kernel::gelu;
use crate::nn::{Init, InitialWeights, per_token};

/// What comes between the two layers of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MlpActivation {
    /// x · σ(1.702 x), Image GPT's.
    QuickGelu,
    /// The exact GELU.
    Gelu,
    /// The GELU by a hyperbolic tangent, GPT-2's.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x · σ(x).
    Silu,
}

impl MlpActivation {
    fn apply(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Self::Gelu => gelu(x),
            Self::GeluTanh => gelu_approximate(x),
            Self::Relu => relu(x),
            Self::Silu => silu(x),
        }
    }
}

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

/// The keys and values of all tokens so far, each `[batch, heads, tokens, depth]`.
#[derive(Debug, Clone)]
pub struct KeysValues {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub struct GptBlock {
    /// Before the attention.
    pub norm1: RootMeanSquareNorm,
    /// Query, key and value, each head by head.
    pub qkv: Linear,
    /// After the heads are joined.
    pub out: Linear,
    /// Before the MLP.
    pub norm2: RootMeanSquareNorm,
    /// `width` → MLP.
    pub fc1: Linear,
    /// MLP → `width`.
    pub fc2: Linear,
    heads: usize,
    scale: f64,
    #[module(skip)]
    activation: MlpActivation,
}

impl GptBlock {
    pub(super) fn new(config: &GptConfig, index: usize, weights: &mut InitialWeights) -> Self {
        let (width, mlp) = (config.width, config.mlp_width());
        let init = Init::Normal { std: 0.02 };
        let residual = Init::Normal { std: 0.02 / (2.0 * config.depth as f32).sqrt() };
        Self {
            norm1: RootMeanSquareNorm::new(width, config.norm_epsilon, weights),
            qkv: weights.linear(width, 3 * width, init),
            out: weights.linear(width, width, residual),
            norm2: RootMeanSquareNorm::new(width, config.norm_epsilon, weights),
            fc1: weights.linear(width, mlp, init),
            fc2: weights.linear(mlp, width, residual),
            heads: config.heads,
            scale: config.scale(index),
            activation: config.activation,
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
        let attended = self.attend(self.norm1.forward(tokens.clone()), bias, past);
        let tokens = tokens + attended;
        let hidden = per_token(&self.fc1, self.norm2.forward(tokens.clone()));
        tokens + per_token(&self.fc2, self.activation.apply(hidden))
    }

    fn attend(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        past: Option<&mut Option<KeysValues>>,
    ) -> Tensor<3> {
        let [width, _] = self.qkv.weight.dims();
        assert_shape!(tokens, [_, _, width]);
        let [batch, count, _] = tokens.dims();
        let depth = width / self.heads;
        // As in `nn::Attention`: one copy puts each head's rows next to each other.
        let qkv = per_token(&self.qkv, tokens)
            .reshape([batch, count, 3, self.heads, depth])
            .permute([2, 0, 3, 1, 4])
            .reshape([3 * batch, self.heads, count, depth]);
        let [query, mut keys, mut values] = [0, 1, 2]
            .map(|part| qkv.clone().slice(s![part * batch..(part + 1) * batch, .., .., ..]));
        if let Some(past) = past {
            if let Some(past) = past.take() {
                keys = Tensor::cat(vec![past.keys, keys], 2);
                values = Tensor::cat(vec![past.values, values], 2);
            }
            *past = Some(KeysValues { keys: keys.clone(), values: values.clone() });
        }
        let scores = (query * self.scale).matmul(keys.transpose());
        let scores = match bias {
            Some(bias) => scores + bias,
            None => scores,
        };
        let joined = softmax(scores, 3).matmul(values).swap_dims(1, 2);
        per_token(&self.out, joined.reshape([batch, count, width]))
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

    #[test]
    fn activations_have_their_values_at_one() {
        let sigma = |x: f32| 1.0 / (1.0 + (-x).exp());
        for (activation, expected) in [
            (MlpActivation::QuickGelu, sigma(1.702)),
            (MlpActivation::Gelu, 0.841_344_7),
            (MlpActivation::GeluTanh, 0.841_192),
            (MlpActivation::Relu, 1.0),
            (MlpActivation::Silu, sigma(1.0)),
        ] {
            let one = Tensor::<3>::ones([1, 1, 1], &test_device());
            let got = activation.apply(one).into_scalar::<f32>();
            assert!((got - expected).abs() < 1e-5, "{activation:?}: {got} {expected}");
        }
    }
}
