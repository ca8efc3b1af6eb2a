//! Multi-head self-attention on fused queries, keys and values.

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, assert_shape, s};

/// softmax(Q Kᵀ / √depth + bias) V for each sample and head, with `depth` = width / `heads`.
///
/// A bias of −∞ hides a token exactly: its weight and what it adds to any gradient are 0, whatever
/// its value is. A token from which all are hidden has no softmax: its output is not a number.
///
/// # Shapes
///
/// - qkv: `[batch, tokens, 3 · width]`: query, key, value, each head by head
/// - bias: `[groups, heads, tokens, tokens]`, where sample i reads that of i modulo `groups`
/// - output: `[batch, tokens, width]`
///
/// # Panics
///
/// When `heads` does not divide the width, or `groups` not the batch.
pub fn attention(qkv: Tensor<3>, heads: usize, bias: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    assert!(
        heads > 0 && width.is_multiple_of(3 * heads),
        "{heads} heads do not divide queries, keys and values of {width} features together"
    );
    if let Some(bias) = &bias {
        assert_shape!(bias, [_, heads, tokens, tokens]);
        let [groups, ..] = bias.dims();
        assert!(
            groups > 0 && batch.is_multiple_of(groups),
            "a batch of {batch} is not made of groups of {groups}"
        );
    }
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&qkv) && bias.as_ref().is_none_or(super::fits)) {
        use super::flex::AttentionKernel;
        use burn::backend::Dispatch;
        let qkv = qkv.into_dispatch();
        return Tensor::from_dispatch(match bias {
            Some(bias) => Dispatch::mim_biased_attention(qkv, bias.into_dispatch(), heads),
            None => Dispatch::mim_attention(qkv, heads),
        });
    }
    attention_composed(qkv, heads, bias)
}

/// [`attention`] as burn composes it.
pub fn attention_composed(qkv: Tensor<3>, heads: usize, bias: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let (width, depth) = (width / 3, width / 3 / heads);
    // [3 · batch, heads, tokens, depth]: one copy puts each head's rows next to each other.
    let qkv = qkv.reshape([batch, tokens, 3, heads, depth]).permute([2, 0, 3, 1, 4]).reshape([
        3 * batch,
        heads,
        tokens,
        depth,
    ]);
    let [query, key, value] =
        [0, 1, 2].map(|part| qkv.clone().slice(s![part * batch..(part + 1) * batch, .., .., ..]));
    let scores = (query * (depth as f64).powf(-0.5)).matmul(key.transpose());
    let scores = match bias {
        Some(bias) => {
            let [groups, ..] = bias.dims();
            let grouped = scores.reshape([batch / groups, groups, heads, tokens * tokens]);
            let bias = bias.reshape([1, groups, heads, tokens * tokens]);
            (grouped + bias).reshape([batch, heads, tokens, tokens])
        }
        None => scores,
    };
    softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([batch, tokens, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (batch, tokens, heads, depth) in [(1, 1, 1, 1), (3, 7, 2, 5), (2, 65, 3, 8)] {
            let shape = [batch, tokens, 3 * heads * depth];
            compare(
                Case::new([&shape]),
                |[qkv]| attention(qkv.reshape(shape), heads, None).flatten(0, 2),
                |[qkv]| attention_composed(qkv.reshape(shape), heads, None).flatten(0, 2),
            );
        }
    }

    #[test]
    fn so_are_they_with_a_bias_for_each_sample_of_a_group() {
        for (groups, batch, tokens) in [(1, 1, 3), (1, 11, 6), (3, 12, 4), (5, 5, 9)] {
            let (heads, shape) = (2, [batch, tokens, 3 * 2 * 4]);
            let bias_shape = [groups, heads, tokens, tokens];
            compare(
                Case::new([&shape, &bias_shape]),
                |[qkv, bias]| {
                    let bias = bias.reshape(bias_shape);
                    attention(qkv.reshape(shape), heads, Some(bias)).flatten(0, 2)
                },
                |[qkv, bias]| {
                    let bias = bias.reshape(bias_shape);
                    attention_composed(qkv.reshape(shape), heads, Some(bias)).flatten(0, 2)
                },
            );
        }
    }

    #[test]
    fn long_sequences_are_done_in_several_tiles() {
        let (heads, shape) = (1, [2, 301, 3 * 2]);
        compare(
            Case::new([&shape]),
            |[qkv]| attention(qkv.reshape(shape), heads, None).flatten(0, 2),
            |[qkv]| attention_composed(qkv.reshape(shape), heads, None).flatten(0, 2),
        );
    }

    #[test]
    #[should_panic(expected = "a batch of 4 is not made of groups of 3")]
    fn groups_that_do_not_divide_the_batch_panic() {
        let device = crate::test_device();
        let bias = Tensor::zeros([3, 1, 2, 2], &device);
        attention(Tensor::zeros([4, 2, 3], &device), 1, Some(bias));
    }
}
