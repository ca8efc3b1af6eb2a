//! Convolutions that keep the size of an image.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::{Init, InitialWeights};

/// Side of the kernel.
const KERNEL: usize = 3;

/// A convolution of 3 × 3 pixels with zeros around the image.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[outputs, inputs, 3, 3]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Conv {
    /// A convolution from `inputs` to `outputs` channels whose outputs vary as its inputs do
    /// (arXiv 1502.01852, without the gain of a rectifier).
    pub fn new(inputs: usize, outputs: usize, weights: &mut InitialWeights) -> Self {
        let std = (1.0 / (inputs * KERNEL * KERNEL) as f32).sqrt();
        Self::with_init(inputs, outputs, Init::Normal { std }, weights)
    }

    /// A convolution whose weights start as `init`.
    pub fn with_init(
        inputs: usize,
        outputs: usize,
        init: Init,
        weights: &mut InitialWeights,
    ) -> Self {
        let weight = weights.param([outputs, inputs, KERNEL, KERNEL], init);
        Self { weight, bias: weights.zeros([outputs]) }
    }

    /// # Shapes
    ///
    /// - images: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([1, 1], [KERNEL / 2; 2], [1, 1], 1);
        conv2d(images, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Two convolutions with a rectifier between; its outputs start at 0.
#[derive(Module, Debug)]
pub struct ConvPair {
    /// Keeps the number of channels.
    pub first: Conv,
    /// Inputs → outputs.
    pub second: Conv,
}

impl ConvPair {
    /// A pair from `inputs` to `outputs` channels.
    pub fn new([inputs, outputs]: [usize; 2], weights: &mut InitialWeights) -> Self {
        Self {
            first: Conv::new(inputs, inputs, weights),
            second: Conv::with_init(inputs, outputs, Init::Constant(0.0), weights),
        }
    }

    /// # Shapes
    ///
    /// - images: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.second.forward(relu(self.first.forward(images)))
    }
}
