//! The gradients of attention.

use super::PARTS;
use super::layer::Layer;
use crate::kernel::flex::matrix::{Matrix, Output};
use crate::kernel::flex::simd::{add_rows, dot, vectorized};
use crate::kernel::flex::tiles::{by_tiles, tile, total};

/// The gradient of queries, keys and values, and the gradient of the bias if it is needed.
pub(super) fn backward(
    layer: Layer,
    kept: &[f32],
    gradient: &[f32],
    bias_needed: bool,
) -> (Vec<f32>, Vec<f32>) {
    let Layer { batch, tokens, heads, depth, .. } = layer;
    // Each thread works on all heads of a sample, or on one head, if there are few samples: the
    // gradients of a head then lie in one piece, `[tokens, 3, depth]`.
    let whole_samples = batch >= PARTS;
    let together = if whole_samples { heads } else { 1 };
    let units = batch * heads / together;
    let (bias_size, part) = match layer.bias {
        Some(bias) if bias_needed => (bias.values.len(), units.div_ceil(PARTS)),
        _ => (0, 1),
    };
    let size = 3 * tokens * depth * together;
    let start = vec![0.0; size];
    let ([pieces], dbias) = by_tiles(units, part, [&start], |first, [pieces]| {
        let mut dbias = vec![0.0; bias_size];
        let mut scratch = Scratch::default();
        for (index, piece) in pieces.chunks_exact_mut(size).enumerate() {
            for head in 0..together {
                let unit = (first + index) * together + head;
                let unit = [unit / heads, unit % heads];
                let dqkv = Rows { values: &mut piece[head * depth..], part: together * depth };
                head_backward(layer, unit, kept, gradient, dqkv, &mut dbias, &mut scratch);
            }
        }
        dbias
    });
    (if whole_samples { pieces } else { joined(layer, &pieces) }, total(dbias))
}

/// Gradients of one head's queries, keys and values, `depth` values of each in every row; `part` is
/// how far apart the three are.
struct Rows<'a> {
    values: &'a mut [f32],
    part: usize,
}

/// What heads that follow each other need for a while.
#[derive(Default)]
struct Scratch {
    again: Vec<f32>,
    slopes: Vec<f32>,
    turned: Vec<f32>,
}

/// Rearranges the pieces `[batch, heads, tokens, 3, depth]` to `[batch, tokens, 3, heads, depth]`.
fn joined(layer: Layer, pieces: &[f32]) -> Vec<f32> {
    let Layer { batch, tokens, heads, depth, .. } = layer;
    let row = vec![0.0; 3 * layer.width()];
    let rows = batch * tokens;
    let ([joined], _) = by_tiles(rows, tile(rows), [&row], |first, [joined]| {
        for (index, row) in joined.chunks_exact_mut(3 * heads * depth).enumerate() {
            let (sample, token) = ((first + index) / tokens, (first + index) % tokens);
            for (place, values) in row.chunks_exact_mut(depth).enumerate() {
                let (part, head) = (place / heads, place % heads);
                let start = (((sample * heads + head) * tokens + token) * 3 + part) * depth;
                values.copy_from_slice(&pieces[start..start + depth]);
            }
        }
    });
    joined
}

/// Adds to the gradient of one head's queries, keys and values in a sample, and of the bias.
///
/// With probabilities P = softmax(S) and output P V: dV = Pᵀ dO, dP = dO Vᵀ,
/// dS = P ∘ (dP − Σ P ∘ dP) over each row, dQ = `scale` · dS K and dK = `scale` · dSᵀ Q.
fn head_backward(
    layer: Layer,
    [sample, head]: [usize; 2],
    kept: &[f32],
    gradient: &[f32],
    dqkv: Rows,
    dbias: &mut [f32],
    Scratch { again, slopes, turned }: &mut Scratch,
) {
    let Layer { tokens, depth, scale, .. } = layer;
    let (width, step) = (layer.width(), layer.step());
    for first in (0..tokens).step_by(step) {
        let count = step.min(tokens - first);
        slopes.resize(count * tokens, 0.0);
        let probabilities = if kept.is_empty() {
            again.resize(count * tokens, 0.0);
            layer.probabilities(sample, head, first, again, turned);
            &again[..]
        } else {
            let start = ((sample * layer.heads + head) * tokens + first) * tokens;
            &kept[start..start + count * tokens]
        };
        let start = (sample * tokens + first) * width + head * depth;
        let gradient = Matrix::strided(&gradient[start..], count, depth, width);
        let value = layer.part(sample, head, 2, 0);
        layer.by_transposed(Output::dense(slopes, tokens), 1.0, gradient, value, turned);
        let mut add_to = |part: usize, row: usize, scale, left, right| {
            let start = (row * 3 + part) * dqkv.part;
            let output = Output::strided(&mut dqkv.values[start..], 3 * dqkv.part);
            layer.multiply(output.added(), scale, left, right);
        };
        add_to(2, 0, 1.0, Matrix::dense(probabilities, tokens).transposed(), gradient);
        if layer.bias.is_some() {
            forget_hidden(probabilities, slopes);
        }
        softmax_backward(probabilities, slopes, tokens);
        if let (Some(bias), false) = (layer.bias, dbias.is_empty()) {
            let start = bias.start(sample, head, tokens) + first * tokens;
            add_rows(&mut dbias[start..start + slopes.len()], slopes);
        }
        let slopes = Matrix::dense(slopes, tokens);
        add_to(0, first, scale, slopes, layer.part(sample, head, 1, 0));
        let queries = layer.part(sample, head, 0, first).first_rows(count);
        add_to(1, 0, scale, slopes.transposed(), queries);
    }
}

vectorized! {
    /// Sets the slopes with respect to probabilities of 0 to 0, since a hidden value may be
    /// infinite and 0 times infinity is NaN.
    fn forget_hidden<_A>(probabilities: &[f32], slopes: &mut [f32]) {
        for (slope, &probability) in slopes.iter_mut().zip(probabilities) {
            *slope = if probability == 0.0 { 0.0 } else { *slope };
        }
    }

    /// Turns slopes with respect to the probabilities, row by row, into slopes with respect to the
    /// scores.
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
