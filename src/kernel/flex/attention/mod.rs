//! Attention, sample by sample and head by head, which reads queries, keys and values in the layout
//! of the projection. The backward pass computes the probabilities of long sequences again, since
//! keeping them would take more memory than everything else in a block. The probabilities of short
//! sequences, whose products are slow, are kept.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

mod backward;
mod layer;

use backward::backward;
use layer::{Layer, forward};

use super::buffer::{dense, register, values};

/// The largest number of parts that few samples are divided into, and that the gradient of a bias
/// is summed in.
const PARTS: usize = 8;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait AttentionKernel: Backend {
    fn mim_attention(qkv: FloatTensor<Self>, heads: usize, scale: f32) -> FloatTensor<Self>;

    fn mim_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        scale: f32,
    ) -> FloatTensor<Self>;
}

impl AttentionKernel for Flex {
    fn mim_attention(qkv: FlexTensor, heads: usize, scale: f32) -> FlexTensor {
        forward(Layer::new(&dense(qkv), None, heads, scale), false).0
    }

    fn mim_biased_attention(
        qkv: FlexTensor,
        bias: FlexTensor,
        heads: usize,
        scale: f32,
    ) -> FlexTensor {
        forward(Layer::new(&dense(qkv), Some(&dense(bias)), heads, scale), false).0
    }
}

impl<C: CheckpointStrategy> AttentionKernel for Autodiff<Flex, C> {
    fn mim_attention(qkv: FloatTensor<Self>, heads: usize, scale: f32) -> FloatTensor<Self> {
        match Step.prepare::<C>([qkv.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = prep.checkpoint(&qkv);
                let qkv = dense(qkv.into_primitive());
                let (output, kept) = forward(Layer::new(&qkv, None, heads, scale), true);
                prep.finish(Saved { qkv: saved, bias: None, heads, scale, kept }, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::mim_attention(qkv.into_primitive(), heads, scale))
            }
        }
    }

    fn mim_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        scale: f32,
    ) -> FloatTensor<Self> {
        let nodes = [qkv.node(), bias.node()];
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (prep.checkpoint(&qkv), prep.checkpoint(&bias));
                let [qkv, bias] = [qkv, bias].map(|input| dense(input.into_primitive()));
                let layer = Layer::new(&qkv, Some(&bias), heads, scale);
                let (output, kept) = forward(layer, true);
                let saved = Saved { qkv: saved.0, bias: Some(saved.1), heads, scale, kept };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => {
                let (qkv, bias) = (qkv.into_primitive(), bias.into_primitive());
                prep.finish(Flex::mim_biased_attention(qkv, bias, heads, scale))
            }
        }
    }
}

/// The values of the forward pass that the backward pass needs.
#[derive(Debug, Clone)]
struct Saved {
    qkv: NodeId,
    bias: Option<NodeId>,
    heads: usize,
    scale: f32,
    /// The probabilities of all samples and heads, or nothing.
    kept: Vec<f32>,
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
        let Saved { qkv, bias, heads, scale, kept } = ops.state;
        let mut saved = |id| -> FlexTensor { dense(checkpointer.retrieve_node_output(id)) };
        let (qkv, bias) = (saved(qkv), bias.map(saved));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let layer = Layer::new(&qkv, bias.as_ref(), heads, scale);
        let bias_needed = parents.get(1).is_some_and(Option::is_some);
        let (dqkv, dbias) = backward(layer, &kept, values(&gradient), bias_needed);
        register(grads, parents[0], dqkv, qkv.layout().shape().clone());
        if let (Some(bias), Some(parent)) = (bias, parents.get(1)) {
            register(grads, *parent, dbias, bias.layout().shape().clone());
        }
    }
}
