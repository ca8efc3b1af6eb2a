//! Convolutions, and transposed ones.

use burn::tensor::activation::relu;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, assert_shape};

/// Images convolved with `weight`, zeros being around them, plus `bias`; negative numbers of the images count
/// as 0 where these are `rectified`.
///
/// # Shapes
///
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs, rows, cols]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, (height + 2 · padding − rows) / stride + 1, …]`
///
/// # Panics
///
/// When the shapes are not these, or a window is larger than an image with what is around it.
pub fn conv2d(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [stride, padding]: [usize; 2],
    rectified: bool,
) -> Tensor<4> {
    let [outputs, inputs, rows, cols] = weight.dims();
    assert_shape!(images, [_, inputs, _, _]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [outputs]);
    }
    let [_, _, height, width] = images.dims();
    assert!(
        stride > 0 && rows <= height + 2 * padding && cols <= width + 2 * padding,
        "a window of {rows}×{cols} does not fit into {height}×{width} and {padding} around them"
    );
    #[cfg(feature = "flex")]
    if super::takes(fit(&images, &weight, &bias)) {
        return fused([images, weight], bias, outputs, [stride, padding], [false, rectified]);
    }
    conv2d_composed(images, weight, bias, [stride, padding], rectified)
}

/// [`conv2d`] as burn composes it.
pub fn conv2d_composed(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [stride, padding]: [usize; 2],
    rectified: bool,
) -> Tensor<4> {
    let images = if rectified { relu(images) } else { images };
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
    burn::tensor::module::conv2d(images, weight, bias, options)
}

/// What [`conv2d`] carries from its output back to its images, as a layer of its own; plus `bias`.
///
/// # Shapes
///
/// - images: `[batch, inputs, height, width]`
/// - weight: `[inputs, outputs, rows, cols]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, (height − 1) · stride + rows − 2 · padding, …]`
///
/// # Panics
///
/// When the shapes are not these, or nothing is left of the output.
pub fn conv_transpose2d(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [stride, padding]: [usize; 2],
) -> Tensor<4> {
    let [inputs, outputs, rows, cols] = weight.dims();
    assert_shape!(images, [_, inputs, _, _]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [outputs]);
    }
    let [_, _, height, width] = images.dims();
    let left = |side: usize, window: usize| {
        stride > 0 && side.saturating_sub(1) * stride + window > 2 * padding
    };
    assert!(
        left(height, rows) && left(width, cols),
        "nothing is left of {height}×{width} without {padding} around them"
    );
    #[cfg(feature = "flex")]
    if super::takes(fit(&images, &weight, &bias)) {
        return fused([images, weight], bias, outputs, [stride, padding], [true, false]);
    }
    conv_transpose2d_composed(images, weight, bias, [stride, padding])
}

/// [`conv_transpose2d`] as burn composes it.
pub fn conv_transpose2d_composed(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [stride, padding]: [usize; 2],
) -> Tensor<4> {
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [0; 2], [1; 2], 1);
    burn::tensor::module::conv_transpose2d(images, weight, bias, options)
}

#[cfg(feature = "flex")]
fn fit(images: &Tensor<4>, weight: &Tensor<4>, bias: &Option<Tensor<1>>) -> bool {
    super::fits(images) && super::fits(weight) && bias.as_ref().is_none_or(super::fits)
}

#[cfg(feature = "flex")]
fn fused(
    [images, weight]: [Tensor<4>; 2],
    bias: Option<Tensor<1>>,
    outputs: usize,
    [stride, padding]: [usize; 2],
    [transposed, rectified]: [bool; 2],
) -> Tensor<4> {
    use super::flex::ConvKernel;
    let bias = bias.unwrap_or_else(|| super::zeros_beside(&weight, [outputs]));
    Tensor::from_dispatch(burn::backend::Dispatch::mim_conv2d(
        images.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        stride,
        padding,
        transposed,
        rectified,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    /// Batch, inputs and outputs; rows and columns of images, and of windows; stride and padding.
    type Sizes = ([usize; 3], [usize; 2], [usize; 2], [usize; 2]);

    const CASES: [Sizes; 9] = [
        ([1, 1, 1], [1, 1], [1, 1], [1, 0]),
        ([2, 3, 4], [5, 7], [3, 3], [1, 1]),
        ([9, 2, 4], [5, 4], [3, 2], [1, 2]),
        ([3, 4, 3], [6, 5], [3, 3], [2, 1]),
        ([17, 3, 5], [2, 4], [1, 1], [1, 0]),
        ([8, 4, 2], [4, 4], [4, 4], [2, 1]),
        ([2, 2, 3], [9, 32], [7, 7], [1, 3]),
        ([2, 4, 4], [7, 8], [1, 1], [2, 0]),
        ([1, 60, 30], [33, 16], [3, 3], [1, 0]),
    ];

    type Layer = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, [usize; 2]) -> Tensor<4>;

    fn compared(layers: [Layer; 2], transposed: bool) {
        for ([batch, inputs, outputs], [height, width], [rows, cols], [stride, padding]) in CASES {
            let channels = if transposed { [inputs, outputs] } else { [outputs, inputs] };
            let images = [batch, inputs, height, width];
            let weight = [channels[0], channels[1], rows, cols];
            let case = Case::new([&images, &weight, &[outputs]]);
            let run = |layer: Layer, biased: bool| {
                move |[x, w, bias]: [Tensor<1>; 3]| {
                    let bias = biased.then_some(bias);
                    layer(x.reshape(images), w.reshape(weight), bias, [stride, padding])
                        .flatten(0, 3)
                }
            };
            for biased in [true, false] {
                compare(case.clone(), run(layers[0], biased), run(layers[1], biased));
            }
        }
    }

    #[test]
    fn a_convolution_and_its_gradients_are_those_of_the_composition() {
        compared(
            [
                |x, w, bias, form| conv2d(x, w, bias, form, false),
                |x, w, bias, form| conv2d_composed(x, w, bias, form, false),
            ],
            false,
        );
        compared(
            [
                |x, w, bias, form| conv2d(x, w, bias, form, true),
                |x, w, bias, form| conv2d_composed(x, w, bias, form, true),
            ],
            false,
        );
    }

    #[test]
    fn a_transposed_convolution_and_its_gradients_are_those_of_the_composition() {
        compared([conv_transpose2d, conv_transpose2d_composed], true);
    }

    #[test]
    fn constants_get_no_gradient_and_the_others_get_theirs() {
        let ones = |shape: [usize; 4]| Tensor::<4>::ones(shape, &crate::test_device().autodiff());
        let (images, weight) = (ones([2, 1, 2, 2]), ones([3, 1, 1, 1]));
        let bias = Tensor::<1>::ones([3], &crate::test_device().autodiff()).require_grad();
        let output = conv2d(images.clone(), weight.clone(), Some(bias.clone()), [1, 0], false);
        let gradient = bias.grad(&output.sum().backward()).unwrap().into_data();
        gradient.assert_eq(&burn::tensor::TensorData::from([8.0f32; 3]), true);
        let weight = weight.require_grad();
        let gradients = conv2d(images, weight.clone(), None, [1, 0], false).sum().backward();
        assert_eq!(weight.grad(&gradients).unwrap().into_data().iter::<f32>().sum::<f32>(), 24.0);
    }

    #[test]
    #[should_panic(expected = "a window of 3×3 does not fit into 1×4 and 0 around them")]
    fn a_window_that_does_not_fit_is_refused() {
        let zeros = |shape: [usize; 4]| Tensor::zeros(shape, &crate::test_device());
        conv2d(zeros([1, 1, 1, 4]), zeros([1, 1, 3, 3]), None, [1, 0], false);
    }
}
