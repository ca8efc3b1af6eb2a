//! The step in the graph that stands for a [`Gather`].

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::Tensor;

use super::Gather;

impl Gather {
    /// [`forward`](Self::forward), tracked; `None` on a backend that is not compiled in.
    pub(super) fn record(&self, rows: &Tensor<2>, filler: &Tensor<2>) -> Option<Tensor<2>> {
        let mut output = None;
        #[cfg(feature = "flex")]
        {
            output = output.or_else(|| self.on::<burn::backend::Flex>(rows, filler));
        }
        #[cfg(feature = "ndarray")]
        {
            #[expect(deprecated, reason = "burn's word for ndarray; it is still a backend")]
            use burn::backend::NdArray;
            output = output.or_else(|| self.on::<NdArray>(rows, filler));
        }
        #[cfg(any(feature = "wgpu-unfused", feature = "cuda-unfused"))]
        {
            output = output.or_else(|| self.on::<burn::backend::Cube>(rows, filler));
        }
        output
    }

    /// [`record`](Self::record) where the tensors are `B`'s.
    fn on<B: Backend>(&self, rows: &Tensor<2>, filler: &Tensor<2>) -> Option<Tensor<2>>
    where
        DispatchTensor: DispatchKindConversion<B>
            + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
            + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
    {
        let plain = self.tracked::<B, NoCheckpointing>(rows, filler);
        plain.or_else(|| self.tracked::<B, BalancedCheckpointing>(rows, filler))
    }

    fn tracked<B: Backend, C: CheckpointStrategy>(
        &self,
        rows: &Tensor<2>,
        filler: &Tensor<2>,
    ) -> Option<Tensor<2>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>,
    {
        let rows = rows.clone().try_into_primitive::<Autodiff<B, C>>().ok()?;
        let filler = filler.clone().try_into_primitive::<Autodiff<B, C>>().ok()?;
        let nodes = [rows.node(), filler.node()];
        let prepared = self.clone().prepare::<C>(nodes).compute_bound().stateful();
        let plain = |primitive| Tensor::from_primitive::<B>(primitive);
        let output = self.forward(plain(rows.into_primitive()), plain(filler.into_primitive()));
        let output = primitive::<B>(output);
        let output = match prepared {
            OpsKind::Tracked(prep) => prep.finish((), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        Some(Tensor::from_primitive::<Autodiff<B, C>>(output))
    }
}

impl<B: Backend> Backward<B, 2> for Gather
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = ();

    fn backward(self, ops: Ops<(), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let [rows, filler] = ops.parents;
        // Where the filler is zeros, nobody asks for its gradient.
        if let Some(filler) = filler {
            grads.register::<B>(filler.id, primitive::<B>(self.of_filler(gradient.clone())));
        }
        if let Some(rows) = rows {
            grads.register::<B>(rows.id, primitive::<B>(self.of_rows(gradient)));
        }
    }
}

fn primitive<B: Backend>(tensor: Tensor<2>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("what is computed on a backend stays there")
}
