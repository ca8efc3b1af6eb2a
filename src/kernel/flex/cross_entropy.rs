//! The softmax of rows and the answers' part of it in one pass: probabilities are not kept, but computed
//! again for the backward pass.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{exp, max, sum, vectorized};
use super::tiles::{by_tiles, tile};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait CrossEntropyKernel: Backend {
    fn mim_cross_entropy(logits: FloatTensor<Self>, right: IntTensor<Self>) -> FloatTensor<Self>;
}

impl CrossEntropyKernel for Flex {
    fn mim_cross_entropy(logits: FlexTensor, right: FlexTensor) -> FlexTensor {
        forward(logits, &dense(right))
    }
}

impl<C: CheckpointStrategy> CrossEntropyKernel for Autodiff<Flex, C> {
    fn mim_cross_entropy(logits: FloatTensor<Self>, right: FlexTensor) -> FloatTensor<Self> {
        let right = dense(right);
        match Step.prepare::<C>([logits.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = prep.checkpoint(&logits);
                let output = forward(logits.into_primitive(), &right);
                prep.finish((saved, right), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(logits.into_primitive(), &right)),
        }
    }
}

/// The answers of a dense tensor.
fn answers(right: &FlexTensor) -> &[i32] {
    right.as_slice().expect("the kernel is called with numbers of 32 bits")
}

fn forward(logits: FlexTensor, right: &FlexTensor) -> FlexTensor {
    let logits = dense(logits);
    let [rows, width] = dims(&logits);
    let (x, right) = (values(&logits), answers(right));
    let ([losses], _) = by_tiles(rows, tile(rows), [&[0.0]], |first, [losses]| {
        let x = &x[first * width..][..losses.len() * width];
        judge(losses, x, &right[first..][..losses.len()]);
    });
    tensor(losses, [rows].into())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 1> for Step {
    /// The logits and the answers.
    type State = (NodeId, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, right) = ops.state;
        let logits: FlexTensor = dense(checkpointer.retrieve_node_output(saved));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let [rows, width] = dims(&logits);
        let (x, gradient, right) = (values(&logits), values(&gradient), answers(&right));
        let start = vec![0.0; width];
        let ([dx], _) = by_tiles(rows, tile(rows), [&start], |first, [dx]| {
            let rows = first..first + dx.len() / width;
            let x = &x[first * width..][..dx.len()];
            carry_back(dx, x, &gradient[rows.clone()], &right[rows]);
        });
        let [parent] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(grads, parent, dx, logits.layout().shape().clone());
    }
}

vectorized! {
    /// The loss of each row of `x`.
    fn judge<A>(losses: &mut [f32], x: &[f32], right: &[i32]) {
        let width = x.len() / losses.len();
        for ((loss, x), right) in losses.iter_mut().zip(x.chunks_exact(width)).zip(right) {
            let largest = max(x);
            let total = sum(x, |x| exp::<A>(x - largest));
            *loss = total.ln() - (x[*right as usize] - largest);
        }
    }

    /// The gradient of each row: what its loss has, times the probabilities without the answer's own.
    fn carry_back<A>(dx: &mut [f32], x: &[f32], gradient: &[f32], right: &[i32]) {
        let width = x.len() / gradient.len();
        let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for ((dx, x), (gradient, right)) in rows.zip(gradient.iter().zip(right)) {
            let largest = max(x);
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = exp::<A>(x - largest);
            }
            let scale = gradient / sum(dx, |part| part);
            dx.iter_mut().for_each(|dx| *dx *= scale);
            dx[*right as usize] -= gradient;
        }
    }
}
