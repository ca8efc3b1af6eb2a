//! Absolute positions: one vector per cell, readable on another grid.

use burn::module::{Module, Param, ParamId};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData, s};
use serde::{Deserialize, Serialize};

use super::antialias::{antialiased, mixed};
use super::{Init, InitialWeights};
use crate::grid::Grid;

/// What tells a token where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// No absolute positions (BEiT and SimMIM, which have a relative bias).
    None,
    /// A trained table (ViT).
    Learned,
    /// A fixed sin-cos table (MAE).
    SinCos,
}

/// How a table of positions is read on another grid than its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionResize {
    /// Bicubically, by a cubic of a = −0.75 at half-pixel centers.
    Bicubic,
    /// Bicubically, by a cubic of a = −0.5 that is wider where there are fewer cells, so that none is
    /// skipped (DINOv2 with registers).
    Antialiased,
}

impl PositionResize {
    /// Rows of a table over `from` read on the grid `to`.
    ///
    /// # Shapes
    ///
    /// - table: `[from.cells(), width]`
    /// - output: `[to.cells(), width]`
    pub(crate) fn resized(self, table: Tensor<2>, from: Grid, to: Grid) -> Tensor<2> {
        if self == Self::Bicubic {
            return resize_table(table, from, to);
        }
        let device = table.device();
        let rows = antialiased(from.rows, to.rows, &device);
        let cols = antialiased(from.cols, to.cols, &device);
        mixed(table, from, rows, cols)
    }
}

/// A vector of `width` features for each cell, and one for each class token.
#[derive(Module, Debug)]
pub struct PositionTable {
    /// `[class tokens + cells, width]`, the class tokens' rows first.
    pub table: Param<Tensor<2>>,
    #[module(skip)]
    grid: Grid,
    /// `None` where it is read on no other grid.
    #[module(skip)]
    resize: Option<PositionResize>,
}

impl PositionTable {
    /// A table for `grid`; `None` for [`Positions::None`].
    ///
    /// # Panics
    ///
    /// When a sin-cos table is asked for a `width` that is not a multiple of 4.
    pub fn new(
        positions: Positions,
        grid: Grid,
        width: usize,
        class_tokens: impl Into<usize>,
        weights: &mut InitialWeights,
    ) -> Option<Self> {
        let class_values = class_tokens.into() * width;
        let shape = [grid.cells() + class_values / width, width];
        let table = match positions {
            Positions::None => return None,
            Positions::Learned => {
                weights.param(shape, Init::TruncatedNormal { std: 0.02, bound: 2.0 })
            }
            Positions::SinCos => {
                assert_divisible(width);
                let table = move |device: &Device, _require_grad| {
                    let mut values = vec![0.0; class_values];
                    values.extend(sin_cos_table(grid, width));
                    Tensor::from_data(TensorData::new(values, shape), device)
                };
                // Lazy, as all first values are: a model that is about to be loaded needs none.
                let device = weights.device().clone();
                Param::uninitialized(ParamId::new(), table, device, false, shape.into())
            }
        };
        Some(Self { table, grid, resize: Some(PositionResize::Bicubic) })
    }

    /// The fixed table of the cells of `grid` one after the other, [`sequence_table`], which is read
    /// on no other grid.
    pub fn sequence(grid: Grid, width: usize, weights: &InitialWeights) -> Self {
        let shape = [grid.cells(), width];
        let table = move |device: &Device, _require_grad| {
            let values = sequence_table(shape[0], width);
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let device = weights.device().clone();
        let table = Param::uninitialized(ParamId::new(), table, device, false, shape.into());
        Self { table, grid, resize: None }
    }

    /// The same table, read on other grids as `resize` says.
    pub fn with_resize(self, resize: PositionResize) -> Self {
        Self { resize: Some(resize), ..self }
    }

    /// The grid the table was made for.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The class tokens' rows, `[class tokens, width]`.
    ///
    /// # Panics
    ///
    /// When the table was made without a class token.
    pub fn class_tokens(&self) -> Tensor<2> {
        let rows = self.class_rows();
        assert!(rows > 0, "this position table has no row for a class token");
        self.table.val().slice(s![0..rows, ..])
    }

    /// The cells' rows, `[cells, width]`; interpolated in two dimensions when `grid` is not the
    /// table's own, bicubically unless told otherwise.
    ///
    /// # Panics
    ///
    /// When `grid` is not the own one of a [`sequence`](Self::sequence).
    pub fn cells(&self, grid: Grid) -> Tensor<2> {
        let cells = self.table.val().slice(s![self.class_rows().., ..]);
        if grid == self.grid {
            return cells;
        }
        let own = self.grid;
        match self.resize {
            Some(resize) => resize.resized(cells, own, grid),
            None => panic!("positions of a sequence of {own} cells are not read on {grid}"),
        }
    }

    fn class_rows(&self) -> usize {
        self.table.dims()[0] - self.grid.cells()
    }
}

/// Rows of a table over `from` read on the grid `to`, by bicubic interpolation (half-pixel
/// centers, as PyTorch's `interpolate(mode="bicubic", align_corners=False)`).
///
/// # Shapes
///
/// - table: `[from.cells(), width]`
/// - output: `[to.cells(), width]`
pub(super) fn resize_table(table: Tensor<2>, from: Grid, to: Grid) -> Tensor<2> {
    interpolated(table, from, to, InterpolateMode::Bicubic)
}

/// As [`resize_table`], by another interpolation.
pub(super) fn interpolated(
    table: Tensor<2>,
    from: Grid,
    to: Grid,
    mode: InterpolateMode,
) -> Tensor<2> {
    let [_, width] = table.dims();
    let options = InterpolateOptions::new(mode)
        .with_align_corners(false)
        .with_output_size([to.rows, to.cols]);
    let planes = table.transpose().reshape([1, width, from.rows, from.cols]);
    interpolate(planes, options).reshape([width, to.cells()]).transpose()
}

fn assert_divisible(width: usize) {
    assert!(width.is_multiple_of(4), "sin-cos positions need a width divisible by 4, got {width}");
}

/// MAE's fixed table for `grid`, row-major `[cells, width]`: each row is
/// [sin x | cos x | sin y | cos y], x the column and y the row, with `width / 4` frequencies
/// 10000^(−4i / width) (arXiv 2111.06377 §A.1; the column goes first in the released weights).
///
/// # Panics
///
/// When `width` is not a multiple of 4.
pub fn sin_cos_table(grid: Grid, width: usize) -> Vec<f32> {
    assert_divisible(width);
    let quarter = width / 4;
    let angle = |place: usize, i: usize| place as f64 / 10_000f64.powf(i as f64 / quarter as f64);
    let mut table = Vec::with_capacity(grid.cells() * width);
    for cell in 0..grid.cells() {
        for place in [cell % grid.cols, cell / grid.cols] {
            table.extend((0..quarter).map(|i| angle(place, i).sin() as f32));
            table.extend((0..quarter).map(|i| angle(place, i).cos() as f32));
        }
    }
    table
}

/// The fixed table of a sequence, `[cells, width]`: feature 2i of place p is sin(p · 10000^(−2i /
/// width)), feature 2i + 1 its cosine (Vaswani et al. 2017, arXiv 1706.03762 §3.5; VideoMAE's
/// `get_sinusoid_encoding_table`).
pub fn sequence_table(cells: usize, width: usize) -> Vec<f32> {
    let angle = |place: usize, feature: usize| {
        place as f64 / 10_000f64.powf((2 * (feature / 2)) as f64 / width as f64)
    };
    let value = |place, feature: usize| match feature % 2 {
        0 => angle(place, feature).sin() as f32,
        _ => angle(place, feature).cos() as f32,
    };
    (0..cells * width).map(|at| value(at / width, at % width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn sin_cos(grid: Grid, class_token: bool) -> PositionTable {
        let mut weights = InitialWeights::new(0, &test_device());
        PositionTable::new(Positions::SinCos, grid, 8, class_token, &mut weights).unwrap()
    }

    #[test]
    fn a_sin_cos_row_is_sin_x_cos_x_sin_y_cos_y() {
        let table = sin_cos_table(Grid::new(2, 3), 8);
        let (x, y) = (2.0f64, 1.0f64);
        let expected = [
            x.sin(),
            (x / 100.0).sin(),
            x.cos(),
            (x / 100.0).cos(),
            y.sin(),
            (y / 100.0).sin(),
            y.cos(),
            (y / 100.0).cos(),
        ];
        for (got, want) in table[5 * 8..].iter().zip(expected) {
            assert!((f64::from(*got) - want).abs() < 1e-7, "{got} {want}");
        }
    }

    #[test]
    fn a_sequences_row_is_sin_and_cos_in_turns_for_any_width() {
        let table = sequence_table(3, 5);
        let slow = [1.0, 10_000f64.powf(0.4), 10_000f64.powf(0.8)];
        let [a, b, c] = slow.map(|by| 2.0 / by);
        for (got, want) in table[10..].iter().zip([a.sin(), a.cos(), b.sin(), b.cos(), c.sin()]) {
            assert!((f64::from(*got) - want).abs() < 1e-7, "{got} {want}");
        }
    }

    #[test]
    #[should_panic(expected = "positions of a sequence of 4×3 cells are not read on 2×6")]
    fn a_sequences_positions_are_read_on_no_other_grid() {
        let weights = InitialWeights::new(0, &test_device());
        PositionTable::sequence(Grid::new(4, 3), 8, &weights).cells(Grid::new(2, 6));
    }

    #[test]
    fn a_sin_cos_table_is_not_trained_and_its_class_row_is_zero() {
        let table = sin_cos(Grid::new(2, 3), true);
        assert!(!table.table.is_require_grad());
        assert_eq!(table.class_tokens().into_data().try_to_vec::<f32>().unwrap(), [0.0; 8]);
        let expected = TensorData::new(sin_cos_table(Grid::new(2, 3), 8), [6, 8]);
        table.cells(Grid::new(2, 3)).into_data().assert_eq(&expected, true);
    }

    #[test]
    fn another_grid_is_interpolated_in_two_dimensions() {
        // Feature 0 is the column, feature 1 the row.
        let (from, to) = (Grid::new(8, 6), Grid::new(16, 12));
        let values: Vec<f32> = (0..48).flat_map(|i| [(i % 6) as f32, (i / 6) as f32]).collect();
        let table = Tensor::<2>::from_data(TensorData::new(values, [48, 2]), &test_device());
        let resized: Vec<f32> = resize_table(table, from, to).into_data().try_to_vec().unwrap();
        // Place 5 is read at 2.25, between 1, 2, 3 and 4; the cubic of a = −0.75 weighs them
        // −0.10546875, 0.87890625, 0.26171875 and −0.03515625. Place 6 mirrors it; 8 is 6 plus 1.
        for (row, col, expected) in [(5, 5, [2.296875, 2.296875]), (8, 6, [2.703125, 3.703125])] {
            assert_eq!(resized[(row * to.cols + col) * 2..][..2], expected);
        }
    }

    #[test]
    fn interpolation_leaves_the_class_row_alone() {
        let table = sin_cos(Grid::new(4, 4), true);
        assert_eq!(table.cells(Grid::new(2, 6)).dims(), [12, 8]);
        let plain = sin_cos(Grid::new(4, 4), false).cells(Grid::new(2, 6)).into_data();
        let with_class = table.cells(Grid::new(2, 6)).into_data();
        with_class.assert_approx_eq::<f32>(&plain, Tolerance::absolute(1e-6));
    }
}
