//! Linear layers: bias and product in one pass, and all gradients in another.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, like, register, tensor, values};
use super::matrix::{Matrix, Output, multiply};
use super::simd::sum_of_rows;
use super::tiles::{by_tiles, tile, total};
use super::weight_gradient::weight_gradient;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LinearKernel: Backend {
    fn mim_linear(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LinearKernel for Flex {
    fn mim_linear(rows: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        forward([rows, weight, bias])
    }
}

impl<C: CheckpointStrategy> LinearKernel for Autodiff<Flex, C> {
    fn mim_linear(
        rows: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = [rows, weight, bias];
        let nodes = inputs.each_ref().map(|input| input.node());
        let [rows_tracked, weight_tracked, _] = inputs.each_ref().map(|input| input.is_tracked());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (
                    weight_tracked.then(|| prep.checkpoint(&inputs[0])),
                    rows_tracked.then(|| prep.checkpoint(&inputs[1])),
                );
                prep.finish(saved, forward(inputs.map(|input| input.into_primitive())))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive())))
            }
        }
    }
}

fn forward(inputs: [FlexTensor; 3]) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, w, bias] = inputs.each_ref().map(values);
    let outputs = bias.len();
    let w = Matrix::dense(w, outputs);
    let width = w.rows;
    let count = x.len() / width;
    let ([output], _) = by_tiles(count, tile(count), [bias], |first, [output]| {
        let x = &x[first * width..][..output.len() / outputs * width];
        multiply(Output::dense(output, outputs).added(), 1.0, Matrix::dense(x, width), w);
    });
    tensor(output, like(&inputs[0], outputs))
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The rows, if the weight needs a gradient, and the weight, if the rows need one.
    type State = (Option<NodeId>, Option<NodeId>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let mut saved = |id: Option<NodeId>| -> Option<FlexTensor> {
            id.map(|id| dense(checkpointer.retrieve_node_output(id)))
        };
        let (rows, weight) = (saved(ops.state.0), saved(ops.state.1));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let outputs = *gradient.layout().shape().last().expect("outputs have an axis of features");
        let [dx, dw, db] = backward(
            rows.as_ref().map(values),
            weight.as_ref().map(values),
            values(&gradient),
            outputs,
        );
        let [x, w, b] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let inputs = dx.len() * outputs / gradient.layout().num_elements();
        register(grads, x, dx, like(&gradient, inputs));
        let inputs = dw.len() / outputs;
        register(grads, w, dw, [inputs, outputs].into());
        register(grads, b, db, [outputs].into());
    }
}

/// The gradients of rows (with the `weight`), weight (with the rows, `x`) and bias.
fn backward(
    x: Option<&[f32]>,
    weight: Option<&[f32]>,
    gradient: &[f32],
    outputs: usize,
) -> [Vec<f32>; 3] {
    let rows = gradient.len() / outputs;
    let start = vec![0.0; weight.map_or(0, |weight| weight.len() / outputs)];
    let tile = tile(rows);
    let ([dx], db) = by_tiles(rows, tile, [&start], |first, [dx]| {
        let gradient = &gradient[first * outputs..rows.min(first + tile) * outputs];
        if let Some(weight) = weight {
            let weight = Matrix::dense(weight, outputs).transposed();
            let gradient = Matrix::dense(gradient, outputs);
            multiply(Output::dense(dx, start.len()), 1.0, gradient, weight);
        }
        sum_of_rows(gradient, outputs)
    });
    let dw = x.map_or(vec![], |x| weight_gradient(x, gradient, [x.len() / rows, outputs]));
    [dx, dw, total(db)]
}
