//! Normalization by the statistics of a batch, and the rectifier after it.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::map_norm::{MapNorm, shown};

/// (x − mean) / √(variance + `epsilon`) · γ + β of every channel over the whole batch (Ioffe & Szegedy 2015,
/// arXiv 1502.03167, Algorithm 1), with negative numbers as 0 where it is `rectified`; and the mean and the
/// variance of every channel, which no gradient reaches. The variance is the biased one, divided by how many
/// numbers there are. With `visible`, mean and variance are those of the pixels where it is 1, and the others
/// become 0. What is of half precision is computed in f32, in which its statistics stay.
///
/// # Shapes
///
/// - maps, output: `[batch, channels, rows, cols]`
/// - γ, β, mean and variance: `[channels]`
/// - visible: `[batch, 1, rows, cols]`, zeros and ones
///
/// # Panics
///
/// When the shapes are not these.
pub fn batch_norm(
    maps: Tensor<4>,
    weights: [Tensor<1>; 2],
    visible: Option<Tensor<4>>,
    epsilon: f64,
    rectified: bool,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    let norm = MapNorm { maps, weights, visible };
    norm.check_shapes();
    if norm.is_half() {
        let dtype = norm.maps.dtype();
        let MapNorm { maps, weights, visible } = norm.in_single();
        let (output, statistics) = batch_norm(maps, weights, visible, epsilon, rectified);
        return (output.cast(dtype), statistics);
    }
    #[cfg(feature = "flex")]
    if super::takes(norm.fits()) {
        use super::flex::BatchNormKernel;
        let MapNorm { maps, weights: [gamma, beta], visible } = norm;
        let [.., rows, cols] = maps.dims();
        let visible = visible.map(|visible| visible.without_autodiff());
        // One image stands for all of them.
        let everywhere = || super::zeros_beside(&maps, [1, 1, rows, cols]) + 1.0;
        let visible = visible.unwrap_or_else(everywhere);
        let (output, mean, variance) = burn::backend::Dispatch::mim_batch_norm(
            maps.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            visible.into_dispatch(),
            epsilon as f32,
            rectified,
        );
        return (Tensor::from_dispatch(output), [mean, variance].map(Tensor::from_dispatch));
    }
    let MapNorm { maps, weights, visible } = norm;
    batch_norm_composed(maps, weights, visible, epsilon, rectified)
}

/// [`batch_norm`] as burn composes it.
pub fn batch_norm_composed(
    maps: Tensor<4>,
    weights: [Tensor<1>; 2],
    visible: Option<Tensor<4>>,
    epsilon: f64,
    rectified: bool,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    let [_, channels, ..] = maps.dims();
    let visible = shown(visible, &maps);
    let sum = |maps: Tensor<4>| maps.sum_dim(3).sum_dim(2).sum_dim(0);
    let numbers = sum(visible.clone());
    let mean = sum(maps.clone() * visible.clone()) / numbers.clone();
    let centered = (maps - mean.clone()) * visible.clone();
    let variance = sum(centered.clone().square()) / numbers;
    let normal = centered / (variance.clone() + epsilon).sqrt();
    let [gamma, beta] = weights.map(|weight| weight.reshape([1, channels, 1, 1]));
    let output = (normal * gamma + beta) * visible;
    let output = if rectified { relu(output) } else { output };
    (output, [mean, variance].map(|statistic| statistic.detach().reshape([channels])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare, normal};
    use crate::test_device;
    use burn::tensor::{DType, FloatDType, TensorData, Tolerance};

    type Norm =
        fn(Tensor<4>, [Tensor<1>; 2], Option<Tensor<4>>, f64, bool) -> (Tensor<4>, [Tensor<1>; 2]);

    const SHAPES: [[usize; 4]; 4] = [[1, 1, 1, 2], [2, 6, 3, 5], [3, 4, 9, 7], [17, 4, 2, 2]];
    /// Of several tiles, and so many numbers that one of them is rectified at one end of a finite difference
    /// alone.
    const LARGE: [usize; 4] = [5, 3, 80, 70];

    /// Two thirds of the pixels; of the second image none.
    fn two_thirds([batch, _, rows, cols]: [usize; 4], dtype: DType) -> Tensor<4> {
        let pixels = rows * cols;
        let bits = (0..batch * pixels).map(|i| f32::from(i % 3 != 1 && i / pixels != 1));
        let bits = TensorData::new(bits.collect(), [batch, 1, rows, cols]);
        Tensor::<4>::from_data(bits, &test_device()).cast(dtype)
    }

    fn compare_norms(shape: [usize; 4], rectified: bool, masked: bool) {
        let case = Case::new([&shape, &[shape[1]], &[shape[1]]]);
        let run = |norm: Norm| {
            move |[x, gamma, beta]: [Tensor<1>; 3]| {
                let visible = masked.then(|| two_thirds(shape, x.dtype()));
                let maps = x.reshape(shape);
                norm(maps, [gamma, beta], visible, 1e-5, rectified).0.flatten(0, 3)
            }
        };
        compare(case, run(batch_norm), run(batch_norm_composed));
    }

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for masked in [false, true] {
            for shape in SHAPES {
                compare_norms(shape, false, masked);
                compare_norms(shape, true, masked);
            }
            compare_norms(LARGE, false, masked);
        }
    }

    #[test]
    fn statistics_are_those_of_the_composition_far_from_zero_too() {
        for shape in SHAPES.into_iter().chain([LARGE]) {
            let ones = || Tensor::ones([shape[1]], &test_device());
            let x = normal(1, shape.iter().product()).reshape(shape) + 100.0;
            for masked in [false, true] {
                let visible = |dtype| masked.then(|| two_thirds(shape, dtype));
                let weights = [ones(), ones()];
                let (_, got) = batch_norm(x.clone(), weights, visible(DType::F32), 1e-5, false);
                let weights = [ones(), ones()].map(|ones| ones.cast(DType::F64));
                let (x, visible) = (x.clone().cast(DType::F64), visible(DType::F64));
                let (_, expected) = batch_norm_composed(x, weights, visible, 1e-5, false);
                for (got, expected) in got.into_iter().zip(expected) {
                    let expected = expected.cast(FloatDType::F32).into_data();
                    got.into_data().assert_approx_eq::<f32>(&expected, Tolerance::relative(1e-5));
                }
            }
        }
    }

    /// 1, 3, 5 and 7 are visible, of two images: a mean of 4 and a variance of 5, doubled 8 and 20.
    #[test]
    fn statistics_are_of_the_visible_pixels_of_all_images_and_have_no_gradient() {
        let device = test_device().autodiff();
        for dtype in [FloatDType::F32, FloatDType::F64, FloatDType::F16, FloatDType::BF16] {
            let tensor = |values: [f32; 12]| {
                Tensor::<1>::from_floats(values, &device).reshape([2, 2, 1, 3]).cast(dtype)
            };
            let maps = [1.0, 3.0, 50.0, 2.0, 6.0, 9.0, 70.0, 5.0, 7.0, -8.0, 10.0, 14.0];
            let maps = tensor(maps).require_grad();
            let bits = Tensor::<1>::from_floats([1.0, 1.0, 0.0, 0.0, 1.0, 1.0], &device);
            let visible = bits.reshape([2, 1, 1, 3]).cast(dtype);
            let weights =
                [2.0, 1.0].map(|value| Tensor::<1>::full([2], value, &device).cast(dtype));
            for norm in [batch_norm, batch_norm_composed] as [Norm; 2] {
                let visible = Some(visible.clone());
                let (output, [mean, variance]) =
                    norm(maps.clone(), weights.clone(), visible, 0.0, true);
                assert_eq!(output.dtype(), dtype.into());
                let tolerance = Tolerance::absolute(2e-2);
                let whole = |got: Tensor<1>| got.cast(FloatDType::F32);
                let close = |got: Tensor<1>, expected: &[f32]| {
                    whole(got)
                        .into_data()
                        .assert_approx_eq::<f32>(&TensorData::from(expected), tolerance);
                };
                close(mean.clone(), &[4.0, 8.0]);
                close(variance.clone(), &[5.0, 20.0]);
                // 2 · −3 / √5 + 1 is rectified.
                let [a, b, c] = [-1.0, 1.0, 3.0].map(|off: f32| 2.0 * off / 5f32.sqrt() + 1.0);
                let expected = [0.0, a, 0.0, 0.0, a, 0.0, 0.0, b, c, 0.0, b, c];
                close(output.flatten(0, 3), &expected);
                assert!(!mean.is_require_grad() && !variance.is_require_grad());
                let three_times = maps.clone().flatten(0, 3) * 3.0;
                let sums = [mean, variance, three_times].map(|tensor| whole(tensor).sum());
                let gradients = Tensor::cat(sums.to_vec(), 0).sum().backward();
                let gradient = maps.grad(&gradients).unwrap().cast(FloatDType::F32);
                assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [3.0; 12]);
            }
        }
    }
}
