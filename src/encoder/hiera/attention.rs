//! Attention within mask units or of all tokens, with pooled queries.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::sizes::Attends;
use crate::kernel;
use crate::nn::{Init, InitialWeights, per_token, split_heads};

/// softmax(Q Kᵀ / √depth) V, where a query may be the maximum of several (arXiv 2306.00989 §3.2).
///
/// Tokens lie group by group. A window is a group, or all of them, or, where a window is of another
/// size, every token whose number differs by a multiple of the number of windows in the order of
/// places before groups: the reference's.
#[derive(Module, Debug)]
pub struct UnitAttention {
    /// Input width → three times the output width: query, key, value, each head by head.
    pub qkv: Linear,
    /// The projection after the heads are joined.
    pub out: Linear,
    /// Heads.
    pub heads: usize,
    #[module(skip)]
    pub(super) attends: Attends,
}

impl UnitAttention {
    pub(super) fn new(
        [input, output]: [usize; 2],
        heads: usize,
        attends: Attends,
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            qkv: weights.linear(input, 3 * output, Init::XavierUniform),
            out: weights.linear(output, output, Init::XavierUniform),
            heads,
            attends,
        }
    }

    /// The tokens of which one is made.
    pub fn pool(&self) -> usize {
        self.attends.pool
    }

    /// Every token, or the maximum of several, attends to the tokens of its window.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, groups · cells, input width]`
    /// - output: `[batch, groups · cells / pool, output width]`
    pub fn forward(&self, tokens: Tensor<3>, groups: usize) -> Tensor<3> {
        let [batch, count, _] = tokens.dims();
        let (pool, windows) = (self.attends.pool, self.attends.windows(count));
        let [width, _] = self.out.weight.dims();
        let scale = ((width / self.heads) as f64).powf(-0.5);
        let qkv = per_token(&self.qkv, tokens);
        let mixed = if pool == 1 {
            let within = Windowed { batch, groups, windows }.split(qkv);
            kernel::attention(within, self.heads, scale, None)
        } else {
            let query = pooled(qkv.clone().slice(s![.., .., ..width]), groups, pool);
            let others = qkv.slice(s![.., .., width..]);
            let [query, others] =
                [query, others].map(|part| Windowed { batch, groups, windows }.split(part));
            let [key, value] = others.chunk(2, 2).try_into().expect("two halves");
            let [query, key, value] = [query, key, value].map(|part| split_heads(part, self.heads));
            kernel::attend(query, key, value, scale, None)
        };
        per_token(&self.out, Windowed { batch, groups, windows }.join(mixed))
    }
}

/// The maximum of every `pool` tokens of a group that become one.
///
/// # Shapes
///
/// - tokens: `[batch, groups · cells, width]`
/// - output: `[batch, groups · cells / pool, width]`
pub(super) fn pooled(tokens: Tensor<3>, groups: usize, pool: usize) -> Tensor<3> {
    let [batch, count, width] = tokens.dims();
    let cells = count / groups / pool;
    let apart = tokens.reshape([batch * groups, pool, cells, width]);
    apart.max_dim(1).reshape([batch, groups * cells, width])
}

/// Tokens of a batch and of its windows.
#[derive(Debug, Clone, Copy)]
struct Windowed {
    batch: usize,
    groups: usize,
    windows: usize,
}

impl Windowed {
    /// `[batch, tokens, width]` as `[batch · windows, tokens of a window, width]`.
    fn split(self, tokens: Tensor<3>) -> Tensor<3> {
        let Self { batch, groups, windows } = self;
        let [_, count, width] = tokens.dims();
        let shape = [batch * windows, count / windows, width];
        if windows == 1 || windows == groups {
            return tokens.reshape(shape);
        }
        let places = tokens.reshape([batch, groups, count / groups, width]).swap_dims(1, 2);
        let apart = places.reshape([batch, count / windows, windows, width]);
        apart.swap_dims(1, 2).reshape(shape)
    }

    /// What undoes [`split`](Self::split).
    fn join(self, within: Tensor<3>) -> Tensor<3> {
        let Self { batch, groups, windows } = self;
        let [_, cells, width] = within.dims();
        let (count, shape) = (windows * cells, [batch, windows * cells, width]);
        if windows == 1 || windows == groups {
            return within.reshape(shape);
        }
        let places = within.reshape([batch, windows, cells, width]).swap_dims(1, 2);
        let apart = places.reshape([batch, count / groups, groups, width]);
        apart.swap_dims(1, 2).reshape(shape)
    }
}
