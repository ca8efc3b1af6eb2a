//! The step in the graph that stands for a whole block.

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::Tensor;

use super::segment::Replay;

/// The output for `tokens`, tracked; `None` on a backend that is not compiled in.
pub(super) fn record(
    tokens: &Tensor<3>,
    parameters: &Tensor<1>,
    replay: Arc<dyn Replay>,
) -> Option<Tensor<3>> {
    let step = Step(replay);
    let mut output = None;
    #[cfg(feature = "flex")]
    {
        output = output.or_else(|| on::<burn::backend::Flex>(tokens, parameters, &step));
    }
    #[cfg(feature = "ndarray")]
    {
        #[expect(deprecated, reason = "burn's word for ndarray; it is still a backend")]
        use burn::backend::NdArray;
        output = output.or_else(|| on::<NdArray>(tokens, parameters, &step));
    }
    #[cfg(any(feature = "wgpu-unfused", feature = "cuda-unfused"))]
    {
        output = output.or_else(|| on::<burn::backend::Cube>(tokens, parameters, &step));
    }
    output
}

/// The only kind of graph that is asked to forget.
type Recording<B> = Autodiff<B, BalancedCheckpointing>;

/// [`record`] where the tensors are `B`'s.
fn on<B: Backend>(tokens: &Tensor<3>, parameters: &Tensor<1>, step: &Step) -> Option<Tensor<3>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Recording<B>>,
{
    let tokens = tokens.clone().try_into_primitive::<Recording<B>>().ok()?;
    let parameters = parameters.clone().try_into_primitive::<Recording<B>>().ok()?;
    let nodes = [tokens.node(), parameters.node()];
    let forward = |tokens| from_tensor::<B, 3>(step.0.forward(to_tensor::<B, 3>(tokens)));
    let prepared = step.clone().prepare::<BalancedCheckpointing>(nodes).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(mut prep) => {
            let saved = prep.checkpoint(&tokens);
            prep.finish(saved, forward(tokens.into_primitive()))
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(tokens.into_primitive())),
    };
    Some(Tensor::from_primitive::<Recording<B>>(output))
}

#[derive(Clone)]
struct Step(Arc<dyn Replay>);

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a block that is computed again")
    }
}

impl<B: Backend> Backward<B, 2> for Step
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let tokens = checkpointer.retrieve_node_output::<FloatTensor<B>>(ops.state);
        let gradient = grads.consume::<B>(&ops.node);
        let (tokens, gradient) = (to_tensor::<B, 3>(tokens), to_tensor::<B, 3>(gradient));
        let (of_tokens, of_parameters) = self.0.backward(tokens, gradient);
        let [tokens, parameters] = ops.parents;
        if let Some(tokens) = tokens {
            grads.register::<B>(tokens.id, from_tensor::<B, 3>(of_tokens));
        }
        if let Some(parameters) = parameters {
            grads.register::<B>(parameters.id, from_tensor::<B, 1>(of_parameters));
        }
    }
}

fn to_tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    Tensor::from_primitive::<B>(primitive)
}

fn from_tensor<B: Backend, const D: usize>(tensor: Tensor<D>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("what is computed on a backend stays there")
}
