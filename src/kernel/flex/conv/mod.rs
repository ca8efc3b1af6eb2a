//! Convolutions and transposed ones: products of the weight with the numbers under the windows, which are
//! laid out for a few rows of an image at a time and stay in the cache.

mod passes;
mod planes;
mod sizes;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use passes::{carry_back, convolve, of_parameters};
use sizes::Sizes;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait ConvKernel: Backend {
    fn mim_conv2d(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: usize,
        transposed: bool,
        rectified: bool,
    ) -> FloatTensor<Self>;
}

impl ConvKernel for Flex {
    fn mim_conv2d(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
        padding: usize,
        transposed: bool,
        rectified: bool,
    ) -> FlexTensor {
        forward([images, weight, bias], Form { stride, padding, transposed, rectified })
    }
}

impl<C: CheckpointStrategy> ConvKernel for Autodiff<Flex, C> {
    fn mim_conv2d(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: usize,
        transposed: bool,
        rectified: bool,
    ) -> FloatTensor<Self> {
        let (inputs, form) =
            ([images, weight, bias], Form { stride, padding, transposed, rectified });
        let nodes = inputs.each_ref().map(|input| input.node());
        let [images_tracked, weight_tracked, _] = inputs.each_ref().map(|input| input.is_tracked());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [
                    (weight_tracked || rectified).then(|| prep.checkpoint(&inputs[0])),
                    images_tracked.then(|| prep.checkpoint(&inputs[1])),
                ];
                let inputs = inputs.map(|input| input.into_primitive());
                let sizes = form.sizes(dims(&inputs[0]), dims(&inputs[1]));
                prep.finish((saved, sizes, transposed), forward(inputs, form))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), form))
            }
        }
    }
}

/// How windows lie on images.
#[derive(Debug, Clone, Copy)]
struct Form {
    stride: usize,
    padding: usize,
    transposed: bool,
    rectified: bool,
}

impl Form {
    /// The sizes of the convolution, or of the one whose transposed it is.
    fn sizes(self, images: [usize; 4], weight: [usize; 4]) -> Sizes {
        let Self { stride, padding, transposed, rectified } = self;
        let [_, _, rows, cols] = images;
        let read = if transposed {
            let larger = |side: usize, window: usize| (side - 1) * stride + window - 2 * padding;
            [larger(rows, weight[2]), larger(cols, weight[3])]
        } else {
            [rows, cols]
        };
        Sizes { rectified, ..Sizes::new(weight, read, stride, padding) }
    }
}

fn forward(inputs: [FlexTensor; 3], form: Form) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, weight, bias] = inputs.each_ref().map(values);
    let images: [usize; 4] = dims(&inputs[0]);
    let sizes = form.sizes(images, dims(&inputs[1]));
    let (output, channels, [rows, cols]) = if form.transposed {
        (carry_back(x, weight, bias, &sizes, None), sizes.inputs, sizes.image)
    } else {
        (convolve(x, weight, bias, &sizes, None), sizes.outputs, sizes.output)
    };
    tensor(output, [images[0], channels, rows, cols].into())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The images, if the weight needs a gradient or they are rectified, and the weight, if the images need one; the sizes,
    /// and whether they are those of the transposed convolution.
    type State = ([Option<NodeId>; 2], Sizes, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, sizes, transposed) = ops.state;
        let [images, weight] =
            saved.map(|id| id.map(|id| dense(checkpointer.retrieve_node_output::<FlexTensor>(id))));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let ([batch, ..], gradient) = (dims::<4>(&gradient), values(&gradient));
        let [of_images, of_weight, of_bias] =
            ops.parents.map(|parent| parent.map(|parent| parent.id));
        let channels = if transposed { sizes.inputs } else { sizes.outputs };
        if let Some(weight) = &weight {
            let weight = values(weight);
            let (dx, shape) = if transposed {
                let zeros = vec![0.0; sizes.outputs];
                let [rows, cols] = sizes.output;
                let dx = convolve(gradient, weight, &zeros, &sizes, None);
                (dx, [batch, sizes.outputs, rows, cols])
            } else {
                let zeros = vec![0.0; sizes.inputs];
                let [rows, cols] = sizes.image;
                let read = images.as_ref().filter(|_| sizes.rectified).map(values);
                let dx = carry_back(gradient, weight, &zeros, &sizes, read);
                (dx, [batch, sizes.inputs, rows, cols])
            };
            register(grads, of_images, dx, shape.into());
        }
        let [rows, cols] = sizes.window;
        let shape = [sizes.outputs, sizes.inputs, rows, cols];
        let sum_of_bias = match (&images, transposed) {
            (Some(images), false) => {
                let [dw, db] = of_parameters(values(images), gradient, &sizes);
                register(grads, of_weight, dw, shape.into());
                Some(db)
            }
            (Some(images), true) => {
                let [dw, _] = of_parameters(gradient, values(images), &sizes);
                register(grads, of_weight, dw, shape.into());
                None
            }
            (None, _) => None,
        };
        if of_bias.is_some() {
            let db = sum_of_bias.unwrap_or_else(|| passes::of_channels(gradient, batch, channels));
            register(grads, of_bias, db, [channels].into());
        }
    }
}
