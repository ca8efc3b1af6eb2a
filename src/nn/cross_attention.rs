//! Attention from some tokens to others.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{Init, InitialWeights, Mlp, Norm, checkpointed, per_token};
use crate::kernel;

/// What a [`CrossBlock`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct CrossBlockConfig {
    /// Features of the tokens that look.
    pub width: usize,
    /// Features of the tokens that are looked at.
    pub memory_width: usize,
    /// Attention heads; they must divide the width.
    pub heads: usize,
    /// Features between the two linear layers of the MLP.
    pub mlp_width: usize,
    /// Epsilon of both norms.
    pub norm_epsilon: f64,
    /// Whether query, key and value have a bias.
    pub bias: bool,
    /// How matrices start.
    pub init: Init,
}

impl CrossBlockConfig {
    /// The block with fresh weights.
    ///
    /// # Panics
    ///
    /// When `heads` does not divide `width`.
    pub fn init(&self, weights: &mut InitialWeights) -> CrossBlock {
        let Self { width, memory_width, heads, mlp_width, norm_epsilon, init, .. } = *self;
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "{heads} heads do not divide a width of {width}"
        );
        let mut linear = |input, output| match self.bias {
            true => weights.linear(input, output, init),
            false => weights.linear_without_bias(input, output, init),
        };
        let (query, key_value) = (linear(width, width), linear(memory_width, 2 * width));
        let out = weights.linear(width, width, init);
        CrossBlock {
            norm1: weights.norm(width, norm_epsilon),
            attention: CrossAttention { query, key_value, out, heads },
            norm2: weights.norm(width, norm_epsilon),
            mlp: Mlp::new(width, mlp_width, [init; 2], weights),
        }
    }
}

/// softmax(Q Kᵀ / √depth) V of tokens that look at others, then a projection.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// `width` → `width`, of the tokens that look.
    pub query: Linear,
    /// `memory width` → `2 · width`: key and value of the others, each head by head.
    pub key_value: Linear,
    /// The projection after the heads are joined.
    pub out: Linear,
    /// Heads.
    pub heads: usize,
}

impl CrossAttention {
    /// Every token attends to every token of `memory`, and to no other.
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - memory: `[batch, others, memory width]`
    pub fn forward(&self, tokens: Tensor<3>, memory: Tensor<3>) -> Tensor<3> {
        let (width, heads) = (tokens.dims()[2], self.heads);
        let query = split_heads(per_token(&self.query, tokens), heads);
        let key_value = per_token(&self.key_value, memory);
        let (key, value) =
            (key_value.clone().narrow(2, 0, width), key_value.narrow(2, width, width));
        let scale = ((width / heads) as f64).powf(-0.5);
        let attended =
            kernel::attend(query, split_heads(key, heads), split_heads(value, heads), scale, None);
        per_token(&self.out, attended)
    }
}

/// The heads of `[batch, tokens, width]` apart, `[batch, heads, tokens, width / heads]`.
pub(crate) fn split_heads(tokens: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, count, width] = tokens.dims();
    tokens.reshape([batch, count, heads, width / heads]).swap_dims(1, 2)
}

/// x + attention(norm(x), memory), then x + mlp(norm(x)): the tokens never look at each other
/// (CrossMAE, arXiv 2401.14391 §3.2).
#[derive(Module, Debug)]
pub struct CrossBlock {
    /// Before the attention.
    pub norm1: Norm,
    /// Tokens look at others.
    pub attention: CrossAttention,
    /// Before the MLP.
    pub norm2: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
}

impl CrossBlock {
    /// The tokens after this block, [`checkpointed`].
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - memory: `[batch, others, memory width]`, which no norm of this block is applied to
    pub fn forward(&self, tokens: Tensor<3>, memory: Tensor<3>) -> Tensor<3> {
        self.look(tokens, memory, false)
    }

    /// As [`CrossBlock::forward`], of tokens that look at each other too, as they are after the first
    /// norm: with `memory` as wide as they are (MILAN, arXiv 2208.06049 §3.2).
    pub fn forward_among(&self, tokens: Tensor<3>, memory: Tensor<3>) -> Tensor<3> {
        self.look(tokens, memory, true)
    }

    fn look(&self, tokens: Tensor<3>, memory: Tensor<3>, among: bool) -> Tensor<3> {
        let memory = Some(memory.unsqueeze_dim::<4>(0));
        checkpointed(self, tokens, memory, move |block, tokens, memory| {
            let mut memory = memory.expect("it is given").squeeze_dim::<3>(0);
            let normed = block.norm1.forward(tokens.clone());
            if among {
                memory = Tensor::cat(vec![memory, normed.clone()], 1);
            }
            let attended = block.attention.forward(normed, memory);
            let tokens = tokens + attended;
            let transformed = block.mlp.forward(block.norm2.forward(tokens.clone()));
            tokens + transformed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    const CONFIG: CrossBlockConfig = CrossBlockConfig {
        width: 4,
        memory_width: 6,
        heads: 2,
        mlp_width: 8,
        norm_epsilon: 1e-6,
        bias: true,
        init: Init::Normal { std: 0.5 },
    };

    fn drawn(seed: u64, shape: [usize; 3]) -> Tensor<3> {
        InitialWeights::new(seed, &test_device()).param(shape, Init::Normal { std: 1.0 }).val()
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn attention_is_the_formula_one_number_at_a_time() {
        let layer = CONFIG.init(&mut InitialWeights::new(0, &test_device())).attention;
        let (tokens, memory) = (drawn(1, [1, 2, 4]), drawn(2, [1, 3, 6]));
        let joined = {
            let query = values(per_token(&layer.query, tokens.clone()));
            let key_value = values(per_token(&layer.key_value, memory.clone()));
            let mut joined = vec![0.0f32; 8];
            for (token, head) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = |d: usize| head * 2 + d;
                let score = |other: usize| {
                    let product = |d| query[token * 4 + at(d)] * key_value[other * 8 + at(d)];
                    ((product(0) + product(1)) / 2f32.sqrt()).exp()
                };
                let total: f32 = (0..3).map(score).sum();
                for d in 0..2 {
                    let value = |other: usize| key_value[other * 8 + 4 + at(d)];
                    joined[token * 4 + at(d)] =
                        (0..3).map(|other| score(other) / total * value(other)).sum();
                }
            }
            Tensor::<1>::from_floats(joined.as_slice(), &test_device()).reshape([1, 2, 4])
        };
        let expected = per_token(&layer.out, joined).into_data();
        let got = layer.forward(tokens, memory).into_data();
        got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }

    #[test]
    fn tokens_do_not_see_each_other_but_all_of_the_memory() {
        let block = CONFIG.init(&mut InitialWeights::new(0, &test_device()));
        let (tokens, memory) = (drawn(1, [2, 3, 4]), drawn(2, [2, 5, 6]));
        let all = block.forward(tokens.clone(), memory.clone());
        let alone = block.forward(tokens.clone().narrow(1, 1, 1), memory.clone()).into_data();
        let expected = all.clone().narrow(1, 1, 1).into_data();
        alone.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        for other in 0..5 {
            let moved = memory.clone().slice_fill([0..2, other..other + 1], 3.0);
            let (before, after) =
                (values(all.clone()), values(block.forward(tokens.clone(), moved)));
            for (before, after) in before.chunks(4).zip(after.chunks(4)) {
                assert!(before != after, "memory {other}");
            }
        }
    }

    #[test]
    fn values_and_gradients_do_not_change_when_the_block_is_computed_twice() {
        let run = |device: &burn::tensor::Device| {
            let block = CONFIG.init(&mut InitialWeights::new(0, device));
            let (tokens, memory) = (drawn(1, [2, 3, 4]), drawn(2, [2, 5, 6]));
            let memory = Tensor::<3>::from_data(memory.into_data(), device).require_grad();
            let tokens = Tensor::<3>::from_data(tokens.into_data(), device);
            let output = block.forward(tokens, memory.clone());
            let gradients = output.clone().square().sum().backward();
            let weight = block.attention.query.weight.val().grad(&gradients).unwrap().into_data();
            [output.into_data(), weight, memory.grad(&gradients).unwrap().into_data()]
        };
        let device = test_device().autodiff();
        let (kept, again) = (run(&device), run(&device.gradient_checkpointing()));
        for (kept, again) in kept.iter().zip(&again) {
            kept.assert_eq(again, true);
        }
    }
}
