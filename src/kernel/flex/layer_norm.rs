//! Layer normalization, forward in one pass over memory and backward in another.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn::tensor::Shape;

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{add, dot, sum, vectorized};
use super::tiles::{by_tiles, part, tile, total};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LayerNormKernel: Backend {
    fn mim_layer_norm(
        tokens: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        centered: bool,
    ) -> FloatTensor<Self>;
}

impl LayerNormKernel for Flex {
    fn mim_layer_norm(
        tokens: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
        centered: bool,
    ) -> FlexTensor {
        forward([tokens, gamma, beta], Form { epsilon, centered })
    }
}

impl<C: CheckpointStrategy> LayerNormKernel for Autodiff<Flex, C> {
    fn mim_layer_norm(
        tokens: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        centered: bool,
    ) -> FloatTensor<Self> {
        let (inputs, form) = ([tokens, gamma, beta], Form { epsilon, centered });
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (prep.checkpoint(&inputs[0]), prep.checkpoint(&inputs[1]), form);
                prep.finish(saved, forward(inputs.map(|input| input.into_primitive()), form))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), form))
            }
        }
    }
}

/// What a norm does: it takes the mean away first, or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    epsilon: f32,
    centered: bool,
}

fn forward(inputs: [FlexTensor; 3], form: Form) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, gamma, beta] = inputs.each_ref().map(values);
    let width = gamma.len();
    let rows = x.len() / width;
    let ([output], _) = by_tiles(rows, tile(rows), [beta], |first, [output]| {
        normalize(output, &x[first * width..][..output.len()], gamma, form);
    });
    tensor(output, inputs[0].layout().shape().clone())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    type State = (NodeId, NodeId, Form);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (tokens, gamma, form) = ops.state;
        let tokens = dense(checkpointer.retrieve_node_output(tokens));
        let gamma = dense(checkpointer.retrieve_node_output(gamma));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let results = backward(values(&tokens), values(&gamma), values(&gradient), form);
        let [width] = dims(&gamma);
        let shapes = [tokens.layout().shape().clone(), Shape::new([width]), Shape::new([width])];
        for ((parent, result), shape) in ops.parents.into_iter().zip(results).zip(shapes) {
            register(grads, parent.map(|parent| parent.id), result, shape);
        }
    }
}

/// The gradients of tokens, gamma and beta, from the gradient of the output.
///
/// With n = (x − mean) · scale and h = gradient · gamma, the gradient of x is scale · (h − mean(h)
/// − n · mean(h · n)); the gradient of gamma is the sum of gradient · n, and the gradient of beta
/// is the sum of the gradient.
fn backward(x: &[f32], gamma: &[f32], gradient: &[f32], form: Form) -> [Vec<f32>; 3] {
    let width = gamma.len();
    let rows = x.len() / width;
    let start = vec![0.0; width];
    let ([dx], sums) = by_tiles(rows, part(rows), [&start], |first, [dx]| {
        let (mut dgamma, mut dbeta) = (vec![0.0; width], vec![0.0; width]);
        let range = first * width..first * width + dx.len();
        gradients([dx, &mut dgamma, &mut dbeta], &x[range.clone()], gamma, &gradient[range], form);
        (dgamma, dbeta)
    });
    let (dgamma, dbeta) = sums.into_iter().unzip();
    [dx, total(dgamma), total(dbeta)]
}

vectorized! {
    /// Adds gamma times normalized rows of `x` to `output`.
    fn normalize<A>(output: &mut [f32], x: &[f32], gamma: &[f32], form: Form) {
        let width = gamma.len();
        for (x, output) in x.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
            let (mean, scale) = statistics(x, form);
            for ((output, x), gamma) in output.iter_mut().zip(x).zip(gamma) {
                *output = A::mul_add((x - mean) * scale, *gamma, *output);
            }
        }
    }

    /// The gradient of rows of `x`, and the contribution of these rows to the gradients of gamma
    /// and beta.
    fn gradients<A>(
        sums: [&mut [f32]; 3],
        x: &[f32],
        gamma: &[f32],
        gradient: &[f32],
        form: Form,
    ) {
        let [dx, dgamma, dbeta] = sums;
        let width = gamma.len();
        let mut normal = vec![0.0; width];
        let rows = x.chunks_exact(width).zip(gradient.chunks_exact(width));
        for ((x, gradient), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let (mean, scale) = statistics(x, form);
            for (normal, x) in normal.iter_mut().zip(x) {
                *normal = (x - mean) * scale;
            }
            for ((dx, gradient), gamma) in dx.iter_mut().zip(gradient).zip(gamma) {
                *dx = gradient * gamma;
            }
            for ((dgamma, gradient), normal) in dgamma.iter_mut().zip(gradient).zip(&normal) {
                *dgamma = A::mul_add(*gradient, *normal, *dgamma);
            }
            add(dbeta, gradient);
            let mean = if form.centered { sum(dx, |h| h) / width as f32 } else { 0.0 };
            let along = dot::<A>(dx, &normal) / width as f32;
            for (dx, normal) in dx.iter_mut().zip(&normal) {
                *dx = scale * (*dx - A::mul_add(*normal, along, mean));
            }
        }
    }
}

/// The mean of a row, and one over its standard deviation; 0, and one over the root of its mean square.
#[inline(always)]
fn statistics(row: &[f32], Form { epsilon, centered }: Form) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = if centered { sum(row, |x| x) / count } else { 0.0 };
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}
