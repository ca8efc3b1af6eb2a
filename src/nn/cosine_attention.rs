//! Swin-v2's attention: scores are scaled cosines.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use super::{Attention, AttentionConfig, Init, InitialWeights, per_token, unit};
use crate::kernel;

/// The largest scale of a cosine (arXiv 2111.09883 §3.2: temperatures stay above 0.01).
const LARGEST_SCALE: f64 = 100.0;
/// Scales start here (official code).
const FIRST_SCALE: f32 = 10.0;

/// softmax(scale · cos(Q, K) + bias) V with a learned scale per head, then a projection (Swin-v2,
/// arXiv 2111.09883 §3.2): no single pair of tokens can dominate by the size of its features.
#[derive(Module, Debug)]
pub struct CosineAttention {
    /// The projections.
    pub projections: Attention,
    /// The logarithm of each head's scale, `[heads]`.
    pub logit_scale: Param<Tensor<1>>,
}

impl CosineAttention {
    /// The layer with fresh weights.
    ///
    /// # Panics
    ///
    /// When the heads do not divide the width.
    pub fn new(config: &AttentionConfig, weights: &mut InitialWeights) -> Self {
        let first = Init::Constant(FIRST_SCALE.ln());
        let projections = config.init(weights);
        Self { projections, logit_scale: weights.param([config.heads], first) }
    }

    /// Every token attends to every token.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias: `[groups, heads, tokens, tokens]`; sample i takes the bias i modulo `groups`
    /// - output: `[batch, tokens, width]`
    ///
    /// # Panics
    ///
    /// When the width of `tokens` is not the layer's.
    pub fn forward(&self, tokens: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let Attention { out, heads, .. } = &self.projections;
        let qkv = self.with_cosines(self.projections.project(tokens));
        per_token(out, kernel::attention(qkv, *heads, 1.0, bias))
    }

    /// Queries and keys whose products are the scaled cosines.
    fn with_cosines(&self, qkv: Tensor<3>) -> Tensor<3> {
        let ([batch, tokens, joined], heads) = (qkv.dims(), self.projections.heads);
        let depth = joined / 3 / heads;
        let parts = qkv.reshape([batch, tokens, 3 * heads, depth]);
        let query_key = parts.clone().slice(s![.., .., ..2 * heads, ..]);
        let value = parts.slice(s![.., .., 2 * heads.., ..]);
        let query_key = unit(query_key, 3) * self.scales().reshape([1, 1, 2 * heads, 1]);
        Tensor::cat(vec![query_key, value], 2).reshape([batch, tokens, joined])
    }

    /// The factor of each head's query and key, `[2 · heads]`.
    fn scales(&self) -> Tensor<1> {
        let scale = self.logit_scale.val().clamp_max(LARGEST_SCALE.ln()).exp();
        let ones = scale.ones_like();
        Tensor::cat(vec![scale, ones], 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::QkvBias;
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn attention() -> CosineAttention {
        let init = Init::Normal { std: 0.5 };
        let qkv_bias = QkvBias::None;
        let config = AttentionConfig { qkv_bias, ..AttentionConfig::new(4, 2, init) };
        CosineAttention::new(&config, &mut InitialWeights::new(3, &test_device()))
    }

    fn tokens() -> Tensor<3> {
        InitialWeights::new(4, &test_device()).param([1, 3, 4], Init::Normal { std: 1.0 }).val()
    }

    #[test]
    fn scores_are_scaled_cosines() {
        let layer = attention();
        let qkv = layer.projections.project(tokens());
        let raw: Vec<f32> = qkv.clone().into_data().try_to_vec().unwrap();
        let ready: Vec<f32> = layer.with_cosines(qkv).into_data().try_to_vec().unwrap();
        let dot = |v: &[f32], a: usize, b: usize| v[a] * v[b] + v[a + 1] * v[b + 1];
        for (query, key) in [(0, 4), (12, 28), (26, 6)] {
            let length = |v: &[f32], a: usize| dot(v, a, a).sqrt();
            let cosine = dot(&raw, query, key) / length(&raw, query) / length(&raw, key);
            let score = dot(&ready, query, key);
            assert!((score - 10.0 * cosine).abs() < 1e-5, "{score} {cosine}");
        }
    }

    #[test]
    fn the_length_of_queries_and_keys_does_not_matter() {
        let layer = attention();
        let mut longer = layer.clone();
        let factor = Tensor::cat(
            vec![Tensor::full([1, 8], 3.0, &test_device()), Tensor::ones([1, 4], &test_device())],
            1,
        );
        longer.projections.qkv.weight =
            longer.projections.qkv.weight.map(|weight| (weight * factor).detach());
        let expected = layer.forward(tokens(), None).into_data();
        let output = longer.forward(tokens(), None).into_data();
        output.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }

    #[test]
    fn scales_stop_at_a_hundred() {
        let mut layer = attention();
        layer.logit_scale = layer.logit_scale.map(|scale| scale.ones_like() * 9.0);
        let scales: Vec<f32> = layer.scales().into_data().try_to_vec().unwrap();
        assert!((scales[0] - 100.0).abs() < 1e-3 && scales[2] == 1.0, "{scales:?}");
    }

    #[test]
    fn tokens_of_zeros_have_finite_gradients() {
        let device = test_device().autodiff();
        let config = attention();
        let layer = config.train();
        let zeros = Tensor::<3>::zeros([1, 3, 4], &device).require_grad();
        let gradients = layer.forward(zeros.clone(), None).sum().backward();
        let gradient: Vec<f32> = zeros.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    }
}
