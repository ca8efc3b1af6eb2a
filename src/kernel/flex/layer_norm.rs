//! Layer normalisation, forward in one pass over memory and backward in another.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn::tensor::Shape;

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{add, sum, sum2, vectorized};
use super::tiles::{by_tiles, part, tile, total};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LayerNormKernel: Backend {
    fn mim_layer_norm(
        tokens: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

impl LayerNormKernel for Flex {
    fn mim_layer_norm(
        tokens: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        forward([tokens, gamma, beta], epsilon)
    }
}

impl<C: CheckpointStrategy> LayerNormKernel for Autodiff<Flex, C> {
    fn mim_layer_norm(
        tokens: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let inputs = [tokens, gamma, beta];
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (prep.checkpoint(&inputs[0]), prep.checkpoint(&inputs[1]), epsilon);
                prep.finish(saved, forward(inputs.map(|input| input.into_primitive()), epsilon))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), epsilon))
            }
        }
    }
}

fn forward(inputs: [FlexTensor; 3], epsilon: f32) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, gamma, beta] = inputs.each_ref().map(values);
    let width = gamma.len();
    let rows = x.len() / width;
    let ([output], _) = by_tiles(rows, tile(rows), [beta], |first, [output]| {
        let x = &x[first * width..][..output.len()];
        vectorized(|| {
            for (x, output) in x.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
                let (mean, scale) = statistics(x, epsilon);
                for ((output, x), gamma) in output.iter_mut().zip(x).zip(gamma) {
                    *output += (x - mean) * scale * gamma;
                }
            }
        });
    });
    tensor(output, inputs[0].layout().shape().clone())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    type State = (NodeId, NodeId, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (tokens, gamma, epsilon) = ops.state;
        let tokens = dense(checkpointer.retrieve_node_output(tokens));
        let gamma = dense(checkpointer.retrieve_node_output(gamma));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let results = backward(values(&tokens), values(&gamma), values(&gradient), epsilon);
        let [width] = dims(&gamma);
        let shapes = [tokens.layout().shape().clone(), Shape::new([width]), Shape::new([width])];
        for ((parent, result), shape) in ops.parents.into_iter().zip(results).zip(shapes) {
            register(grads, parent.map(|parent| parent.id), result, shape);
        }
    }
}

/// The gradients of tokens, gamma and beta from that of the output.
///
/// With n = (x − mean) · scale and h = gradient · gamma, that of x is
/// scale · (h − mean(h) − n · mean(h · n)); gamma's sums gradient · n, beta's the gradient.
fn backward(x: &[f32], gamma: &[f32], gradient: &[f32], epsilon: f32) -> [Vec<f32>; 3] {
    let width = gamma.len();
    let rows = x.len() / width;
    let start = vec![0.0; width];
    let ([dx], sums) = by_tiles(rows, part(rows), [&start], |first, [dx]| {
        let (mut dgamma, mut dbeta) = (vec![0.0; width], vec![0.0; width]);
        let range = first * width..first * width + dx.len();
        let (x, gradient) = (&x[range.clone()], &gradient[range]);
        vectorized(|| {
            let mut normal = vec![0.0; width];
            let rows = x.chunks_exact(width).zip(gradient.chunks_exact(width));
            for ((x, gradient), dx) in rows.zip(dx.chunks_exact_mut(width)) {
                let (mean, scale) = statistics(x, epsilon);
                for i in 0..width {
                    normal[i] = (x[i] - mean) * scale;
                    dx[i] = gradient[i] * gamma[i];
                    dgamma[i] += gradient[i] * normal[i];
                }
                add(&mut dbeta, gradient);
                let mean = sum(dx, |h| h) / width as f32;
                let along = sum2(dx, &normal, |h, n| h * n) / width as f32;
                for (dx, normal) in dx.iter_mut().zip(&normal) {
                    *dx = scale * (*dx - mean - normal * along);
                }
            }
        });
        (dgamma, dbeta)
    });
    let (dgamma, dbeta) = sums.into_iter().unzip();
    [dx, total(dgamma), total(dbeta)]
}

/// The mean of a row, and one over its standard deviation.
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |x| x) / count;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}
