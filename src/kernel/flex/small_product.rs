//! Products of matrices so small that preparing them for the fast product takes longer than they do.

use super::matrix::{Matrix, Output};
use super::simd::vectorized;

/// How many columns are computed at once.
pub(super) const LANES: usize = 16;

/// How many rows are computed at once.
const ROWS: usize = 4;

vectorized! {
    /// Computes `scale` · `left` · `right` into `output`, or adds it to `output`.
    ///
    /// `right` has values that lie side by side, and its rows are a multiple of [`LANES`] values long,
    /// or filled up to be.
    fn multiply_small<A>(output: Output, scale: f32, left: Matrix, right: Matrix) {
        assert_eq!((left.columns, right.column), (right.rows, 1), "a product's inner dimension");
        let (rows, columns) = (left.rows, right.columns);
        for column in (0..columns).step_by(LANES) {
            for row in (0..rows).step_by(ROWS) {
                let height = ROWS.min(rows - row);
                let mut sums = [[0.0; LANES]; ROWS];
                for inner in 0..right.rows {
                    let values = &right.values[inner * right.row + column..][..LANES];
                    for (index, sums) in sums.iter_mut().enumerate() {
                        let row = row + index.min(height - 1);
                        let factor = left.values[row * left.row + inner * left.column];
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = A::mul_add(factor, *value, *sum);
                        }
                    }
                }
                for (index, sums) in sums[..height].iter().enumerate() {
                    let start = (row + index) * output.row + column;
                    let to = &mut output.values[start..][..LANES.min(columns - column)];
                    for (to, sum) in to.iter_mut().zip(sums) {
                        *to = if output.keep == 0.0 { scale * sum } else { *to + scale * sum };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::flex::matrix::multiply;

    #[test]
    fn it_is_the_product_of_any_matrices() {
        let values: Vec<f32> = (0..4000).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
        for [rows, inner, columns] in
            [[1, 1, 16], [5, 3, 32], [13, 32, 13], [4, 13, 48], [7, 2, 17]]
        {
            let lefts = [
                Matrix::strided(&values, rows, inner, 40),
                Matrix::strided(&values, inner, rows, 40).transposed(),
            ];
            for left in lefts {
                let right = Matrix::strided(&values[9..], columns, inner, 50);
                let (mut got, mut expected) = (vec![1.0; rows * 64], vec![1.0; rows * 64]);
                multiply(Output::strided(&mut expected, 64).added(), 0.5, left, right.transposed());
                let mut turned = vec![];
                let turned = right.turned(LANES, &mut turned);
                multiply_small(Output::strided(&mut got, 64).added(), 0.5, left, turned);
                assert_eq!(got, expected);
                multiply_small(Output::strided(&mut got, 64), 0.5, left, turned);
                multiply(Output::strided(&mut expected, 64), 0.5, left, turned);
                assert_eq!(got, expected);
            }
        }
    }
}
