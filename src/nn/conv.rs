//! Convolutions and norms of maps, by the kernels where their sizes allow it.

use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::kernel;

/// What `conv` makes of images. Convolutions of groups of channels, of windows with gaps, and with unlike
/// strides or paddings are burn's own.
///
/// # Shapes
///
/// - images: `[batch, inputs, height, width]`
/// - output: `[batch, outputs, ..]`
pub(crate) fn convolve(conv: &Conv2d, images: Tensor<4>) -> Tensor<4> {
    convolve_with(conv, images, false, 1.0)
}

/// What `conv` makes of images whose negative numbers count as 0, as [`convolve`].
pub(crate) fn convolve_rectified(conv: &Conv2d, images: Tensor<4>) -> Tensor<4> {
    convolve_with(conv, images, true, 1.0)
}

/// `gain` times [`convolve_rectified`].
pub(crate) fn convolve_scaled(conv: &Conv2d, images: Tensor<4>, gain: f64) -> Tensor<4> {
    convolve_with(conv, images, true, gain)
}

fn convolve_with(conv: &Conv2d, images: Tensor<4>, rectified: bool, gain: f64) -> Tensor<4> {
    let by_burn = |images| conv.forward(if rectified { relu(images) } else { images }) * gain;
    let padding = match conv.padding {
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [top, left, bottom, right],
        PaddingConfig2d::Same => return by_burn(images),
    };
    let [top, left, bottom, right] = padding;
    if conv.groups > 1 || conv.dilation != [1; 2] || [top, left] != [bottom, right] {
        return by_burn(images);
    }
    let ([step, other_step], [around, other]) = (conv.stride, [top, left]);
    if step != other_step || around != other {
        return by_burn(images);
    }
    let (weight, bias) = (conv.weight.val(), conv.bias.as_ref().map(|bias| bias.val()));
    // The weight has far fewer numbers than the output.
    let (weight, bias) = match gain {
        1.0 => (weight, bias),
        _ => (weight * gain, bias.map(|bias| bias * gain)),
    };
    kernel::conv2d(images, weight, bias, [step, around], rectified)
}

/// Images convolved with a weight, `[outputs, inputs, rows, cols]`, of all their channels.
pub(crate) fn convolve_by(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Tensor<4> {
    let ([step, other_step], [around, other]) = (stride, padding);
    if step == other_step && around == other {
        return kernel::conv2d(images, weight, bias, [step, around], false);
    }
    conv2d(images, weight, bias, ConvOptions::new(stride, padding, [1; 2], 1))
}

/// What a transposed convolution makes of images, as [`convolve`].
pub(crate) fn convolve_transposed(conv: &ConvTranspose2d, images: Tensor<4>) -> Tensor<4> {
    let plain = conv.groups == 1 && conv.dilation == [1; 2] && conv.padding_out == [0; 2];
    let ([stride, other], [padding, other_padding]) = (conv.stride, conv.padding);
    if !plain || stride != other || padding != other_padding {
        return conv.forward(images);
    }
    let bias = conv.bias.as_ref().map(|bias| bias.val());
    kernel::conv_transpose2d(images, conv.weight.val(), bias, [stride, padding])
}

/// `norm` of maps, and a rectifier after it where that is asked for.
///
/// # Shapes
///
/// - maps, output: `[batch, features, rows, cols]`
pub(crate) fn group_norm(norm: &GroupNorm, maps: Tensor<4>, rectified: bool) -> Tensor<4> {
    match (&norm.gamma, &norm.beta) {
        (Some(gamma), Some(beta)) => {
            let (groups, epsilon) = (norm.num_groups, norm.epsilon);
            kernel::group_norm(maps, [gamma.val(), beta.val()], None, groups, epsilon, rectified)
        }
        _ if rectified => relu(norm.forward(maps)),
        _ => norm.forward(maps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::nn::GroupNormConfig;
    use burn::nn::conv::ConvTranspose2dConfig;
    use burn::tensor::Tolerance;

    fn images() -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([2, 4, 6, 7], init).val()
    }

    fn conv() -> Conv2d {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(0, &test_device()).conv2d([4, 6], 3, init)
    }

    /// Whether a kernel was taken for what equals `expected`.
    fn takes_a_kernel(run: impl FnOnce() -> Tensor<4>, expected: Tensor<4>) -> bool {
        #[cfg(feature = "flex")]
        let before = kernel::taken();
        let output = run().into_data();
        output.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
        #[cfg(feature = "flex")]
        return kernel::taken() > before;
        #[cfg(not(feature = "flex"))]
        true
    }

    #[test]
    fn convolutions_of_any_kind_are_those_of_burn() {
        let grouped = Conv2d {
            groups: 2,
            weight: conv().weight.map(|weight| weight.narrow(1, 0, 2)),
            ..conv()
        };
        for (conv, by_kernel) in [
            (conv(), true),
            (Conv2d { stride: [2; 2], bias: None, ..conv() }, true),
            (Conv2d { padding: PaddingConfig2d::Valid, ..conv() }, true),
            (Conv2d { padding: PaddingConfig2d::Same, ..conv() }, false),
            (Conv2d { padding: PaddingConfig2d::Explicit(1, 0, 1, 0), ..conv() }, false),
            (Conv2d { stride: [1, 2], ..conv() }, false),
            (Conv2d { dilation: [2; 2], ..conv() }, false),
            (grouped, false),
        ] {
            let taken = takes_a_kernel(|| convolve(&conv, images()), conv.forward(images()));
            assert!(taken == by_kernel || !kernels_are_on(), "{conv}");
            let expected = conv.forward(relu(images()));
            takes_a_kernel(|| convolve_rectified(&conv, images()), expected.clone());
            takes_a_kernel(|| convolve_scaled(&conv, images(), 0.5), expected * 0.5);
        }
    }

    fn kernels_are_on() -> bool {
        takes_a_kernel(|| convolve(&conv(), images()), conv().forward(images()))
    }

    #[test]
    fn transposed_convolutions_and_norms_are_those_of_burn() {
        let config = ConvTranspose2dConfig::new([4, 6], [4, 4]).with_stride([2; 2]);
        for (padding_out, by_kernel) in [([0; 2], true), ([1; 2], false)] {
            let up = config.clone().with_padding([1; 2]).with_padding_out(padding_out);
            let up = up.init(&test_device());
            let taken = takes_a_kernel(|| convolve_transposed(&up, images()), up.forward(images()));
            assert!(taken == by_kernel || !kernels_are_on());
        }
        let norm = GroupNormConfig::new(2, 4).init(&test_device());
        let expected = norm.forward(images());
        assert_eq!(
            takes_a_kernel(|| group_norm(&norm, images(), false), expected.clone()),
            kernels_are_on()
        );
        takes_a_kernel(|| group_norm(&norm, images(), true), relu(expected.clone()));
        let bare = GroupNormConfig::new(2, 4).with_affine(false).init(&test_device());
        takes_a_kernel(|| group_norm(&bare, images(), true), relu(expected));
    }
}
