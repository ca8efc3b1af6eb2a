//! The softmax of rows and its logarithm, each row in one go; the backward pass reads what came out.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, tensor, values};
use super::simd::{dot, exp, max, sum, vectorized};
use super::tiles::{by_tiles, tile};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait SoftmaxKernel: Backend {
    fn mim_softmax(scores: FloatTensor<Self>, logarithm: bool) -> FloatTensor<Self>;
}

impl SoftmaxKernel for Flex {
    fn mim_softmax(scores: FlexTensor, logarithm: bool) -> FlexTensor {
        forward(scores, logarithm)
    }
}

impl<C: CheckpointStrategy> SoftmaxKernel for Autodiff<Flex, C> {
    fn mim_softmax(scores: FloatTensor<Self>, logarithm: bool) -> FloatTensor<Self> {
        match Step.prepare::<C>([scores.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = forward(scores.into_primitive(), logarithm);
                prep.finish((output.clone(), logarithm), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(scores.into_primitive(), logarithm)),
        }
    }
}

/// New rows like those of `x`, made by `write` from a tile of x on.
fn by_rows(x: &FlexTensor, write: impl Fn(usize, &mut [f32], usize) + Sync) -> FlexTensor {
    let shape = x.layout().shape().clone();
    let width = *shape.last().expect("rows have an axis of choices");
    let (rows, start) = (values(x).len() / width, vec![0.0; width]);
    let ([output], _) = by_tiles(rows, tile(rows), [&start], |first, [output]| {
        write(first * width, output, width);
    });
    tensor(output, shape)
}

fn forward(scores: FlexTensor, logarithm: bool) -> FlexTensor {
    let scores = dense(scores);
    by_rows(&scores, |at, output, width| {
        let x = &values(&scores)[at..][..output.len()];
        if logarithm { log_softmax(output, x, width) } else { softmax(output, x, width) }
    })
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 1> for Step {
    /// The output, and whether it is a logarithm.
    type State = (FlexTensor, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (output, logarithm) = ops.state;
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents;
        let Some(parent) = parent else { return };
        let dx = by_rows(&output, |at, dx, width| {
            let y = &values(&output)[at..][..dx.len()];
            let gradient = &values(&gradient)[at..][..dx.len()];
            if logarithm {
                log_softmax_backward(dx, y, gradient, width);
            } else {
                softmax_backward(dx, y, gradient, width);
            }
        });
        grads.register::<Flex>(parent.id, dx);
    }
}

vectorized! {
    fn softmax<A>(output: &mut [f32], x: &[f32], width: usize) {
        for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let largest = max(x);
            for (output, x) in output.iter_mut().zip(x) {
                *output = exp::<A>(x - largest);
            }
            let scale = 1.0 / sum(output, |part| part);
            output.iter_mut().for_each(|output| *output *= scale);
        }
    }

    fn log_softmax<A>(output: &mut [f32], x: &[f32], width: usize) {
        for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let largest = max(x);
            let total = sum(x, |x| exp::<A>(x - largest)).ln();
            for (output, x) in output.iter_mut().zip(x) {
                *output = (x - largest) - total;
            }
        }
    }

    /// y · (gradient − Σ gradient · y).
    fn softmax_backward<A>(dx: &mut [f32], y: &[f32], gradient: &[f32], width: usize) {
        let rows = dx.chunks_exact_mut(width).zip(y.chunks_exact(width));
        for ((dx, y), gradient) in rows.zip(gradient.chunks_exact(width)) {
            let along = dot::<A>(y, gradient);
            for ((dx, y), gradient) in dx.iter_mut().zip(y).zip(gradient) {
                *dx = y * (gradient - along);
            }
        }
    }

    /// gradient − eʸ · Σ gradient.
    fn log_softmax_backward<A>(dx: &mut [f32], y: &[f32], gradient: &[f32], width: usize) {
        let rows = dx.chunks_exact_mut(width).zip(y.chunks_exact(width));
        for ((dx, y), gradient) in rows.zip(gradient.chunks_exact(width)) {
            let total = sum(gradient, |gradient| gradient);
            for ((dx, y), gradient) in dx.iter_mut().zip(y).zip(gradient) {
                *dx = A::mul_add(-total, exp::<A>(*y), *gradient);
            }
        }
    }
}
