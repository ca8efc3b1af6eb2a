//! The feed-forward layer: both products and the activation between them on one tile of rows after the
//! other, so that the hidden features leave the cache only to be kept for the backward pass.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::activations::{
    gelu, gelu_and_slope, quick_gelu, quick_gelu_and_slope, tanh, tanh_and_slope,
};
use super::buffer::{dense, dims, like, register, tensor, values};
use super::matrix::{Matrix, Output, multiply};
use super::simd::sum_of_rows;
use super::tiles::{by_tiles, tile, total};
use super::weight_gradient::weight_gradient;
use crate::kernel::Activation;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait MlpKernel: Backend {
    fn mim_mlp(
        rows: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

impl MlpKernel for Flex {
    fn mim_mlp(
        rows: FlexTensor,
        weight1: FlexTensor,
        bias1: FlexTensor,
        weight2: FlexTensor,
        bias2: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let inputs = [rows, weight1, bias1, weight2, bias2].map(dense);
        forward(inputs.each_ref(), activation, false).0
    }
}

impl<C: CheckpointStrategy> MlpKernel for Autodiff<Flex, C> {
    fn mim_mlp(
        rows: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let inputs = [rows, weight1, bias1, weight2, bias2];
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [0, 1, 3].map(|input| prep.checkpoint(&inputs[input]));
                let inputs = inputs.map(|input| dense(input.into_primitive()));
                let (output, hidden) = forward(inputs.each_ref(), activation, true);
                prep.finish((saved, hidden, activation), output)
            }
            OpsKind::UnTracked(prep) => {
                let inputs = inputs.map(|input| dense(input.into_primitive()));
                prep.finish(forward(inputs.each_ref(), activation, false).0)
            }
        }
    }
}

/// The output and, if they are to be kept, the hidden features before the activation.
fn forward(
    [rows, weight1, bias1, weight2, bias2]: [&FlexTensor; 5],
    activation: Activation,
    keep: bool,
) -> (FlexTensor, FlexTensor) {
    let ([inputs, hidden], [_, outputs]) = (dims(weight1), dims(weight2));
    let [x, w1, b1, w2, b2] = [rows, weight1, bias1, weight2, bias2].map(values);
    let (w1, w2) = (Matrix::dense(w1, hidden), Matrix::dense(w2, outputs));
    let count = x.len() / inputs;
    let kept_width = if keep { hidden } else { 0 };
    let starts = [b2, &b1[..kept_width]];
    let ([output, kept], _) = by_tiles(count, tile(count), starts, |first, [output, kept]| {
        let rows = output.len() / outputs;
        let x = Matrix::dense(&x[first * inputs..][..rows * inputs], inputs);
        let mut forgotten = if keep { vec![] } else { b1.repeat(rows) };
        let before = if keep { kept } else { &mut forgotten[..] };
        multiply(Output::dense(before, hidden).added(), 1.0, x, w1);
        let mut after = vec![0.0; rows * hidden];
        activate(&mut after, before, activation);
        multiply(Output::dense(output, outputs).added(), 1.0, Matrix::dense(&after, hidden), w2);
    });
    (tensor(output, like(rows, outputs)), tensor(kept, [count, kept_width].into()))
}

fn activate(after: &mut [f32], before: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => gelu(after, before),
        Activation::QuickGelu => quick_gelu(after, before),
        Activation::Tanh => tanh(after, before),
    }
}

/// The same, with `slope` multiplied by the derivative.
fn activate_and_slope(
    after: &mut [f32],
    slope: &mut [f32],
    before: &[f32],
    activation: Activation,
) {
    match activation {
        Activation::Gelu => gelu_and_slope(after, slope, before),
        Activation::QuickGelu => quick_gelu_and_slope(after, slope, before),
        Activation::Tanh => tanh_and_slope(after, slope, before),
    }
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 5> for Step {
    /// The rows and both weights, the hidden features before the activation, and which one it is.
    type State = ([NodeId; 3], FlexTensor, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 5>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, hidden, activation) = ops.state;
        let saved: [FlexTensor; 3] = saved.map(|id| dense(checkpointer.retrieve_node_output(id)));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let needed = parents.each_ref().map(Option::is_some);
        let [rows, weight1, weight2] = saved.each_ref();
        let hidden = values(&hidden);
        let gradients = backward(saved.each_ref(), hidden, values(&gradient), activation, needed);
        let [w1, w2] = [weight1, weight2].map(dims::<2>);
        let rows = rows.layout().shape().clone();
        let shapes = [rows, w1.into(), [w1[1]].into(), w2.into(), [w2[1]].into()];
        for ((parent, gradient), shape) in parents.into_iter().zip(gradients).zip(shapes) {
            register(grads, parent, gradient, shape);
        }
    }
}

/// The gradients of rows, first weight and bias, second weight and bias, where `needed`; the
/// gradient of a bias comes with the gradient of its weight.
fn backward(
    [rows, weight1, weight2]: [&FlexTensor; 3],
    before: &[f32],
    gradient: &[f32],
    activation: Activation,
    needed: [bool; 5],
) -> [Vec<f32>; 5] {
    let ([inputs, hidden], [_, outputs]) = (dims(weight1), dims(weight2));
    let x = values(rows);
    let w1 = Matrix::dense(values(weight1), hidden).transposed();
    let w2 = Matrix::dense(values(weight2), outputs).transposed();
    let count = x.len() / inputs;
    let (zeros, start) = (vec![0.0; hidden], vec![0.0; if needed[0] { inputs } else { 0 }]);
    let starts = [&zeros, &zeros, &start].map(Vec::as_slice);
    let tile = tile(count);
    let ([after, slope, dx], sums) = by_tiles(count, tile, starts, |first, [after, slope, dx]| {
        let end = count.min(first + tile);
        let gradient = &gradient[first * outputs..end * outputs];
        multiply(Output::dense(slope, hidden), 1.0, Matrix::dense(gradient, outputs), w2);
        let before = &before[first * hidden..end * hidden];
        activate_and_slope(after, slope, before, activation);
        if needed[0] {
            multiply(Output::dense(dx, inputs), 1.0, Matrix::dense(slope, hidden), w1);
        }
        (sum_of_rows(slope, hidden), sum_of_rows(gradient, outputs))
    });
    let (db1, db2) = sums.into_iter().unzip();
    let weight = |needed, x, gradient, sizes| match needed {
        true => weight_gradient(x, gradient, sizes),
        false => vec![],
    };
    let dw1 = weight(needed[1], x, &slope, [inputs, hidden]);
    let dw2 = weight(needed[3], &after, gradient, [hidden, outputs]);
    [dx, dw1, total(db1), dw2, total(db2)]
}
