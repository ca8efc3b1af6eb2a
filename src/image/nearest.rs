//! The nearest of a few vectors.

use burn::tensor::{Int, Tensor, assert_shape};

/// For each row the index of the nearest centre, the first of equals.
///
/// # Shapes
///
/// - rows: `[count, width]`
/// - centres: `[centres, width]`
/// - output: `[count]`
///
/// # Panics
///
/// When the widths differ.
pub(crate) fn nearest(rows: Tensor<2>, centres: Tensor<2>) -> Tensor<1, Int> {
    let [_, width] = centres.dims();
    assert_shape!(&rows, [_, width]);
    // |x − c|² = |x|² − 2 x·c + |c|², and |x|² does not decide between centres.
    let lengths = centres.clone().square().sum_dim(1).transpose();
    (rows.matmul(centres.transpose()) * 2.0 - lengths).argmax(1).squeeze_dim(1)
}
