//! Histograms of directions.

use std::f64::consts::PI;

use burn::tensor::{Tensor, assert_shape};

/// The sums of `strength` in each of the `bins` equal parts of the half circle, over squares of
/// `cell` pixels side by side. A pixel's direction is that of (`cosine`, `sine`); opposite directions
/// are the same.
///
/// # Shapes
///
/// - cosine, sine, strength: `[planes, 1, rows · cell, cols · cell]`
/// - output: `[planes, rows · cols, bins]`
///
/// # Panics
///
/// When the shapes differ, or the cell does not divide the height and the width.
pub fn direction_histograms(
    [cosine, sine]: [Tensor<4>; 2],
    strength: Tensor<4>,
    cell: usize,
    bins: usize,
) -> Tensor<3> {
    let [planes, _, height, width] = strength.dims();
    assert_shape!(cosine, [planes, 1, height, width]);
    assert_shape!(sine, [planes, 1, height, width]);
    assert!(
        height.is_multiple_of(cell) && width.is_multiple_of(cell),
        "cells of {cell} pixels do not divide {height}×{width}"
    );
    #[cfg(feature = "flex")]
    if super::takes(
        [&cosine, &sine, &strength].into_iter().all(super::fits)
            && !strength.device().is_autodiff(),
    ) {
        use super::flex::HistogramKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_direction_histograms(
            cosine.into_dispatch(),
            sine.into_dispatch(),
            strength.into_dispatch(),
            cell,
            limits(bins).collect(),
        ));
    }
    direction_histograms_composed([cosine, sine], strength, cell, bins)
}

/// [`direction_histograms`] as burn composes it.
pub fn direction_histograms_composed(
    [cosine, sine]: [Tensor<4>; 2],
    strength: Tensor<4>,
    cell: usize,
    bins: usize,
) -> Tensor<3> {
    let [planes, _, height, width] = strength.dims();
    let (rows, cols) = (height / cell, width / cell);
    let [directions, strength] = [direction(cosine, sine, bins), strength].map(|map| {
        let squares = map.reshape([planes, rows, cell, cols, cell]).permute([0, 1, 3, 2, 4]);
        squares.reshape([planes, rows * cols, cell * cell])
    });
    let histograms = (0..bins).map(|bin| {
        let elsewhere = directions.clone().not_equal_elem(bin as f64);
        strength.clone().mask_fill(elsewhere, 0.0).sum_dim(2)
    });
    Tensor::cat(histograms.collect(), 2)
}

/// Which of `bins` equal parts of the half circle the direction of (`cosine`, `sine`) is in, as a
/// whole number; opposite directions are the same.
///
/// Compared with the parts' limits instead of by the angle: a gradient along an axis has exact
/// zeros, and must not fall into either neighboring bin by rounding.
fn direction(cosine: Tensor<4>, sine: Tensor<4>, bins: usize) -> Tensor<4> {
    let downwards = sine.clone().lower_elem(0.0);
    let backwards = sine.clone().equal_elem(0.0).bool_and(cosine.clone().lower_elem(0.0));
    let opposite = downwards.bool_or(backwards);
    let cosine = cosine.clone().mask_where(opposite.clone(), cosine.neg());
    let sine = sine.clone().mask_where(opposite, sine.neg());
    let passed = limits(bins).map(|[y, x]| {
        let behind = sine.clone() * x - cosine.clone() * y;
        sine.zeros_like().mask_fill(behind.greater_equal_elem(0.0), 1.0)
    });
    passed.fold(sine.zeros_like(), |sum, passed| sum + passed)
}

/// Sine and cosine of the limits between the parts of the half circle.
fn limits(bins: usize) -> impl Iterator<Item = [f32; 2]> {
    (1..bins).map(move |limit| {
        let (sine, cosine) = libm::sincos(PI * limit as f64 / bins as f64);
        [sine as f32, cosine as f32]
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, Tolerance};
    use rand::RngExt;

    use super::*;
    use crate::rng::{Purpose, stream};
    use crate::test_device;

    /// Maps of whole numbers, so that many directions lie on an axis or a diagonal.
    fn maps([planes, height, width]: [usize; 3]) -> [Tensor<4>; 3] {
        let mut rng = stream(7, Purpose::Weights, 0, 0);
        let shape = [planes, 1, height, width];
        [-3, -3, 0].map(|least| {
            let values: Vec<f32> =
                (0..planes * height * width).map(|_| rng.random_range(least..=3) as f32).collect();
            Tensor::from_data(TensorData::new(values, shape), &test_device())
        })
    }

    #[test]
    fn the_kernel_sums_what_the_composition_does() {
        for (sizes, cell, bins) in [([1, 2, 2], 1, 2), ([3, 12, 8], 4, 9), ([40, 32, 40], 8, 9)] {
            let [cosine, sine, strength] = maps(sizes);
            let kernel =
                direction_histograms([cosine.clone(), sine.clone()], strength.clone(), cell, bins);
            let composed = direction_histograms_composed([cosine, sine], strength, cell, bins);
            let composed = composed.into_data();
            kernel.into_data().assert_approx_eq::<f32>(&composed, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn opposite_directions_are_one_and_limits_belong_to_the_bin_they_begin() {
        let tensor = |value: f32| Tensor::<4>::from_floats([[[[value]]]], &test_device());
        for histograms in [direction_histograms, direction_histograms_composed] {
            let of = |x: f32, y: f32| -> Vec<f32> {
                let sums = histograms([tensor(x), tensor(y)], tensor(2.0), 1, 4);
                sums.into_data().try_to_vec().unwrap()
            };
            let directions = [(1.0, 0.0, 0), (1.0, 0.9, 0), (0.0, 2.0, 2), (-3.0, 2.9, 3)];
            for (x, y, bin) in directions {
                let only: [f32; 4] = std::array::from_fn(|at| if at == bin { 2.0 } else { 0.0 });
                assert_eq!(of(x, y), only);
                assert_eq!(of(-x, -y), only);
            }
        }
    }
}
