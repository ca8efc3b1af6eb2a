//! Relative position bias: what a score gains by where the two tokens are to each other.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, s};

use super::{Init, InitialWeights, TableResize, resize_offsets};
use crate::grid::Grid;

/// Distances of the class token: to a cell, from a cell, to itself (BEiT's order).
const CLASS_DISTANCES: usize = 3;

/// One learned number per head for each offset between two cells (Swin, arXiv 2103.14030 §3.2;
/// with a class token as in BEiT).
#[derive(Module, Debug)]
pub struct RelativePositionBias {
    /// `[(2·rows − 1)·(2·cols − 1) + 3 with a class token, heads]`.
    pub table: Param<Tensor<2>>,
    index: Tensor<1, Int>,
    #[module(skip)]
    grid: Grid,
    class_token: bool,
    #[module(skip)]
    resize: TableResize,
}

impl RelativePositionBias {
    /// A table for `grid` that starts as `init` says; BEiT's starts at zero.
    pub fn new(
        grid: Grid,
        class_token: bool,
        heads: usize,
        init: Init,
        weights: &mut InitialWeights,
    ) -> Self {
        let distances = offsets(grid).cells() + if class_token { CLASS_DISTANCES } else { 0 };
        Self {
            table: weights.param([distances, heads], init),
            index: index_tensor(grid, grid, class_token, weights.device()),
            grid,
            class_token,
            resize: TableResize::Bicubic,
        }
    }

    /// The same bias, read on other grids as `resize` says.
    pub fn with_resize(self, resize: TableResize) -> Self {
        Self { resize, ..self }
    }

    /// What to add to the scores, `[1, heads, tokens, tokens]`, the class token first.
    ///
    /// On another grid than the table's own its offsets are interpolated, bicubically unless told
    /// otherwise; the class token's distances stay.
    pub fn on(&self, grid: Grid) -> Tensor<4> {
        let [_, heads] = self.table.dims();
        let tokens = grid.cells() + usize::from(self.class_token);
        let (table, index) = if grid == self.grid {
            (self.table.val(), self.index.clone())
        } else {
            let device = self.table.val().device();
            (self.resized(grid, self.resize), index_tensor(grid, grid, self.class_token, &device))
        };
        let bias = table.select(0, index).reshape([tokens, tokens, heads]);
        bias.permute([2, 0, 1]).unsqueeze()
    }

    /// The bias that is added to the scores on `grid`, which must be a part of the table's own
    /// grid. Every offset keeps its row of the table.
    ///
    /// # Panics
    ///
    /// When `grid` is larger than the table's own.
    pub fn within(&self, grid: Grid) -> Tensor<4> {
        if grid == self.grid {
            return self.on(grid);
        }
        assert!(
            grid.rows <= self.grid.rows && grid.cols <= self.grid.cols,
            "a bias table for {} lacks some offsets of {grid}",
            self.grid
        );
        let ([_, heads], tokens) =
            (self.table.dims(), grid.cells() + usize::from(self.class_token));
        let table = self.table.val();
        let index = index_tensor(grid, self.grid, self.class_token, &table.device());
        table.select(0, index).reshape([tokens, tokens, heads]).permute([2, 0, 1]).unsqueeze()
    }

    /// The same bias for another grid, with a table of its own.
    pub fn resize(self, grid: Grid, resize: TableResize) -> Self {
        let table = self.resized(grid, resize).detach();
        let device = table.device();
        Self {
            table: self.table.map(|_| table),
            index: index_tensor(grid, grid, self.class_token, &device),
            grid,
            class_token: self.class_token,
            resize: self.resize,
        }
    }

    fn resized(&self, grid: Grid, resize: TableResize) -> Tensor<2> {
        let from = offsets(self.grid);
        let table = self.table.val();
        let cells = table.clone().slice(s![..from.cells(), ..]);
        let cells = resize_offsets(cells, self.grid, grid, resize);
        if self.class_token {
            Tensor::cat(vec![cells, table.slice(s![from.cells().., ..])], 0)
        } else {
            cells
        }
    }
}

/// The grid of offsets between two cells of `grid`.
fn offsets(grid: Grid) -> Grid {
    Grid::new(2 * grid.rows - 1, 2 * grid.cols - 1)
}

fn index_tensor(grid: Grid, table: Grid, class_token: bool, device: &Device) -> Tensor<1, Int> {
    let index = index_in(grid, table, class_token);
    let count = index.len();
    Tensor::from_data(TensorData::new(index, [count]), &device.clone().without_autodiff())
}

/// For each pair (query, key) of tokens, row-major, the row of the bias table.
///
/// Two cells: (Δrow + rows − 1) · (2·cols − 1) + Δcol + cols − 1. With a class token, which comes
/// first, three rows follow: class to cell, cell to class, class to class.
pub fn relative_position_index(grid: Grid, class_token: bool) -> Vec<i64> {
    index_in(grid, grid, class_token)
}

/// The rows of the offsets between the cells of `grid`, in a table for the larger grid `table`.
fn index_in(grid: Grid, table: Grid, class_token: bool) -> Vec<i64> {
    let offsets = offsets(table);
    let class = offsets.cells();
    let between = |query: usize, key: usize| {
        let rows = query / grid.cols + table.rows - 1 - key / grid.cols;
        let cols = query % grid.cols + table.cols - 1 - key % grid.cols;
        rows * offsets.cols + cols
    };
    let first = usize::from(class_token);
    let tokens = grid.cells() + first;
    let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
    pairs
        .map(|(query, key)| match (class_token && query == 0, class_token && key == 0) {
            (true, true) => class + 2,
            (true, false) => class,
            (false, true) => class + 1,
            (false, false) => between(query - first, key - first),
        })
        .map(|row| row as i64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn offsets_count_from_the_upper_left() {
        // 1×2 cells: offsets −1, 0, 1 of the column.
        assert_eq!(relative_position_index(Grid::new(1, 2), false), [1, 0, 2, 1]);
        // 2×1 cells with a class token: class to cell 3, cell to class 4, class to class 5.
        let index = relative_position_index(Grid::new(2, 1), true);
        assert_eq!(index, [5, 3, 3, 4, 1, 0, 4, 2, 1]);
    }

    #[test]
    fn equal_offsets_share_one_number() {
        let mut weights = InitialWeights::new(0, &test_device());
        let init = Init::Normal { std: 1.0 };
        let bias = RelativePositionBias::new(Grid::new(3, 4), false, 2, init, &mut weights);
        let bias: Vec<f32> = bias.on(Grid::new(3, 4)).into_data().try_to_vec().unwrap();
        let at = |query: usize, key: usize| bias[query * 12 + key];
        assert_eq!(at(0, 5), at(6, 11));
        assert_eq!(at(3, 3), at(8, 8));
        assert_ne!(at(0, 5), at(5, 0));
    }

    #[test]
    fn another_grid_keeps_the_class_distances() {
        let mut weights = InitialWeights::new(0, &test_device());
        let init = Init::Normal { std: 1.0 };
        let bias = RelativePositionBias::new(Grid::new(3, 3), true, 2, init, &mut weights);
        let own: Vec<f32> = bias.on(Grid::new(3, 3)).into_data().try_to_vec().unwrap();
        let other = bias.on(Grid::new(2, 5));
        assert_eq!(other.dims(), [1, 2, 11, 11]);
        let other: Vec<f32> = other.into_data().try_to_vec().unwrap();
        assert_eq!((own[0], own[1], own[10]), (other[0], other[1], other[11]));
    }

    #[test]
    fn a_part_of_the_grid_keeps_the_numbers_of_its_offsets() {
        let mut weights = InitialWeights::new(0, &test_device());
        let init = Init::Normal { std: 1.0 };
        let bias = RelativePositionBias::new(Grid::new(3, 4), false, 1, init, &mut weights);
        let whole: Vec<f32> = bias.on(Grid::new(3, 4)).into_data().try_to_vec().unwrap();
        let part: Vec<f32> = bias.within(Grid::new(2, 3)).into_data().try_to_vec().unwrap();
        let cell = |index: usize| index / 3 * 4 + index % 3;
        for (pair, number) in part.into_iter().enumerate() {
            assert_eq!(number, whole[cell(pair / 6) * 12 + cell(pair % 6)]);
        }
    }
}
