//! Multi-head self-attention with a fused query-key-value projection.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, assert_shape, s};
use serde::{Deserialize, Serialize};

use super::{Init, InitialWeights, Norm, NormKind, Rotations, per_token};
use crate::kernel;

/// Which of query, key and value have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QkvBias {
    /// None of them.
    None,
    /// All three (ViT, MAE).
    All,
    /// Query and value; a bias on the keys would not change the attention (BEiT, SimMIM).
    QueryValue,
}

/// What an [`Attention`] layer is made of.
#[derive(Debug, Clone, Copy)]
pub struct AttentionConfig {
    /// Features per token.
    pub width: usize,
    /// Heads; must divide the width.
    pub heads: usize,
    /// Which projections have a bias.
    pub qkv_bias: QkvBias,
    /// What products of queries and keys are multiplied by; `None` for 1 / √(width / heads).
    pub scale: Option<f64>,
    /// A norm over each head's queries and one over its keys, with its epsilon.
    pub query_key_norm: Option<(NormKind, f64)>,
    /// How the query, key and value matrices start.
    pub init: Init,
    /// How the output matrix starts.
    pub output_init: Init,
}

impl AttentionConfig {
    /// A layer whose matrices start as `init` says, with a bias for query, key and value.
    pub fn new(width: usize, heads: usize, init: Init) -> Self {
        let qkv_bias = QkvBias::All;
        let query_key_norm = None;
        Self { width, heads, qkv_bias, scale: None, query_key_norm, init, output_init: init }
    }

    /// The layer with fresh weights.
    ///
    /// # Panics
    ///
    /// When `heads` does not divide `width`.
    pub fn init(&self, weights: &mut InitialWeights) -> Attention {
        let Self { width, heads, .. } = *self;
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "{heads} heads do not divide a width of {width}"
        );
        let qkv = match self.qkv_bias {
            QkvBias::All => weights.linear(width, 3 * width, self.init),
            _ => weights.linear_without_bias(width, 3 * width, self.init),
        };
        let mut separate =
            || (self.qkv_bias == QkvBias::QueryValue).then(|| weights.zeros([width]));
        let (query_bias, value_bias) = (separate(), separate());
        let mut norm = || {
            let (kind, epsilon) = self.query_key_norm?;
            Some(weights.norm_of(kind, width / heads, epsilon))
        };
        let (query_norm, key_norm) = (norm(), norm());
        Attention {
            qkv,
            query_bias,
            value_bias,
            query_norm,
            key_norm,
            out: weights.linear(width, width, self.output_init),
            heads,
            scale: self.scale.unwrap_or_else(|| ((width / heads) as f64).powf(-0.5)),
        }
    }
}

/// The keys and values of all tokens so far, each `[batch, heads, tokens, depth]`.
#[derive(Debug, Clone)]
pub struct KeysValues {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// softmax(scale · Q Kᵀ + bias) V over all tokens, then a projection.
#[derive(Module, Debug)]
pub struct Attention {
    /// `width` → `3 · width`: query, key, value, each head by head.
    pub qkv: Linear,
    /// The query's bias where only query and value have one.
    pub query_bias: Option<Param<Tensor<1>>>,
    /// The value's bias where only query and value have one.
    pub value_bias: Option<Param<Tensor<1>>>,
    /// Over each head's queries, where there is one (arXiv 2302.05442).
    pub query_norm: Option<Norm>,
    /// Over each head's keys.
    pub key_norm: Option<Norm>,
    /// The projection after the heads are joined.
    pub out: Linear,
    /// Heads.
    pub heads: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f64,
}

impl Attention {
    /// Every token attends to every token.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias: `[groups, heads, tokens, tokens]`, added to the scaled scores, or one head for all;
    ///   `groups` divides the batch, and sample i takes the bias i modulo `groups`
    /// - output: `[batch, tokens, width]`
    ///
    /// # Panics
    ///
    /// When the width of `tokens` is not the layer's, or the groups do not divide the batch.
    pub fn forward(&self, tokens: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        per_token(&self.out, self.mix(tokens, bias, None))
    }

    /// Attention as in [`Attention::forward`], where the tokens attend to the tokens in `past` too
    /// and are added to it.
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - bias: `[groups, heads or 1, tokens, past + tokens]`
    ///
    /// # Panics
    ///
    /// As [`Attention::forward`].
    pub fn forward_after(
        &self,
        past: &mut Option<KeysValues>,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let qkv = self.prepared(self.project(tokens), None);
        let [query, mut keys, mut values] = kernel::split_heads(qkv, self.heads);
        if let Some(past) = past.take() {
            keys = Tensor::cat(vec![past.keys, keys], 2);
            values = Tensor::cat(vec![past.values, values], 2);
        }
        *past = Some(KeysValues { keys: keys.clone(), values: values.clone() });
        per_token(&self.out, kernel::attend(query, keys, values, self.scale, bias))
    }

    /// As [`Attention::forward`], without the last projection, of queries and keys that are turned.
    pub(super) fn mix(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<&Rotations>,
    ) -> Tensor<3> {
        let qkv = self.prepared(self.project(tokens), rotations);
        kernel::attention(qkv, self.heads, self.scale, bias)
    }

    /// The softmax of the first token's scores, `[batch, tokens]`, the mean over the heads.
    pub(super) fn first(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<&Rotations>,
    ) -> Tensor<2> {
        let qkv = self.prepared(self.project(tokens), rotations);
        let [query, keys, _] = kernel::split_heads(qkv, self.heads);
        let of_first = |rows: Tensor<4>| rows.slice(s![.., .., 0..1, ..]);
        let scores = (of_first(query) * self.scale).matmul(keys.transpose());
        let scores = bias.into_iter().fold(scores, |scores, bias| scores + of_first(bias));
        softmax(scores, 3).mean_dim(1).squeeze_dims(&[1, 2])
    }

    /// Queries and keys normalized, then turned, where either is asked for.
    fn prepared(&self, qkv: Tensor<3>, rotations: Option<&Rotations>) -> Tensor<3> {
        if self.query_norm.is_none() && rotations.is_none() {
            return qkv;
        }
        let ([batch, tokens, joined], heads) = (qkv.dims(), self.heads);
        let parts = qkv.reshape([batch, tokens, 3 * heads, joined / 3 / heads]);
        let ready = |part: usize, norm: &Option<Norm>| {
            let part = parts.clone().slice(s![.., .., part * heads..(part + 1) * heads, ..]);
            let part = norm.iter().fold(part, |part, norm| norm.forward(part));
            rotations.iter().fold(part, |part, rotations| rotations.apply(part))
        };
        let (query, key) = (ready(0, &self.query_norm), ready(1, &self.key_norm));
        let value = parts.clone().slice(s![.., .., 2 * heads.., ..]);
        Tensor::cat(vec![query, key, value], 2).reshape([batch, tokens, joined])
    }

    /// Query, key and value of every token, `[batch, tokens, 3 · width]`.
    pub(super) fn project(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [width, _] = self.qkv.weight.dims();
        assert_shape!(tokens, [_, _, width]);
        kernel::linear(tokens, self.qkv.weight.val(), self.qkv_bias())
    }

    fn qkv_bias(&self) -> Option<Tensor<1>> {
        match (&self.query_bias, &self.value_bias) {
            (Some(query), Some(value)) => {
                let query = query.val();
                let key = query.zeros_like();
                Some(Tensor::cat(vec![query, key, value.val()], 0))
            }
            _ => self.qkv.bias.as_ref().map(|bias| bias.val()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Tolerance, s};

    fn attention(qkv_bias: QkvBias) -> Attention {
        let init = Init::Normal { std: 0.5 };
        let config = AttentionConfig { qkv_bias, ..AttentionConfig::new(4, 2, init) };
        config.init(&mut InitialWeights::new(3, &test_device()))
    }

    fn tokens() -> Tensor<3> {
        InitialWeights::new(4, &test_device()).param([2, 3, 4], Init::Normal { std: 1.0 }).val()
    }

    /// The formula, one number at a time.
    fn by_hand(layer: &Attention, input: &[f32], tokens: usize) -> Vec<f32> {
        let weight: Vec<f32> = layer.qkv.weight.val().into_data().try_to_vec().unwrap();
        let out: Vec<f32> = layer.out.weight.val().into_data().try_to_vec().unwrap();
        let (width, heads, depth) = (4, 2, 2);
        let project = |t: usize, column: usize| -> f32 {
            (0..width).map(|i| input[t * width + i] * weight[i * 3 * width + column]).sum()
        };
        let mut joined = vec![0.0; tokens * width];
        for head in 0..heads {
            for t in 0..tokens {
                let score = |u: usize| -> f32 {
                    let dot: f32 = (0..depth)
                        .map(|d| {
                            project(t, head * depth + d) * project(u, width + head * depth + d)
                        })
                        .sum();
                    (dot / (depth as f32).sqrt()).exp()
                };
                let total: f32 = (0..tokens).map(score).sum();
                for d in 0..depth {
                    joined[t * width + head * depth + d] = (0..tokens)
                        .map(|u| score(u) / total * project(u, 2 * width + head * depth + d))
                        .sum();
                }
            }
        }
        (0..tokens * width)
            .map(|i| {
                (0..width).map(|j| joined[i / width * width + j] * out[j * width + i % width]).sum()
            })
            .collect()
    }

    #[test]
    fn every_output_follows_the_formula() {
        let layer = attention(QkvBias::None);
        let input: Vec<f32> = tokens().into_data().try_to_vec().unwrap();
        let output: Vec<f32> = layer.forward(tokens(), None).into_data().try_to_vec().unwrap();
        for (sample, expected) in output.chunks(12).zip(input.chunks(12)) {
            for (got, want) in sample.iter().zip(by_hand(&layer, expected, 3)) {
                assert!((got - want).abs() < 1e-5, "{got} {want}");
            }
        }
    }

    #[test]
    fn a_separate_query_and_value_bias_equals_a_fused_one_with_zero_key_part() {
        let mut separate = attention(QkvBias::QueryValue);
        let bias =
            |from: f32| Tensor::from_floats([from, from + 1.0, from + 2.0, 0.5], &test_device());
        separate.query_bias = Some(Param::from_tensor(bias(0.1)));
        separate.value_bias = Some(Param::from_tensor(bias(-2.0)));
        let mut fused = separate.clone();
        (fused.query_bias, fused.value_bias) = (None, None);
        let zeros = Tensor::zeros([4], &test_device());
        fused.qkv.bias =
            Some(Param::from_tensor(Tensor::cat(vec![bias(0.1), zeros, bias(-2.0)], 0)));
        let expected = fused.forward(tokens(), None).into_data();
        separate.forward(tokens(), None).into_data().assert_eq(&expected, true);
    }

    #[test]
    fn a_strong_bias_makes_every_token_look_at_one() {
        let layer = attention(QkvBias::All);
        let mut bias = vec![0.0f32; 2 * 3 * 3];
        bias.iter_mut().step_by(3).for_each(|b| *b = 100.0);
        let bias = Tensor::<1>::from_floats(bias.as_slice(), &test_device()).reshape([1, 2, 3, 3]);
        let output = layer.forward(tokens(), Some(bias));
        let first = output.clone().slice(s![.., 0..1, ..]).expand([2, 3, 4]).into_data();
        output.into_data().assert_approx_eq::<f32>(&first, Tolerance::absolute(1e-5));
    }

    #[test]
    fn sample_i_takes_the_bias_i_modulo_the_groups() {
        let layer = attention(QkvBias::All);
        let init = Init::Normal { std: 1.0 };
        let bias = InitialWeights::new(6, &test_device()).param([2, 2, 3, 3], init).val();
        let four = Tensor::cat(vec![tokens(), tokens()], 0);
        let grouped = layer.forward(four, Some(bias.clone()));
        for sample in 0..4 {
            let tokens = tokens().slice(s![sample % 2..sample % 2 + 1, .., ..]);
            let bias = bias.clone().slice(s![sample % 2..sample % 2 + 1, .., .., ..]);
            let alone = layer.forward(tokens, Some(bias)).into_data();
            let among = grouped.clone().slice(s![sample..sample + 1, .., ..]).into_data();
            among.assert_approx_eq::<f32>(&alone, Tolerance::absolute(1e-6));
        }
    }
}
