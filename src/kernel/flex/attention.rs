//! Attention, sample by sample and head by head, reading queries, keys and values where the
//! projection has put them. The probabilities of long sequences are computed again in the backward,
//! since keeping them would take more memory than everything else in a block; those of short ones,
//! whose products are slow, are kept.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use super::matrix::{Matrix, Output, multiply};
use super::simd::{add, add_rows, dot, exp, max, sum, vectorized};
use super::tiles::{by_tiles, total};

/// The most scores that are looked at together: what a core's cache holds with room to spare.
const SCORES: usize = 80 << 10;

/// Parts that the gradient of a bias is summed in, at most.
const PARTS: usize = 8;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait AttentionKernel: Backend {
    fn mim_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;

    fn mim_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

impl AttentionKernel for Flex {
    fn mim_attention(qkv: FlexTensor, heads: usize) -> FlexTensor {
        forward(&dense(qkv), None, heads, false).0
    }

    fn mim_biased_attention(qkv: FlexTensor, bias: FlexTensor, heads: usize) -> FlexTensor {
        forward(&dense(qkv), Some(&dense(bias)), heads, false).0
    }
}

impl<C: CheckpointStrategy> AttentionKernel for Autodiff<Flex, C> {
    fn mim_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
        match Step.prepare::<C>([qkv.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = prep.checkpoint(&qkv);
                let (output, kept) = forward(&dense(qkv.into_primitive()), None, heads, true);
                prep.finish(Saved { qkv: saved, bias: None, heads, kept }, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::mim_attention(qkv.into_primitive(), heads))
            }
        }
    }

    fn mim_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let nodes = [qkv.node(), bias.node()];
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (prep.checkpoint(&qkv), prep.checkpoint(&bias));
                let [qkv, bias] = [qkv, bias].map(|input| dense(input.into_primitive()));
                let (output, kept) = forward(&qkv, Some(&bias), heads, true);
                prep.finish(Saved { qkv: saved.0, bias: Some(saved.1), heads, kept }, output)
            }
            OpsKind::UnTracked(prep) => {
                let (qkv, bias) = (qkv.into_primitive(), bias.into_primitive());
                prep.finish(Flex::mim_biased_attention(qkv, bias, heads))
            }
        }
    }
}

/// What the backward needs of the forward.
#[derive(Debug, Clone)]
struct Saved {
    qkv: NodeId,
    bias: Option<NodeId>,
    heads: usize,
    /// The probabilities of all samples and heads, or none of them.
    kept: Vec<f32>,
}

/// The sizes and values of one layer's attention.
#[derive(Clone, Copy)]
struct Layer<'a> {
    qkv: &'a [f32],
    bias: Option<&'a [f32]>,
    tokens: usize,
    heads: usize,
    depth: usize,
}

impl<'a> Layer<'a> {
    fn new(qkv: &'a FlexTensor, bias: Option<&'a FlexTensor>, heads: usize) -> Self {
        let [_, tokens, width] = dims(qkv);
        let depth = width / 3 / heads;
        Self { qkv: values(qkv), bias: bias.map(values), tokens, heads, depth }
    }

    fn width(&self) -> usize {
        self.heads * self.depth
    }

    fn batch(&self) -> usize {
        self.qkv.len() / (self.tokens * 3 * self.width())
    }

    /// Queries that are looked at together, as even as their number allows.
    fn step(&self) -> usize {
        let most = (SCORES / self.tokens).max(32);
        self.tokens.div_ceil(self.tokens.div_ceil(most))
    }

    /// The values of one sample's query, key or value (`part` 0, 1, 2), from token `first` on.
    fn part(&self, sample: usize, head: usize, part: usize, first: usize) -> Matrix<'a> {
        let (width, row) = (self.width(), 3 * self.width());
        let start = (sample * self.tokens + first) * row + part * width + head * self.depth;
        Matrix::strided(&self.qkv[start..], self.tokens - first, self.depth, row)
    }

    /// Where the bias of a head of a sample begins among those of all groups.
    fn bias_start(&self, sample: usize, head: usize) -> usize {
        let size = self.tokens * self.tokens;
        let groups = self.bias.map_or(1, |bias| bias.len() / (self.heads * size));
        (sample % groups * self.heads + head) * size
    }

    /// The probabilities of the queries from `first` on, as many as `scores` has rows of tokens.
    fn probabilities(&self, sample: usize, head: usize, first: usize, scores: &mut [f32]) {
        let tokens = self.tokens;
        let scale = (self.depth as f32).sqrt().recip();
        let queries = self.part(sample, head, 0, first).first_rows(scores.len() / tokens);
        let keys = self.part(sample, head, 1, 0).transposed();
        multiply(Output::dense(scores, tokens), scale, queries, keys);
        let start = self.bias_start(sample, head) + first * tokens;
        softmax(scores, self.bias.map(|bias| &bias[start..start + scores.len()]), tokens);
    }

    /// Whether the probabilities are worth their memory: at most that of queries and keys.
    fn keeps(&self) -> bool {
        self.tokens <= 2 * self.depth
    }
}

/// The output of all samples and heads, and their probabilities if they are to be kept and worth it.
fn forward(
    qkv: &FlexTensor,
    bias: Option<&FlexTensor>,
    heads: usize,
    keep: bool,
) -> (FlexTensor, Vec<f32>) {
    let layer = Layer::new(qkv, bias, heads);
    let Layer { tokens, depth, .. } = layer;
    let (batch, width, step) = (layer.batch(), layer.width(), layer.step());
    let keep = keep && layer.keeps();
    let starts = [tokens * width, if keep { heads * tokens * tokens } else { 0 }];
    let starts = starts.map(|count| vec![0.0; count]);
    let starts = starts.each_ref().map(Vec::as_slice);
    let ([output, kept], _) = by_tiles(batch, 1, starts, |sample, [output, kept]| {
        let mut forgotten = vec![0.0; if keep { 0 } else { step * tokens }];
        for head in 0..heads {
            for first in (0..tokens).step_by(step) {
                let scores = if keep {
                    &mut kept[(head * tokens + first) * tokens..]
                } else {
                    &mut forgotten[..]
                };
                let scores = &mut scores[..step.min(tokens - first) * tokens];
                layer.probabilities(sample, head, first, scores);
                let output = &mut output[first * width + head * depth..];
                let probabilities = Matrix::dense(scores, tokens);
                let value = layer.part(sample, head, 2, 0);
                multiply(Output::strided(output, width), 1.0, probabilities, value);
            }
        }
    });
    (tensor(output, [batch, tokens, width].into()), kept)
}

#[derive(Debug)]
struct Step;

impl<const N: usize> Backward<Flex, N> for Step {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let Saved { qkv, bias, heads, kept } = ops.state;
        let mut saved = |id| -> FlexTensor { dense(checkpointer.retrieve_node_output(id)) };
        let (qkv, bias) = (saved(qkv), bias.map(saved));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let layer = Layer::new(&qkv, bias.as_ref(), heads);
        let bias_needed = parents.get(1).is_some_and(Option::is_some);
        let (dqkv, dbias) = backward(layer, &kept, values(&gradient), bias_needed);
        register(grads, parents[0], dqkv, qkv.layout().shape().clone());
        if let (Some(bias), Some(parent)) = (bias, parents.get(1)) {
            register(grads, *parent, dbias, bias.layout().shape().clone());
        }
    }
}

/// The gradient of queries, keys and values, and that of the bias if it is needed.
fn backward(
    layer: Layer,
    kept: &[f32],
    gradient: &[f32],
    bias_needed: bool,
) -> (Vec<f32>, Vec<f32>) {
    let (batch, size) = (layer.batch(), layer.tokens * 3 * layer.width());
    let (bias_size, part) = match layer.bias {
        Some(bias) if bias_needed => (bias.len(), batch.div_ceil(PARTS)),
        _ => (0, 1),
    };
    let start = vec![0.0; size];
    let ([dqkv], dbias) = by_tiles(batch, part, [&start], |first, [dqkv]| {
        let mut dbias = vec![0.0; bias_size];
        let mut scratch = [vec![], vec![]];
        for (index, dqkv) in dqkv.chunks_exact_mut(size).enumerate() {
            for head in 0..layer.heads {
                head_backward(
                    layer,
                    [first + index, head],
                    kept,
                    gradient,
                    dqkv,
                    &mut dbias,
                    &mut scratch,
                );
            }
        }
        dbias
    });
    (dqkv, total(dbias))
}

/// Adds one head's part to the gradient of a sample's queries, keys and values, and of its bias.
///
/// With probabilities P = softmax(S) and output P V: dV = Pᵀ dO, dP = dO Vᵀ,
/// dS = P ∘ (dP − Σ P ∘ dP) over each row, dQ = dS K / √depth and dK = dSᵀ Q / √depth.
fn head_backward(
    layer: Layer,
    [sample, head]: [usize; 2],
    kept: &[f32],
    gradient: &[f32],
    dqkv: &mut [f32],
    dbias: &mut [f32],
    [again, slopes]: &mut [Vec<f32>; 2],
) {
    let Layer { tokens, depth, .. } = layer;
    let (width, step) = (layer.width(), layer.step());
    let scale = (depth as f32).sqrt().recip();
    for first in (0..tokens).step_by(step) {
        let count = step.min(tokens - first);
        slopes.resize(count * tokens, 0.0);
        let probabilities = if kept.is_empty() {
            again.resize(count * tokens, 0.0);
            layer.probabilities(sample, head, first, again);
            &again[..]
        } else {
            let start = ((sample * layer.heads + head) * tokens + first) * tokens;
            &kept[start..start + count * tokens]
        };
        let start = (sample * tokens + first) * width + head * depth;
        let gradient = Matrix::strided(&gradient[start..], count, depth, width);
        let value = layer.part(sample, head, 2, 0).transposed();
        multiply(Output::dense(slopes, tokens), 1.0, gradient, value);
        let mut add_to = |part: usize, row: usize, scale, left, right| {
            let start = row * 3 * width + part * width + head * depth;
            multiply(Output::strided(&mut dqkv[start..], 3 * width).added(), scale, left, right);
        };
        add_to(2, 0, 1.0, Matrix::dense(probabilities, tokens).transposed(), gradient);
        if layer.bias.is_some() {
            forget_hidden(probabilities, slopes);
        }
        softmax_backward(probabilities, slopes, tokens);
        if !dbias.is_empty() {
            let start = layer.bias_start(sample, head) + first * tokens;
            add_rows(&mut dbias[start..start + slopes.len()], slopes);
        }
        let slopes = Matrix::dense(slopes, tokens);
        add_to(0, first, scale, slopes, layer.part(sample, head, 1, 0));
        let queries = layer.part(sample, head, 0, first).first_rows(count);
        add_to(1, 0, scale, slopes.transposed(), queries);
    }
}

vectorized! {
    /// Rows of `tokens` scores, after the bias is added, become exp(score − the row's maximum),
    /// divided by their sum.
    fn softmax<A>(scores: &mut [f32], bias: Option<&[f32]>, tokens: usize) {
        if let Some(bias) = bias {
            add(scores, bias);
        }
        for row in scores.chunks_exact_mut(tokens) {
            let largest = max(row);
            for score in row.iter_mut() {
                *score = exp::<A>(*score - largest);
            }
            let scale = 1.0 / sum(row, |score| score);
            row.iter_mut().for_each(|score| *score *= scale);
        }
    }

    /// The slopes by probabilities of 0 become 0, since a hidden value may be of any size and 0 times
    /// infinity is not a number.
    fn forget_hidden<_A>(probabilities: &[f32], slopes: &mut [f32]) {
        for (slope, &probability) in slopes.iter_mut().zip(probabilities) {
            *slope = if probability == 0.0 { 0.0 } else { *slope };
        }
    }

    /// Rows of `slopes` by the probabilities become slopes by the scores.
    fn softmax_backward<A>(probabilities: &[f32], slopes: &mut [f32], tokens: usize) {
        let rows = probabilities.chunks_exact(tokens).zip(slopes.chunks_exact_mut(tokens));
        for (probabilities, slopes) in rows {
            let mean = dot::<A>(probabilities, slopes);
            for (slope, probability) in slopes.iter_mut().zip(probabilities) {
                *slope = probability * (*slope - mean);
            }
        }
    }
}
