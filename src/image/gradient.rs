//! How fast an image changes along its rows and columns.

use burn::tensor::{Tensor, s};
use serde::{Deserialize, Serialize};

/// How the derivatives of an image are estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GradientOperator {
    /// Central differences smoothed by (1, 2, 1) across, of an image that is mirrored at its border
    /// (MaskFeat).
    #[default]
    Sobel,
    /// Central differences, 0 in the first and the last row or column (Dalal & Triggs 2005, as
    /// scikit-image has it).
    Central,
}

impl GradientOperator {
    /// The derivatives along x (columns) and along y (rows) of every channel.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - outputs: the same
    ///
    /// # Panics
    ///
    /// When an image has less than 2 rows or columns.
    pub fn gradients(self, images: Tensor<4>) -> [Tensor<4>; 2] {
        let [_, _, height, width] = images.dims();
        assert!(
            height > 1 && width > 1,
            "an image of {height}×{width} pixels has no gradient: it needs 2×2"
        );
        match self {
            Self::Sobel => {
                let mirrored = mirrored(mirrored(images, 2), 3);
                let along_x = difference(smoothed(mirrored.clone(), 2), 3);
                [along_x, difference(smoothed(mirrored, 3), 2)]
            }
            Self::Central => {
                [3, 2].map(|axis| within_zeros(difference(images.clone(), axis), axis))
            }
        }
    }
}

/// The strength of Sobel's derivatives, √(x² + y²), of every channel: 0 where the image is flat, 4
/// beside a step from 0 to 1 along an axis.
///
/// # Shapes
///
/// - images: `[batch, channels, height, width]`
/// - output: the same
///
/// # Panics
///
/// When an image has less than 2 rows or columns.
pub fn sobel(images: Tensor<4>) -> Tensor<4> {
    let [along_x, along_y] = GradientOperator::Sobel.gradients(images);
    magnitude(along_x, along_y)
}

/// √(x² + y²); its gradient is 0 where both are.
pub(crate) fn magnitude(along_x: Tensor<4>, along_y: Tensor<4>) -> Tensor<4> {
    let square = along_x.square() + along_y.square();
    let flat = square.clone().equal_elem(0.0);
    square.mask_fill(flat.clone(), 1.0).sqrt().mask_fill(flat, 0.0)
}

/// One more pixel on both sides of `axis`: a copy of the neighbor of the border.
fn mirrored(images: Tensor<4>, axis: usize) -> Tensor<4> {
    let length = images.dims()[axis];
    let before = images.clone().narrow(axis, 1, 1);
    let after = images.clone().narrow(axis, length - 2, 1);
    Tensor::cat(vec![before, images, after], axis)
}

/// Weighted by (1, 2, 1) along `axis`, which loses both its ends.
fn smoothed(images: Tensor<4>, axis: usize) -> Tensor<4> {
    let inner = images.dims()[axis] - 2;
    let at = |start| images.clone().narrow(axis, start, inner);
    at(0) + at(1) * 2.0 + at(2)
}

/// The pixel after minus the pixel before along `axis`, which loses both its ends.
fn difference(images: Tensor<4>, axis: usize) -> Tensor<4> {
    let inner = images.dims()[axis].saturating_sub(2);
    images.clone().narrow(axis, 2, inner) - images.narrow(axis, 0, inner)
}

/// A zero on both sides of `axis`.
fn within_zeros(values: Tensor<4>, axis: usize) -> Tensor<4> {
    let zeros = match axis {
        2 => values.clone().slice(s![.., .., 0..1, ..]),
        _ => values.clone().slice(s![.., .., .., 0..1]),
    }
    .zeros_like();
    Tensor::cat(vec![zeros.clone(), values, zeros], axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    /// The derivatives of one image of 3×4 pixels.
    fn gradients(operator: GradientOperator) -> [Vec<f32>; 2] {
        let image = Tensor::<4>::from_floats(
            [[[[0.0, 1.0, 4.0, 4.0], [2.0, 1.0, 0.0, 3.0], [5.0, 0.0, 1.0, 9.0]]]],
            &test_device(),
        );
        operator.gradients(image).map(|values| values.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn central_differences_are_zero_along_the_border() {
        let [x, y] = gradients(GradientOperator::Central);
        assert_eq!(x, [0.0, 4.0, 3.0, 0.0, 0.0, -2.0, 2.0, 0.0, 0.0, -4.0, 9.0, 0.0]);
        assert_eq!(y, [0.0, 0.0, 0.0, 0.0, 5.0, -1.0, -3.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn sobel_smooths_across_and_mirrors_the_border() {
        let [x, y] = gradients(GradientOperator::Sobel);
        // Pixel (1, 1): (4 − 0) + 2 (0 − 2) + (1 − 5), and (5 − 0) + 2 (0 − 1) + (1 − 4).
        assert_eq!([x[5], y[5]], [-4.0, 0.0]);
        // The left neighbors of the first column are the second column: no change along x.
        assert_eq!([x[0], x[4], x[8]], [0.0; 3]);
        assert_eq!(y[..4], [0.0; 4]);
        // Pixel (1, 0): (0 − 1) + 2 (5 − 0) + (0 − 1).
        assert_eq!(y[4], 8.0);
    }

    #[test]
    fn a_step_of_one_has_a_strength_of_four() {
        let image = Tensor::<4>::from_floats([[[[0.0, 0.0, 1.0, 1.0]; 3]]], &test_device());
        let strength: Vec<f32> = sobel(image).into_data().try_to_vec().unwrap();
        assert_eq!(strength, [0.0, 4.0, 4.0, 0.0].repeat(3));
    }

    #[test]
    fn a_flat_image_has_no_strength_and_a_gradient_of_zero() {
        let image = Tensor::<4>::ones([1, 1, 3, 4], &test_device()).autodiff().require_grad();
        let strength = sobel(image.clone());
        assert_eq!(strength.clone().sum().into_scalar::<f32>(), 0.0);
        let gradient = image.grad(&strength.sum().backward()).unwrap();
        assert_eq!(gradient.abs().sum().into_scalar::<f32>(), 0.0);
    }

    #[test]
    #[should_panic(expected = "1×4 pixels has no gradient")]
    fn a_single_row_panics() {
        sobel(Tensor::zeros([1, 1, 1, 4], &test_device()));
    }
}
