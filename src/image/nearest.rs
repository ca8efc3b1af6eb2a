//! The nearest of a few vectors.

use burn::tensor::{Int, Tensor, assert_shape};

/// For each row the index of the nearest center, the first of equals.
///
/// # Shapes
///
/// - rows: `[count, width]`
/// - centers: `[centers, width]`
/// - output: `[count]`
///
/// # Panics
///
/// When the widths differ.
pub(crate) fn nearest(rows: Tensor<2>, centers: Tensor<2>) -> Tensor<1, Int> {
    let [_, width] = centers.dims();
    assert_shape!(&rows, [_, width]);
    // |x − c|² = |x|² − 2 x·c + |c|², and |x|² does not decide between centers.
    let lengths = centers.clone().square().sum_dim(1).transpose();
    (rows.matmul(centers.transpose()) * 2.0 - lengths).argmax(1).squeeze_dim(1)
}
