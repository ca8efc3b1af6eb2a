//! The attention of one layer, and its output.

use burn::backend::flex::FlexTensor;

use super::PARTS;
use crate::kernel::flex::buffer::{dims, tensor, values};
use crate::kernel::flex::matrix::{Matrix, Output, multiply};
use crate::kernel::flex::simd::{add, exp, max, sum, vectorized};
use crate::kernel::flex::small_product::{LANES, multiply_small};
use crate::kernel::flex::tiles::by_tiles;

/// The largest number of scores that are computed together, which nearly fits into a core's cache: with
/// fewer, each product arranges the keys and values for fewer queries.
const SCORES: usize = 128 << 10;

/// The largest number of tokens whose products are computed by [`multiply_small`].
const SMALL: usize = 32;

/// The sizes and values of one layer's attention.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    pub(super) qkv: &'a [f32],
    pub(super) bias: Option<Bias<'a>>,
    pub(super) batch: usize,
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) depth: usize,
    pub(super) scale: f32,
}

/// The bias, which is added to the scores, `[groups, heads, tokens, tokens]`.
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    pub(super) values: &'a [f32],
    pub(super) groups: usize,
    pub(super) heads: usize,
}

impl<'a> Layer<'a> {
    pub(super) fn new(
        qkv: &'a FlexTensor,
        bias: Option<&'a FlexTensor>,
        heads: usize,
        scale: f32,
    ) -> Self {
        let [batch, tokens, width] = dims(qkv);
        let bias = bias.map(|bias| {
            let [groups, heads, ..] = dims::<4>(bias);
            Bias { values: values(bias), groups, heads }
        });
        let depth = width / 3 / heads;
        Self { qkv: values(qkv), bias, batch, tokens, heads, depth, scale }
    }

    pub(super) fn width(&self) -> usize {
        self.heads * self.depth
    }

    /// How many queries are computed together, as evenly divided as their number allows.
    pub(super) fn step(&self) -> usize {
        let most = (SCORES / self.tokens).max(32);
        self.tokens.div_ceil(self.tokens.div_ceil(most))
    }

    /// How many queries, counted through one sample after the other, one thread works on: all
    /// queries of a sample, or fewer if there are few samples. The number depends on the sizes
    /// alone, so that results are the same for any number of threads.
    fn tile(&self) -> usize {
        let shared = (self.batch * self.tokens).div_ceil(PARTS).max(32);
        if self.batch < PARTS { shared.min(self.tokens) } else { self.tokens }
    }

    /// The query, key or value (`part` 0, 1, 2) of one sample, from token `first` on.
    pub(super) fn part(&self, sample: usize, head: usize, part: usize, first: usize) -> Matrix<'a> {
        let (width, row) = (self.width(), 3 * self.width());
        let start = (sample * self.tokens + first) * row + part * width + head * self.depth;
        Matrix::strided(&self.qkv[start..], self.tokens - first, self.depth, row)
    }

    /// The probabilities of the queries from `first` on, as many as `scores` has rows of tokens.
    pub(super) fn probabilities(
        &self,
        sample: usize,
        head: usize,
        first: usize,
        scores: &mut [f32],
        turned: &mut Vec<f32>,
    ) {
        let tokens = self.tokens;
        let queries = self.part(sample, head, 0, first).first_rows(scores.len() / tokens);
        let keys = self.part(sample, head, 1, 0);
        self.by_transposed(Output::dense(scores, tokens), self.scale, queries, keys, turned);
        let bias = self.bias.map(|bias| {
            let start = bias.start(sample, head, tokens) + first * tokens;
            &bias.values[start..start + scores.len()]
        });
        softmax(scores, bias, tokens);
    }

    /// Whether the products of a head are small, with rows of whole vectors.
    fn is_small(&self) -> bool {
        self.tokens <= SMALL && self.depth.is_multiple_of(LANES)
    }

    /// As [`multiply`].
    pub(super) fn multiply(&self, output: Output, scale: f32, left: Matrix, right: Matrix) {
        if self.is_small() {
            multiply_small(output, scale, left, right);
        } else {
            multiply(output, scale, left, right);
        }
    }

    /// As [`multiply`] with the transposed matrix of `right`, which is copied to `turned` if the
    /// products are small.
    pub(super) fn by_transposed(
        &self,
        output: Output,
        scale: f32,
        left: Matrix,
        right: Matrix,
        turned: &mut Vec<f32>,
    ) {
        if self.is_small() {
            multiply_small(output, scale, left, right.turned(LANES, turned));
        } else {
            multiply(output, scale, left, right.transposed());
        }
    }

    /// Whether the probabilities are kept for the backward pass: only if they take no more memory
    /// than queries and keys.
    fn keeps(&self) -> bool {
        self.tokens <= 2 * self.depth && self.tile() == self.tokens
    }
}

impl Bias<'_> {
    /// The place where the bias of a head of a sample begins.
    pub(super) fn start(&self, sample: usize, head: usize, tokens: usize) -> usize {
        (sample % self.groups * self.heads + head % self.heads) * tokens * tokens
    }
}

/// The output of all samples and heads, and their probabilities if they are to be kept and do not
/// take too much memory.
pub(super) fn forward(layer: Layer, keep: bool) -> (FlexTensor, Vec<f32>) {
    let Layer { batch, tokens, heads, depth, .. } = layer;
    let (width, step, tile) = (layer.width(), layer.step(), layer.tile());
    let keep = keep && layer.keeps();
    let starts = [width, if keep { heads * tokens } else { 0 }].map(|count| vec![0.0; count]);
    let starts = starts.each_ref().map(Vec::as_slice);
    let ([output, kept], _) = by_tiles(batch * tokens, tile, starts, |start, [output, kept]| {
        let end = start + output.len() / width;
        let mut forgotten = vec![0.0; if keep { 0 } else { step * tokens }];
        let mut turned = vec![];
        for head in 0..heads {
            let mut row = start;
            while row < end {
                let (sample, first) = (row / tokens, row % tokens);
                let count = step.min(tokens - first).min(end - row);
                let scores = if keep {
                    &mut kept[(head * tokens + first) * tokens..][..count * tokens]
                } else {
                    &mut forgotten[..count * tokens]
                };
                layer.probabilities(sample, head, first, scores, &mut turned);
                let output = &mut output[(row - start) * width + head * depth..];
                let probabilities = Matrix::dense(scores, tokens);
                let value = layer.part(sample, head, 2, 0);
                layer.multiply(Output::strided(output, width), 1.0, probabilities, value);
                row += count;
            }
        }
    });
    (tensor(output, [batch, tokens, width].into()), kept)
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
}
