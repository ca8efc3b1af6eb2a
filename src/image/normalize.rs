//! Per-channel normalization and its inverse.

use burn::tensor::{Tensor, TensorData};

/// (x − mean) / std, channel by channel.
///
/// # Shapes
///
/// - images: `[batch, channels, height, width]`, usually in [0, 1]
/// - output: the same
///
/// # Panics
///
/// When `mean` or `std` does not have one value per channel.
pub fn normalize(images: Tensor<4>, mean: &[f32], std: &[f32]) -> Tensor<4> {
    let (mean, std) = (per_channel(&images, mean), per_channel(&images, std));
    (images - mean) / std
}

/// x · std + mean: the inverse of [`normalize`].
///
/// # Panics
///
/// When `mean` or `std` does not have one value per channel.
pub fn denormalize(images: Tensor<4>, mean: &[f32], std: &[f32]) -> Tensor<4> {
    let (mean, std) = (per_channel(&images, mean), per_channel(&images, std));
    images * std + mean
}

fn per_channel(images: &Tensor<4>, values: &[f32]) -> Tensor<4> {
    let [_, channels, ..] = images.dims();
    assert!(
        values.len() == channels,
        "images of {channels} channels cannot be normalized with {} values",
        values.len()
    );
    let on = (&images.device(), images.dtype());
    Tensor::from_data(TensorData::new(values.to_vec(), [1, channels, 1, 1]), on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    #[test]
    fn every_channel_has_its_own_statistics() {
        let images = Tensor::from_floats([[[[1.0, 2.0]], [[3.0, 4.0]]]], &test_device());
        let out = normalize(images.clone(), &[1.0, 3.0], &[0.5, 2.0]);
        let expected = TensorData::from([[[[0.0f32, 2.0]], [[0.0, 0.5]]]]);
        out.clone().into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
        let back = denormalize(out, &[1.0, 3.0], &[0.5, 2.0]);
        back.into_data().assert_approx_eq::<f32>(&images.into_data(), Tolerance::default());
    }

    #[test]
    #[should_panic(expected = "images of 2 channels cannot be normalized with 3 values")]
    fn statistics_of_another_channel_count_panic() {
        normalize(Tensor::zeros([1, 2, 1, 1], &test_device()), &[0.0; 3], &[1.0; 3]);
    }
}
