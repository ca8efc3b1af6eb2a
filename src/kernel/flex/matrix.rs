//! Matrix products on parts of slices.

use gemm::Parallelism;

/// A matrix in a slice: the element (r, c) is at r · `row` + c · `column`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, one after the other.
    pub(super) fn dense(values: &'a [f32], columns: usize) -> Self {
        Self::strided(values, values.len() / columns, columns, columns)
    }

    /// The first `columns` values of `rows` rows that are `row` values apart.
    pub(super) fn strided(values: &'a [f32], rows: usize, columns: usize, row: usize) -> Self {
        Self { values, rows, columns, row, column: 1 }
    }

    /// The first `rows` rows.
    pub(super) fn first_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// `columns` of the columns, from `first` on.
    pub(super) fn some_columns(self, first: usize, columns: usize) -> Self {
        Self { values: &self.values[first * self.column..], columns, ..self }
    }

    /// The transposed matrix.
    pub(super) fn transposed(self) -> Self {
        let Self { values, rows, columns, row, column } = self;
        Self { values, rows: columns, columns: rows, row: column, column: row }
    }

    /// The transposed matrix, copied to `values` with its rows filled up with zeros to a multiple of
    /// `lanes` values.
    pub(super) fn turned<'b>(self, lanes: usize, values: &'b mut Vec<f32>) -> Matrix<'b> {
        let row = self.rows.next_multiple_of(lanes);
        values.clear();
        values.resize(self.columns * row, 0.0);
        for (at, values) in values.chunks_exact_mut(row).enumerate() {
            for (row, value) in values[..self.rows].iter_mut().enumerate() {
                *value = self.values[row * self.row + at * self.column];
            }
        }
        Matrix { values, rows: self.columns, columns: self.rows, row, column: 1 }
    }
}

/// The output of a product: the first values of rows that are `row` values apart.
#[derive(Debug)]
pub(super) struct Output<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) row: usize,
    /// The factor of the values that are there already.
    pub(super) keep: f32,
}

impl<'a> Output<'a> {
    /// Overwrites dense rows of `columns` values.
    pub(super) fn dense(values: &'a mut [f32], columns: usize) -> Self {
        Self::strided(values, columns)
    }

    /// Overwrites rows that are `row` values apart.
    pub(super) fn strided(values: &'a mut [f32], row: usize) -> Self {
        Self { values, row, keep: 0.0 }
    }

    /// Adds to the values that are there.
    pub(super) fn added(self) -> Self {
        Self { keep: 1.0, ..self }
    }
}

/// Computes `scale` · `left` · `right` into `output`, or adds it to `output`, on the calling
/// thread.
pub(super) fn multiply(output: Output, scale: f32, left: Matrix, right: Matrix) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(k, right.rows, "a product's inner dimensions");
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= output.row, "rows of {n} values overlap {} apart", output.row);
    assert_within([m, n], [output.row, 1], output.values.len(), "output");
    assert_within([m, k], [left.row, left.column], left.values.len(), "left");
    assert_within([k, n], [right.row, right.column], right.values.len(), "right");
    // SAFETY: the assertions keep every element of the three matrices within its slice, and no two
    // elements of the output share a place; the output is borrowed mutably, so that it overlaps
    // neither operand. A stride of more than one element is less than the length of its slice, so
    // it does not wrap; `stride` replaces the stride of a single element.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            output.values.as_mut_ptr(),
            1,
            stride(m, output.row),
            output.keep != 0.0,
            left.values.as_ptr(),
            stride(k, left.column),
            stride(m, left.row),
            right.values.as_ptr(),
            stride(n, right.column),
            stride(k, right.row),
            output.keep,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Panics unless the last of these rows and columns lies within `length` values.
fn assert_within(counts: [usize; 2], strides: [usize; 2], length: usize, name: &str) {
    let end = || {
        let [rows, columns] = counts.map(|count| count - 1);
        let (row, column) = (rows.checked_mul(strides[0])?, columns.checked_mul(strides[1])?);
        row.checked_add(column)?.checked_add(1)
    };
    assert!(
        counts.contains(&0) || end().is_some_and(|end| end <= length),
        "{name}: {counts:?} values {strides:?} apart do not lie in {length}"
    );
}

/// The stride of `count` elements. It is 1 for a single element, whose own stride may be anything.
fn stride(count: usize, stride: usize) -> isize {
    if count < 2 { 1 } else { stride as isize }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(output: &mut [f32], row: usize, left: Matrix, right: Matrix) {
        multiply(Output::strided(output, row), 1.0, left, right);
    }

    #[test]
    fn products_of_strided_and_transposed_parts_follow_the_formula() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let left = Matrix::strided(&values[1..], 4, 3, 5);
        let right = Matrix::strided(&values[2..], 6, 3, 7).transposed();
        let mut output = vec![1.0; 4 * 8];
        multiply(Output::strided(&mut output, 8).added(), 0.5, left, right);
        for r in 0..4 {
            for c in 0..8 {
                let dot: f32 =
                    (0..3).map(|i| values[1 + 5 * r + i] * values[2 + 7 * c.min(5) + i]).sum();
                let expected = if c < 6 { 1.0 + 0.5 * dot } else { 1.0 };
                assert_eq!(output[8 * r + c], expected, "{r} {c}");
            }
        }
    }

    #[test]
    fn nothing_multiplied_with_nothing_is_zero() {
        let mut output = [1.0; 6];
        product(&mut output, 3, Matrix::strided(&[], 2, 0, 5), Matrix::strided(&[], 0, 3, 7));
        assert_eq!(output, [0.0; 6]);
    }

    #[test]
    fn the_stride_of_a_single_row_may_be_anything() {
        let mut output = [0.0; 2];
        let right = Matrix::dense(&[1.0, 2.0, 3.0, 4.0], 2);
        product(&mut output, usize::MAX, Matrix::strided(&[1.0, 1.0], 1, 2, usize::MAX), right);
        assert_eq!(output, [4.0, 6.0]);
    }

    #[test]
    #[should_panic(
        expected = "left: [2, 1] values [18446744073709551615, 1] apart do not lie in 2"
    )]
    #[cfg(target_pointer_width = "64")]
    fn a_stride_that_wraps_panics() {
        let (left, right) = ([1.0, 2.0], [1.0]);
        let left = Matrix::strided(&left, 2, 1, usize::MAX);
        product(&mut [0.0; 2], 1, left, Matrix::dense(&right, 1));
    }

    #[test]
    #[should_panic(expected = "right: [3, 2] values")]
    fn an_operand_that_is_too_short_panics() {
        let right = Matrix::strided(&[0.0; 5], 3, 2, 2);
        product(&mut [0.0; 2], 2, Matrix::dense(&[0.0; 3], 3), right);
    }

    #[test]
    #[should_panic(expected = "output: [3, 2] values")]
    fn an_output_that_is_too_short_panics() {
        let values = [0.0; 6];
        let mut output = [0.0; 5];
        let (left, right) = (Matrix::dense(&values, 2), Matrix::dense(&values[..4], 2));
        multiply(Output::dense(&mut output, 2), 1.0, left, right);
    }
}
