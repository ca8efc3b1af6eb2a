//! How close an image is to another one.

use burn::tensor::{Tensor, TensorData, assert_shape};

/// Squared errors below this one (100 dB) count as it: equal images have a finite ratio.
const SMALLEST_ERROR: f64 = 1e-10;

/// SSIM's Gaussian: 11 pixels wide, deviation 1.5 (Wang et al. 2004, §III.B).
pub const SSIM_WINDOW: usize = 11;
const DEVIATION: f64 = 1.5;

/// (0.01 · range)² and (0.03 · range)² for a range of 1 (Wang et al. 2004, §III.B).
const STABILIZERS: [f64; 2] = [1e-4, 9e-4];

/// The peak signal-to-noise ratio of each image in decibels, −10 log₁₀ of its mean squared error,
/// at most 100.
///
/// # Shapes
///
/// - images, references: `[batch, channels, height, width]`, values from 0 to 1
/// - output: `[batch]`
///
/// # Panics
///
/// When the shapes differ.
pub fn psnr(images: Tensor<4>, references: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = references.dims();
    assert_shape!(images, [batch, channels, height, width]);
    let error = (images - references).square().reshape([batch, channels * height * width]);
    let error = error.mean_dim(1).squeeze_dim::<1>(1).clamp_min(SMALLEST_ERROR);
    error.log() * (-10.0 / std::f64::consts::LN_10)
}

/// The structural similarity of each image (Wang et al. 2004), the mean over channels and over all
/// places where its window lies within the image; 1 for equal images.
///
/// # Shapes
///
/// - images, references: `[batch, channels, height, width]`, values from 0 to 1
/// - output: `[batch]`
///
/// # Panics
///
/// When the shapes differ, or an image is smaller than the window of 11 × 11 pixels.
pub fn ssim(images: Tensor<4>, references: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = references.dims();
    assert_shape!(images, [batch, channels, height, width]);
    assert!(
        height >= SSIM_WINDOW && width >= SSIM_WINDOW,
        "SSIM needs images of {SSIM_WINDOW}×{SSIM_WINDOW} pixels, got {height}×{width}"
    );
    let planes = |images: Tensor<4>| images.reshape([batch * channels, height, width]);
    let (x, y) = (planes(images), planes(references));
    let products = [x.clone() * x.clone(), y.clone() * y.clone(), x.clone() * y.clone()];
    let [x, y] = [x, y].map(blurred);
    let [xx, yy, xy] = products.map(blurred);
    let means = x.clone() * y.clone();
    let powers = x.square() + y.square();
    let [of_means, of_contrasts] = STABILIZERS;
    let covariance = xy - means.clone();
    let variances = xx + yy - powers.clone();
    let similarity = (means * 2.0 + of_means) * (covariance * 2.0 + of_contrasts)
        / ((powers + of_means) * (variances + of_contrasts));
    let [_, rows, cols] = similarity.dims();
    similarity.reshape([batch, channels * rows * cols]).mean_dim(1).squeeze_dim(1)
}

/// The Gaussian mean around every pixel whose window lies within the plane; transposed.
fn blurred(planes: Tensor<3>) -> Tensor<3> {
    along_rows(along_rows(planes))
}

/// The Gaussian mean along every row, `[planes, rows, cols]` to `[planes, cols − 10, rows]`.
fn along_rows(planes: Tensor<3>) -> Tensor<3> {
    let [count, rows, cols] = planes.dims();
    let inner = cols - (SSIM_WINDOW - 1);
    let weight = |offset: usize| {
        let distance = offset as f64 - (SSIM_WINDOW / 2) as f64;
        libm::exp(-0.5 * (distance / DEVIATION).powi(2))
    };
    let total: f64 = (0..SSIM_WINDOW).map(weight).sum();
    let mut weights = vec![0.0f32; cols * inner];
    for at in 0..inner {
        for offset in 0..SSIM_WINDOW {
            weights[(at + offset) * inner + at] = (weight(offset) / total) as f32;
        }
    }
    let on = (&planes.device(), planes.dtype());
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [cols, inner]), on);
    let means = planes.reshape([count * rows, cols]).matmul(weights);
    means.reshape([count, rows, inner]).swap_dims(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn flat(value: f32) -> Tensor<4> {
        Tensor::full([2, 1, 12, 14], value, &test_device())
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn an_error_of_a_tenth_is_twenty_decibels() {
        for ratio in values(psnr(flat(0.6), flat(0.5))) {
            assert!((ratio - 20.0).abs() < 1e-4, "{ratio}");
        }
        for ratio in values(psnr(flat(0.5), flat(0.5))) {
            assert!((ratio - 100.0).abs() < 1e-3, "{ratio}");
        }
    }

    #[test]
    fn flat_images_are_similar_by_their_means_alone() {
        // (2 · 0.2 · 0.6 + 1e-4) / (0.2² + 0.6² + 1e-4).
        for similarity in values(ssim(flat(0.2), flat(0.6))) {
            assert!((similarity - 0.2401 / 0.4001).abs() < 1e-4, "{similarity}");
        }
    }

    #[test]
    #[should_panic(expected = "SSIM needs images of 11×11 pixels, got 10×20")]
    fn an_image_smaller_than_the_window_panics() {
        let image = Tensor::zeros([1, 1, 10, 20], &test_device());
        ssim(image.clone(), image);
    }
}
