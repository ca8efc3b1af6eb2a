//! Images of half and of double the size.

use burn::tensor::Tensor;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;

/// The largest of every 2 × 2 pixels; of an odd number of rows or columns the last is left out. The gradient
/// goes to the first of equal pixels.
///
/// # Shapes
///
/// - images: `[batch, channels, height, width]`
/// - output: `[batch, channels, height / 2, width / 2]`
///
/// # Panics
///
/// When an image has a single row or column.
pub fn halved(images: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    assert!(height > 1 && width > 1, "there is no half of {height}×{width} pixels");
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&images)) {
        use super::flex::ResizeKernel;
        let images = images.into_dispatch();
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_resize(images, false));
    }
    halved_composed(images)
}

/// [`halved`] as burn composes it.
pub fn halved_composed(images: Tensor<4>) -> Tensor<4> {
    max_pool2d(images, MaxPoolOptions::new([2, 2]))
}

/// Every pixel as 2 × 2 of them.
///
/// # Shapes
///
/// - images: `[batch, channels, height, width]`
/// - output: `[batch, channels, 2 · height, 2 · width]`
pub fn doubled(images: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&images)) {
        use super::flex::ResizeKernel;
        let images = images.into_dispatch();
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_resize(images, true));
    }
    doubled_composed(images)
}

/// [`doubled`] as burn composes it.
pub fn doubled_composed(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    images
        .reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, 2, width, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernels_and_their_gradients_are_those_of_the_compositions() {
        for shape in [[1, 1, 2, 2], [2, 3, 5, 4], [17, 2, 6, 7], [1, 2, 64, 34]] {
            let case = Case::new([&shape]);
            let run = |resized: fn(Tensor<4>) -> Tensor<4>| {
                move |[x]: [Tensor<1>; 1]| resized(x.reshape(shape)).flatten(0, 3)
            };
            compare(case.clone(), run(halved), run(halved_composed));
            compare(case, run(doubled), run(doubled_composed));
        }
    }

    #[test]
    fn the_gradient_of_equal_pixels_goes_to_the_first() {
        let ones = Tensor::<4>::ones([1, 1, 2, 3], &crate::test_device().autodiff()).require_grad();
        let gradient = ones.grad(&halved(ones.clone()).sum().backward()).unwrap().into_data();
        assert_eq!(gradient.iter::<f32>().collect::<Vec<_>>(), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn halving_a_doubled_image_gives_it_back() {
        let values = [[[[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]]]];
        let images = Tensor::<4>::from_floats(values, &crate::test_device());
        let doubled = doubled(images.clone());
        let first = doubled.clone().slice([0..1, 0..1, 0..1, 0..6]).into_data();
        assert_eq!(first.iter::<f32>().collect::<Vec<_>>(), [1.0, 1.0, -2.0, -2.0, 3.0, 3.0]);
        halved(doubled).into_data().assert_eq(&images.into_data(), true);
    }

    #[test]
    #[should_panic(expected = "there is no half of 1×4 pixels")]
    fn a_single_row_has_no_half() {
        halved(Tensor::zeros([1, 1, 1, 4], &crate::test_device()));
    }
}
