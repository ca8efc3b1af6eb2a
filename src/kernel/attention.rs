//! Multi-head self-attention on fused queries, keys and values.

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, assert_shape, s};

/// softmax(`scale` · Q Kᵀ + bias) V for each sample and head. The usual `scale` is
/// 1 / √(width / `heads`).
///
/// A bias of −∞ hides a token exactly: its weight and its contribution to every gradient are 0,
/// even if its value is not finite. A token from which all tokens are hidden has no softmax, so its
/// output is NaN.
///
/// # Shapes
///
/// - qkv: `[batch, tokens, 3 · width]`: query, key, value, each head by head
/// - bias: `[groups, heads, tokens, tokens]`, or `[groups, 1, tokens, tokens]` for all heads alike;
///   sample i reads the bias of the group i modulo `groups`
/// - output: `[batch, tokens, width]`
///
/// # Panics
///
/// When `heads` does not divide the width, or `groups` not the batch, or the bias is of another
/// number of heads or tokens.
pub fn attention(qkv: Tensor<3>, heads: usize, scale: f64, bias: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    assert!(
        heads > 0 && width.is_multiple_of(3 * heads),
        "{heads} heads do not divide queries, keys and values of {width} features together"
    );
    if let Some(bias) = &bias {
        check_bias(bias, [batch, heads, tokens, tokens]);
    }
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&qkv) && bias.as_ref().is_none_or(super::fits)) {
        use super::flex::AttentionKernel;
        use burn::backend::Dispatch;
        let (qkv, scale) = (qkv.into_dispatch(), scale as f32);
        return Tensor::from_dispatch(match bias {
            Some(bias) => Dispatch::mim_biased_attention(qkv, bias.into_dispatch(), heads, scale),
            None => Dispatch::mim_attention(qkv, heads, scale),
        });
    }
    attention_composed(qkv, heads, scale, bias)
}

/// Refuses a bias that cannot be added to scores of `[batch, heads, queries, keys]`.
fn check_bias(bias: &Tensor<4>, [batch, heads, queries, keys]: [usize; 4]) {
    assert_shape!(bias, [_, _, queries, keys]);
    let [groups, bias_heads, ..] = bias.dims();
    assert!(
        bias_heads == 1 || bias_heads == heads,
        "a bias of {bias_heads} heads for attention of {heads}: it must have one head, or as many"
    );
    assert!(
        groups > 0 && batch.is_multiple_of(groups),
        "a batch of {batch} is not made of groups of {groups}"
    );
}

/// [`attention`] as burn composes it.
pub fn attention_composed(
    qkv: Tensor<3>,
    heads: usize,
    scale: f64,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    let [query, key, value] = split_heads(qkv, heads);
    attend(query, key, value, scale, bias)
}

/// Splits query, key and value by heads, each `[batch, heads, tokens, depth]`, out of `[batch,
/// tokens, 3 · width]`.
pub fn split_heads(qkv: Tensor<3>, heads: usize) -> [Tensor<4>; 3] {
    let [batch, tokens, width] = qkv.dims();
    let depth = width / 3 / heads;
    // This copy puts the rows of each head next to each other.
    let qkv = qkv.reshape([batch, tokens, 3, heads, depth]).permute([2, 0, 3, 1, 4]).reshape([
        3 * batch,
        heads,
        tokens,
        depth,
    ]);
    [0, 1, 2].map(|part| qkv.clone().slice(s![part * batch..(part + 1) * batch, .., .., ..]))
}

/// [`attention`] of queries to keys and values, which may come from other tokens than the queries.
///
/// # Shapes
///
/// - query: `[batch, heads, queries, depth]`
/// - key, value: `[batch, heads, keys, depth]`
/// - bias: `[groups, heads or 1, queries, keys]`
/// - output: `[batch, queries, heads · depth]`
///
/// # Panics
///
/// When the bias is of another number of heads, queries or keys, or `groups` does not divide the
/// batch.
pub fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    scale: f64,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    let ([batch, heads, queries, depth], keys) = (query.dims(), key.dims()[2]);
    let scores = (query * scale).matmul(key.transpose());
    let scores = match bias {
        Some(bias) => {
            check_bias(&bias, [batch, heads, queries, keys]);
            let [groups, bias_heads, ..] = bias.dims();
            let grouped = scores.reshape([batch / groups, groups, heads, queries * keys]);
            let bias = bias.reshape([1, groups, bias_heads, queries * keys]);
            (grouped + bias).reshape([batch, heads, queries, keys])
        }
        None => scores,
    };
    softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([batch, queries, heads * depth])
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
                |[qkv]| attention(qkv.reshape(shape), heads, 0.3, None).flatten(0, 2),
                |[qkv]| attention_composed(qkv.reshape(shape), heads, 0.3, None).flatten(0, 2),
            );
        }
    }

    #[test]
    fn so_are_they_with_a_bias_for_each_sample_of_a_group() {
        for (groups, bias_heads, batch, tokens) in
            [(1, 2, 1, 3), (1, 2, 11, 6), (3, 2, 12, 4), (5, 2, 5, 9), (1, 1, 3, 7), (2, 1, 4, 40)]
        {
            let (heads, shape) = (2, [batch, tokens, 3 * 2 * 4]);
            let bias_shape = [groups, bias_heads, tokens, tokens];
            compare(
                Case::new([&shape, &bias_shape]),
                |[qkv, bias]| {
                    let bias = bias.reshape(bias_shape);
                    attention(qkv.reshape(shape), heads, 0.5, Some(bias)).flatten(0, 2)
                },
                |[qkv, bias]| {
                    let bias = bias.reshape(bias_shape);
                    attention_composed(qkv.reshape(shape), heads, 0.5, Some(bias)).flatten(0, 2)
                },
            );
        }
    }

    #[test]
    fn tokens_that_see_none_after_them_have_the_output_of_what_came_before() {
        // One head's bias for all heads: softmax over the tokens up to a token's own.
        let device = crate::test_device();
        let values = [[1.0, 10.0], [4.0, 40.0], [7.0, 100.0]];
        let row = |value: [f32; 2]| [0.0, 0.0, 0.0, 0.0, value[0], value[1]];
        let qkv = Tensor::<3>::from_floats([values.map(row)], &device);
        let hidden = f32::NEG_INFINITY;
        let bias = [[[[0.0, hidden, hidden], [0.0, 0.0, hidden], [0.0, 0.0, 0.0]]]];
        let bias = Tensor::<4>::from_floats(bias, &device);
        for function in [attention, attention_composed] {
            let output = function(qkv.clone(), 2, 1.0, Some(bias.clone()));
            // Equal scores: means of the first values of both heads.
            let expected =
                burn::tensor::TensorData::from([[[1.0f32, 10.0], [2.5, 25.0], [4.0, 50.0]]]);
            output
                .into_data()
                .assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::default());
        }
    }

    #[test]
    fn long_sequences_are_done_in_several_tiles() {
        let (heads, shape) = (1, [2, 301, 3 * 2]);
        compare(
            Case::new([&shape]),
            |[qkv]| attention(qkv.reshape(shape), heads, 0.3, None).flatten(0, 2),
            |[qkv]| attention_composed(qkv.reshape(shape), heads, 0.3, None).flatten(0, 2),
        );
    }

    #[test]
    #[should_panic(expected = "a bias of 2 heads for attention of 3")]
    fn a_bias_of_other_heads_panics() {
        let device = crate::test_device();
        let bias = Tensor::zeros([1, 2, 2, 2], &device);
        attention(Tensor::zeros([4, 2, 9], &device), 3, 1.0, Some(bias));
    }

    #[test]
    #[should_panic(expected = "a batch of 4 is not made of groups of 3")]
    fn groups_that_do_not_divide_the_batch_panic() {
        let device = crate::test_device();
        let bias = Tensor::zeros([3, 1, 2, 2], &device);
        attention(Tensor::zeros([4, 2, 3], &device), 1, 1.0, Some(bias));
    }
}
