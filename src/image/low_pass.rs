//! Images without their high frequencies.

use std::f64::consts::PI;

use burn::tensor::{Tensor, TensorData};

/// The frequencies of every channel that lie within `radius` of the constant, in cycles per image
/// along rows and columns: an ideal low-pass filter (PixMIM, Liu et al. 2023, arXiv 2303.02416,
/// §3.2).
///
/// Computed without a Fourier transform: with the real waves of each axis as an orthonormal basis, a
/// circle of frequencies is a product with zeros and ones.
///
/// # Shapes
///
/// - images: `[batch, channels, height, width]`
/// - output: the same
///
/// # Panics
///
/// When `radius` is not a number of at least 0.
pub fn low_pass(images: Tensor<4>, radius: f64) -> Tensor<4> {
    assert!(radius >= 0.0, "a low-pass filter needs a radius of at least 0, got {radius}");
    let [batch, channels, height, width] = images.dims();
    let (device, dtype) = (images.device().without_autodiff(), images.dtype());
    let constant = |values: Vec<f32>, shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values, shape), (&device, dtype))
    };
    let [rows, cols] = [height, width].map(|length| waves(length, radius));
    let inside = |row: &Wave, col: &Wave| row.frequency.hypot(col.frequency) <= radius;
    let circle = rows
        .iter()
        .flat_map(|row| cols.iter().map(move |col| if inside(row, col) { 1.0 } else { 0.0 }));
    let circle = constant(circle.collect(), [rows.len(), cols.len()]);
    let [along_rows, along_cols] = [(&rows, height), (&cols, width)].map(|(waves, length)| {
        let values = waves.iter().flat_map(|wave| wave.values.iter().copied()).collect();
        constant(values, [waves.len(), length]).unsqueeze::<3>()
    });
    let planes = images.reshape([batch * channels, height, width]);
    let spectrum = along_rows.clone().matmul(planes).matmul(along_cols.clone().swap_dims(1, 2));
    let spectrum = spectrum * circle.unsqueeze::<3>();
    let filtered = along_rows.swap_dims(1, 2).matmul(spectrum).matmul(along_cols);
    filtered.reshape([batch, channels, height, width])
}

/// A sine or cosine of whole cycles along an axis, of length 1.
struct Wave {
    /// Cycles along the axis.
    frequency: f64,
    /// One value for each place.
    values: Vec<f32>,
}

/// The waves along an axis of `length` places of at most `most` cycles: with all of them, an
/// orthonormal basis.
fn waves(length: usize, most: f64) -> Vec<Wave> {
    let wave = |cycles: usize, quarter: f64, scale: f64| {
        let turn = 2.0 * PI / length as f64;
        // Whole turns are taken off first, where nothing is rounded.
        let angle = |place: usize| turn * (cycles * place % length) as f64;
        let value = |place: usize| (scale * libm::cos(angle(place) - quarter)) as f32;
        Wave { frequency: cycles as f64, values: (0..length).map(value).collect() }
    };
    let (once, twice) = ((1.0 / length as f64).sqrt(), (2.0 / length as f64).sqrt());
    let of = |cycles: usize| match cycles {
        0 => vec![wave(0, 0.0, once)],
        _ if 2 * cycles == length => vec![wave(cycles, 0.0, once)],
        _ => vec![wave(cycles, 0.0, twice), wave(cycles, PI / 2.0, twice)],
    };
    (0..=length / 2).filter(|&cycles| cycles as f64 <= most).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    const SIZES: [(usize, usize); 3] = [(6, 8), (5, 9), (1, 4)];

    /// A wave of (`down`, `right`) cycles and any phase.
    fn wave((height, width): (usize, usize), down: f64, right: f64) -> Tensor<4> {
        let value = |at: usize| {
            let turns = down * (at / width) as f64 / height as f64
                + right * (at % width) as f64 / width as f64;
            libm::cos(2.0 * PI * turns + 0.7) as f32
        };
        let values: Vec<f32> = (0..height * width).map(value).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, height, width]), &test_device())
    }

    fn assert_close(got: Tensor<4>, expected: Tensor<4>) {
        got.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn what_is_within_the_circle_passes_and_nothing_else() {
        for size in SIZES {
            let (low, high) = (wave(size, 0.0, 1.0), wave(size, 0.0, 2.0));
            assert_close(low_pass(low.clone() * 3.0 + high + 1.0, 1.5), low * 3.0 + 1.0);
        }
        // 3² + 2² = 13: in the corner of the square around the circle.
        let (inner, corner) = (wave((8, 9), 3.0, -1.0), wave((8, 9), -3.0, 2.0));
        assert_close(low_pass(inner.clone() + corner, 3.5), inner);
    }

    #[test]
    fn a_circle_around_all_frequencies_changes_nothing() {
        for (height, width) in SIZES {
            let values: Vec<f32> = (0..height * width).map(|at| (at * 7 % 11) as f32).collect();
            let values = TensorData::new(values, [1, 1, height, width]);
            let images = Tensor::<4>::from_data(values, &test_device());
            assert_close(low_pass(images.clone(), 99.0), images);
        }
    }

    #[test]
    fn a_radius_of_nothing_leaves_each_channels_mean() {
        let images = Tensor::from_floats([[[[1.0, 3.0]], [[5.0, -5.0]]]], &test_device());
        let expected = Tensor::from_floats([[[[2.0, 2.0]], [[0.0, 0.0]]]], &test_device());
        assert_close(low_pass(images, 0.0), expected);
    }
}
