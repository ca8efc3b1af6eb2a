//! Normalization over groups of channels, and the rectifier after it.

use burn::tensor::activation::relu;
use burn::tensor::{DType, Tensor, assert_shape};

/// (x − mean) / √(variance + `epsilon`) · γ + β over groups of channels of one image (Wu & He 2018, arXiv
/// 1803.08494), with negative numbers as 0 where it is `rectified`. What is of half precision is computed
/// in f32.
///
/// # Shapes
///
/// - maps, output: `[batch, channels, rows, cols]`
/// - γ and β: `[channels]`
///
/// # Panics
///
/// When the shapes are not these, or the groups do not divide the channels.
pub fn group_norm(
    maps: Tensor<4>,
    [gamma, beta]: [Tensor<1>; 2],
    groups: usize,
    epsilon: f64,
    rectified: bool,
) -> Tensor<4> {
    let [_, channels, _, _] = maps.dims();
    assert_shape!(gamma, [channels]);
    assert_shape!(beta, [channels]);
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "{groups} groups do not divide {channels} channels"
    );
    let dtype = maps.dtype();
    if matches!(dtype, DType::F16 | DType::BF16) {
        let weights = [gamma, beta].map(|parameter| parameter.cast(DType::F32));
        return group_norm(maps.cast(DType::F32), weights, groups, epsilon, rectified).cast(dtype);
    }
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&maps) && super::fits(&gamma) && super::fits(&beta)) {
        use super::flex::GroupNormKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_group_norm(
            maps.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            groups,
            epsilon as f32,
            rectified,
        ));
    }
    group_norm_composed(maps, [gamma, beta], groups, epsilon, rectified)
}

/// [`group_norm`] as burn composes it.
pub fn group_norm_composed(
    maps: Tensor<4>,
    weights: [Tensor<1>; 2],
    groups: usize,
    epsilon: f64,
    rectified: bool,
) -> Tensor<4> {
    let [batch, channels, rows, cols] = maps.dims();
    let grouped = maps.reshape([batch, groups, channels / groups * rows * cols]);
    let centered = grouped.clone() - grouped.mean_dim(2);
    let variance = centered.clone().square().mean_dim(2);
    let normal = (centered / (variance + epsilon).sqrt()).reshape([batch, channels, rows, cols]);
    let [gamma, beta] = weights.map(|weight| weight.reshape([1, channels, 1, 1]));
    let output = normal * gamma + beta;
    if rectified { relu(output) } else { output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for ([batch, channels, rows, cols], groups) in [
            ([1, 1, 1, 2], 1),
            ([2, 6, 3, 5], 3),
            ([3, 4, 9, 7], 1),
            ([17, 4, 2, 2], 2),
            ([9, 8, 5, 4], 8),
        ] {
            for rectified in [false, true] {
                let shape = [batch, channels, rows, cols];
                let case = Case::new([&shape, &[channels], &[channels]]);
                let run = |norm: fn(Tensor<4>, [Tensor<1>; 2], usize, f64, bool) -> Tensor<4>| {
                    move |[x, gamma, beta]: [Tensor<1>; 3]| {
                        let x = x.reshape(shape);
                        norm(x, [gamma, beta], groups, 1e-5, rectified).flatten(0, 3)
                    }
                };
                compare(case, run(group_norm), run(group_norm_composed));
            }
        }
    }

    #[test]
    #[should_panic(expected = "3 groups do not divide 4 channels")]
    fn groups_that_do_not_divide_the_channels_are_refused() {
        let ones = || Tensor::ones([4], &crate::test_device());
        group_norm(
            Tensor::zeros([1, 4, 2, 2], &crate::test_device()),
            [ones(), ones()],
            3,
            1e-5,
            false,
        );
    }
}
