//! Normalization over groups of channels, and the rectifier after it.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::map_norm::{MapNorm, shown};

/// (x − mean) / √(variance + `epsilon`) · γ + β over groups of channels of one image (Wu & He 2018, arXiv
/// 1803.08494), with negative numbers as 0 where it is `rectified`. With `visible`, mean and variance are those
/// of the pixels where it is 1, and the others become 0. What is of half precision is computed in f32.
///
/// # Shapes
///
/// - maps, output: `[batch, channels, rows, cols]`
/// - γ and β: `[channels]`
/// - visible: `[batch, 1, rows, cols]`, zeros and ones
///
/// # Panics
///
/// When the shapes are not these, or the groups do not divide the channels.
pub fn group_norm(
    maps: Tensor<4>,
    weights: [Tensor<1>; 2],
    visible: Option<Tensor<4>>,
    groups: usize,
    epsilon: f64,
    rectified: bool,
) -> Tensor<4> {
    let [_, channels, ..] = maps.dims();
    let norm = MapNorm { maps, weights, visible };
    norm.check_shapes();
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "{groups} groups do not divide {channels} channels"
    );
    if norm.is_half() {
        let dtype = norm.maps.dtype();
        let MapNorm { maps, weights, visible } = norm.in_single();
        return group_norm(maps, weights, visible, groups, epsilon, rectified).cast(dtype);
    }
    #[cfg(feature = "flex")]
    if super::takes(norm.fits()) {
        use super::flex::GroupNormKernel;
        let MapNorm { maps, weights: [gamma, beta], visible } = norm;
        // No pixels stand for all of them.
        let visible = visible.map(|visible| visible.without_autodiff());
        let visible = visible.unwrap_or_else(|| super::zeros_beside(&maps, [0; 4]));
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_group_norm(
            maps.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            visible.into_dispatch(),
            groups,
            epsilon as f32,
            rectified,
        ));
    }
    let MapNorm { maps, weights, visible } = norm;
    group_norm_composed(maps, weights, visible, groups, epsilon, rectified)
}

/// [`group_norm`] as burn composes it.
pub fn group_norm_composed(
    maps: Tensor<4>,
    weights: [Tensor<1>; 2],
    visible: Option<Tensor<4>>,
    groups: usize,
    epsilon: f64,
    rectified: bool,
) -> Tensor<4> {
    let [batch, channels, rows, cols] = maps.dims();
    let shape = [batch, groups, channels / groups * rows * cols];
    let visible = shown(visible, &maps);
    let grouped = maps.reshape(shape);
    let shown = visible.clone().expand([batch, channels, rows, cols]).reshape(shape);
    let numbers = shown.clone().sum_dim(2);
    let mean = (grouped.clone() * shown.clone()).sum_dim(2) / numbers.clone();
    let centered = (grouped - mean) * shown;
    let variance = centered.clone().square().sum_dim(2) / numbers;
    let normal = (centered / (variance + epsilon).sqrt()).reshape([batch, channels, rows, cols]);
    let [gamma, beta] = weights.map(|weight| weight.reshape([1, channels, 1, 1]));
    let output = (normal * gamma + beta) * visible;
    if rectified { relu(output) } else { output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};
    use burn::tensor::TensorData;

    type Norm = fn(Tensor<4>, [Tensor<1>; 2], Option<Tensor<4>>, usize, f64, bool) -> Tensor<4>;

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for ([batch, channels, rows, cols], groups) in [
            ([1, 1, 1, 2], 1),
            ([2, 6, 3, 5], 3),
            ([3, 4, 9, 7], 1),
            ([17, 4, 2, 2], 2),
            ([9, 8, 5, 4], 8),
        ] {
            for (rectified, masked) in [(false, false), (true, false), (false, true), (true, true)]
            {
                let shape = [batch, channels, rows, cols];
                let case = Case::new([&shape, &[channels], &[channels]]);
                let visible = |dtype| {
                    let bits = (0..batch * rows * cols).map(|i| f32::from(i % 3 != 1));
                    let bits = TensorData::new(bits.collect(), [batch, 1, rows, cols]);
                    Tensor::<4>::from_data(bits, &crate::test_device()).cast(dtype)
                };
                let run = |norm: Norm| {
                    move |[x, gamma, beta]: [Tensor<1>; 3]| {
                        let visible = masked.then(|| visible(x.dtype()));
                        let x = x.reshape(shape);
                        norm(x, [gamma, beta], visible, groups, 1e-5, rectified).flatten(0, 3)
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
            None,
            3,
            1e-5,
            false,
        );
    }
}
