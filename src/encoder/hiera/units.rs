//! Tokens group by group, and row by row.
//!
//! Within a group the finest places come first: the tokens that the first pooling makes one are
//! a quarter of the group apart (arXiv 2306.00989 §3.2; the official code's `Unroll`). So each pooling
//! is a maximum over the slower half of two axes, whatever groups there are.

use burn::tensor::Tensor;

/// Cells of a map, row by row, as groups of `stride` to the power of `levels`.
///
/// # Shapes
///
/// - map: `[batch, rows, columns, width]`
/// - output: `[batch, groups, cells of a group, width]`, the groups row by row
pub(crate) fn in_units(map: Tensor<4>, stride: [usize; 2], levels: usize) -> Tensor<4> {
    let [batch, mut rows, mut cols, width] = map.dims();
    let ([down, right], mut cells) = (stride, 1);
    let mut map = map.reshape([batch, rows, cols, cells, width]);
    for _ in 0..levels {
        (rows, cols) = (rows / down, cols / right);
        let split = map.reshape([batch, rows, down, cols, right, cells, width]);
        cells *= down * right;
        map = split.permute([0, 1, 3, 5, 2, 4, 6]).reshape([batch, rows, cols, cells, width]);
    }
    map.reshape([batch, rows * cols, cells, width])
}

/// What undoes [`in_units`] of a map of `groups`, rows and columns of them.
///
/// # Shapes
///
/// - units: `[batch, groups, cells of a group, width]`
/// - output: `[batch, rows, columns, width]`
pub(crate) fn in_rows(units: Tensor<4>, groups: [usize; 2], stride: [usize; 2]) -> Tensor<4> {
    let [batch, _, mut cells, width] = units.dims();
    let ([mut rows, mut cols], [down, right]) = (groups, stride);
    let mut map = units.reshape([batch, rows, cols, cells, width]);
    while cells > 1 {
        cells /= down * right;
        let split = map.reshape([batch, rows, cols, cells, down, right, width]);
        (rows, cols) = (rows * down, cols * right);
        map = split.permute([0, 1, 4, 2, 5, 3, 6]).reshape([batch, rows, cols, cells, width]);
    }
    map.reshape([batch, rows, cols, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    fn map(rows: usize, cols: usize) -> Tensor<4> {
        let cells = (0..rows * cols).map(|cell| cell as f32).collect();
        Tensor::from_data(TensorData::new(cells, [1, rows, cols, 1]), &test_device())
    }

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_finest_places_of_a_group_come_first() {
        // One group of 4 × 4 cells: upper left cells of the four squares, upper right ones, ...
        let expected = [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15].map(|i| i as f32);
        assert_eq!(values(in_units(map(4, 4), [2, 2], 2)), expected);
        // Two groups of one row and two columns.
        assert_eq!(values(in_units(map(1, 4), [1, 2], 1)), [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_maximum_over_the_slower_places_pools_neighbors() {
        let pooled = in_units(map(4, 4), [2, 2], 2).reshape([1, 4, 4, 1]).max_dim(1);
        let pooled = in_rows(pooled.reshape([1, 1, 4, 1]), [1, 1], [2, 2]);
        assert_eq!(values(pooled), [5.0, 7.0, 13.0, 15.0]);
    }

    #[test]
    fn row_by_row_undoes_group_by_group() {
        for (rows, cols, stride, levels) in
            [(8, 24, [2, 2], 3), (6, 4, [3, 1], 1), (9, 4, [3, 2], 2), (3, 2, [2, 2], 0)]
        {
            let (units, strides) = (in_units(map(rows, cols), stride, levels), levels as u32);
            let groups = [rows / stride[0].pow(strides), cols / stride[1].pow(strides)];
            assert_eq!(values(in_rows(units, groups, stride)), values(map(rows, cols)));
        }
    }
}
