//! Pixels relative to their surroundings.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};
use crate::limits;

/// Added to a variance before the square root (MAE's and SimMIM's official code).
const VARIANCE_EPSILON: f64 = 1e-6;

/// How target pixels are normalized; always by an unbiased variance plus 1e-6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Normalization {
    /// Not at all: they stay in the units of the batch's images.
    None,
    /// Each cell to mean 0 and variance 1, all channels together (MAE, arXiv 2111.06377 §3,
    /// "reconstruction target").
    Cell,
    /// Each pixel by mean and variance of its own channel in a window around it, cut off at the
    /// image's edges (SimMIM on Swin-v2, official code: 47 pixels).
    Sliding {
        /// Side of the window in pixels, odd and at least 3.
        side: usize,
    },
}

impl Normalization {
    /// Checks that a window has a middle and a variance.
    ///
    /// # Errors
    ///
    /// When its side is even or below 3.
    pub fn validate(self) -> Result<()> {
        if let Self::Sliding { side } = self {
            ensure!(
                side >= 3 && !side.is_multiple_of(2),
                "a sliding window needs an odd side of at least 3 pixels, got {side}"
            );
            limits::at_most("the side of a sliding window", side, limits::SIDE)?;
        }
        Ok(())
    }

    /// Checks that cells of `values` values have a variance where they are normalized by it.
    pub(crate) fn validate_for(self, values: usize) -> Result<()> {
        self.validate()?;
        ensure!(
            self != Self::Cell || values > 1,
            "a cell of {values} value has no variance to be normalized by"
        );
        Ok(())
    }
}

/// Mean and standard deviation of each cell, `[batch, hidden, 1]`.
pub(super) fn cell_statistics(cells: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let (variance, mean) = cells.var_mean(2);
    (mean, (variance + VARIANCE_EPSILON).sqrt())
}

/// Mean and standard deviation around each pixel, both of the shape of the images.
pub(super) fn sliding_statistics(images: Tensor<4>, side: usize) -> (Tensor<4>, Tensor<4>) {
    let [_, _, height, width] = images.dims();
    let images = images.detach();
    let mean = sliding_mean(images.clone(), side);
    let square = sliding_mean(images.clone().square(), side);
    let count = outer(&window_sizes(height, side), &window_sizes(width, side));
    let unbiased: Vec<f32> = count.iter().map(|n| n / (n - 1.0).max(1.0)).collect();
    let data = TensorData::new(unbiased, [1, 1, height, width]);
    let unbiased = Tensor::<4>::from_data(data, &images.device()).cast(images.dtype());
    let variance = ((square - mean.clone().square()) * unbiased).clamp_min(0.0);
    (mean, (variance + VARIANCE_EPSILON).sqrt())
}

/// The mean around each pixel: one matrix product per axis.
fn sliding_mean(images: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let device = images.device();
    let averaging = |length: usize| {
        let data = TensorData::new(averaging(length, side), [length, length]);
        Tensor::<2>::from_data(data, &device).cast(images.dtype())
    };
    let (rows, cols) = (averaging(height), averaging(width).transpose());
    let along_rows = images.reshape([batch * channels * height, width]).matmul(cols);
    let planes = along_rows.reshape([batch * channels, height, width]);
    rows.unsqueeze::<3>().matmul(planes).reshape([batch, channels, height, width])
}

/// Row i holds 1 / n at the n places within half a window of i.
fn averaging(length: usize, side: usize) -> Vec<f32> {
    let sizes = window_sizes(length, side);
    let near = |i: usize, j: usize| i.abs_diff(j) <= side / 2;
    (0..length * length)
        .map(|place| (place / length, place % length))
        .map(|(i, j)| if near(i, j) { 1.0 / sizes[i] } else { 0.0 })
        .collect()
}

/// How many places of an axis lie in the window around each of them.
fn window_sizes(length: usize, side: usize) -> Vec<f32> {
    let half = side / 2;
    (0..length).map(|i| ((i + half).min(length - 1) - i.saturating_sub(half) + 1) as f32).collect()
}

fn outer(rows: &[f32], cols: &[f32]) -> Vec<f32> {
    rows.iter().flat_map(|row| cols.iter().map(move |col| row * col)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn windows_are_cut_off_at_the_edges() {
        // 1 2 3 10
        // 4 5 6 11
        let images = [[[[1.0, 2.0, 3.0, 10.0], [4.0, 5.0, 6.0, 11.0]]]];
        let images = Tensor::from_floats(images, &test_device());
        let (mean, std) = sliding_statistics(images, 3);
        let (mean, std) = (values(mean), values(std));
        // The corner sees 1 2 4 5; the second column 1 to 6.
        let expected = [(0, 3.0, 10.0f32 / 3.0), (1, 3.5, 17.5 / 5.0)];
        for (place, center, variance) in expected {
            assert!((mean[place] - center).abs() < 1e-6, "{mean:?}");
            assert!((std[place] - (variance + 1e-6).sqrt()).abs() < 1e-5, "{std:?}");
        }
    }

    #[test]
    fn a_window_without_a_middle_is_refused() {
        for side in [1, 46] {
            let error = Normalization::Sliding { side }.validate().unwrap_err();
            assert!(error.to_string().contains(&format!("at least 3 pixels, got {side}")));
        }
    }

    #[test]
    fn what_never_changes_has_the_deviation_of_the_variances_epsilon() {
        let (mean, std) = cell_statistics(Tensor::full([1, 2, 5], 4.0, &test_device()));
        assert_eq!(mean.into_data().try_to_vec::<f32>().unwrap(), [4.0; 2]);
        let images = Tensor::full([1, 1, 4, 4], 0.5, &test_device());
        let sliding = values(sliding_statistics(images, 3).1);
        for std in std.into_data().try_to_vec::<f32>().unwrap().into_iter().chain(sliding) {
            assert!((std - 1e-3).abs() < 1e-5, "{std}");
        }
    }

    #[test]
    fn channels_and_samples_are_averaged_apart() {
        let planes = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let images = planes.map(|value| Tensor::<4>::full([1, 1, 3, 4], value, &test_device()));
        let images = Tensor::cat(images.to_vec(), 1).reshape([3, 2, 3, 4]);
        let mean = values(sliding_statistics(images, 3).0);
        for (mean, expected) in mean.chunks(12).zip(planes) {
            assert!(mean.iter().all(|mean| (mean - expected).abs() < 1e-5), "{mean:?}");
        }
    }
}
