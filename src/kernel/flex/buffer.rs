//! Converts flex's tensors to slices and back.

use burn::backend::Flex;
use burn::backend::autodiff::{NodeId, grads::Gradients};
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// The tensor with its values one after the other.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a dense tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("kernels are called on dense tensors of f32")
}

/// The values of a dense tensor, mutable; they are copied first if another tensor shares them.
pub(super) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("the tensor is dense");
    &mut tensor.storage_mut()[start..end]
}

/// A tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The sizes of a tensor's dimensions.
pub(super) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// The shape of `tensor` with `width` features.
pub(super) fn like(tensor: &FlexTensor, width: usize) -> Shape {
    let mut shape = tensor.layout().shape().clone();
    *shape.last_mut().expect("a tensor of rows has an axis of features") = width;
    shape
}

/// Registers the gradient of a parent, if the parent needs one.
pub(super) fn register(
    grads: &mut Gradients,
    parent: Option<NodeId>,
    gradient: Vec<f32>,
    shape: Shape,
) {
    if let Some(parent) = parent {
        grads.register::<Flex>(parent, tensor(gradient, shape));
    }
}
