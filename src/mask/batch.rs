//! The masks of a batch, as index tensors for any grid that refines them.

use std::sync::{Arc, Mutex};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, assert_shape};

use super::UnitMask;
use crate::error::{Error, Result};
use crate::grid::Grid;

/// One [`UnitMask`] per sample, all hiding the same number of cells.
///
/// The masks' own grid is that of the mask units; [`Mask::at`] reads them at any finer grid, since
/// a unit may cover several patches. The index tensors are made once per grid and shared by clones.
#[derive(Debug, Clone)]
pub struct Mask {
    samples: Arc<[UnitMask]>,
    device: Device,
    read: Arc<Mutex<Vec<GridMask>>>,
}

impl Mask {
    /// The masks of a batch on `device`.
    ///
    /// # Errors
    ///
    /// When there is none, or when two differ in grid or in the number of hidden cells.
    pub fn new(samples: impl Into<Arc<[UnitMask]>>, device: &Device) -> Result<Self> {
        let samples = samples.into();
        let first = samples.first().ok_or_else(|| Error::config("a batch of no masks"))?;
        let (grid, hidden) = (first.grid(), first.hidden());
        for (index, mask) in samples.iter().enumerate() {
            if (mask.grid(), mask.hidden()) != (grid, hidden) {
                return Err(Error::config(format!(
                    "the masks of a batch must agree: sample 0 hides {hidden} of {grid} cells, sample {index} hides {} of {}",
                    mask.hidden(),
                    mask.grid()
                )));
            }
        }
        let device = device.clone().without_autodiff();
        Ok(Self { samples, device, read: Arc::default() })
    }

    /// The masks on the host.
    pub fn samples(&self) -> &[UnitMask] {
        &self.samples
    }

    /// The grid of mask units.
    pub fn grid(&self) -> Grid {
        self.samples[0].grid()
    }

    /// The same masks on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        Self { samples: self.samples.clone(), device, read: Arc::default() }
    }

    /// The masks read on `grid`, where each unit covers a square of cells.
    ///
    /// # Panics
    ///
    /// When `grid` is not a whole refinement of the grid of units.
    pub fn at(&self, grid: Grid) -> GridMask {
        let known = || self.read.lock().expect("no thread panics while it holds the lock");
        if let Some(mask) = known().iter().find(|mask| mask.grid == grid) {
            return mask.clone();
        }
        let cells: Result<Vec<_>> = self.samples.iter().map(|mask| mask.at(grid)).collect();
        let mask = GridMask::new(&cells.unwrap_or_else(|error| panic!("{error}")), &self.device);
        known().push(mask.clone());
        mask
    }
}

/// A batch's masks on one grid: moves rows of `[batch, cells, width]` tensors by whether they are
/// hidden. Hidden and visible cells are always in ascending order.
#[derive(Debug, Clone)]
pub struct GridMask {
    grid: Grid,
    batch: usize,
    hidden: usize,
    hidden_rows: Tensor<1, Int>,
    visible_rows: Tensor<1, Int>,
    visible_cells: Tensor<1, Int>,
    /// For every cell its row among all visible rows followed by one row for "hidden".
    visible_or_filler: Tensor<1, Int>,
    /// For every cell its row among all hidden rows followed by one row for "visible".
    hidden_or_filler: Tensor<1, Int>,
}

impl GridMask {
    fn new(masks: &[UnitMask], device: &Device) -> Self {
        let (grid, batch, hidden) = (masks[0].grid(), masks.len(), masks[0].hidden());
        let all_hidden = (batch * hidden) as i64;
        let all_visible = (batch * (grid.cells() - hidden)) as i64;
        let (mut hidden_rows, mut visible_rows, mut visible_cells) = (vec![], vec![], vec![]);
        let (mut visible_or_filler, mut hidden_or_filler) = (vec![], vec![]);
        for (sample, mask) in masks.iter().enumerate() {
            for (cell, &is_hidden) in mask.bits().iter().enumerate() {
                let row = (sample * grid.cells() + cell) as i64;
                if is_hidden {
                    hidden_or_filler.push(hidden_rows.len() as i64);
                    visible_or_filler.push(all_visible);
                    hidden_rows.push(row);
                } else {
                    visible_or_filler.push(visible_rows.len() as i64);
                    hidden_or_filler.push(all_hidden);
                    visible_rows.push(row);
                    visible_cells.push(cell as i64);
                }
            }
        }
        let tensor = |rows: Vec<i64>| {
            let count = rows.len();
            Tensor::from_data(TensorData::new(rows, [count]), device)
        };
        Self {
            grid,
            batch,
            hidden,
            hidden_rows: tensor(hidden_rows),
            visible_rows: tensor(visible_rows),
            visible_cells: tensor(visible_cells),
            visible_or_filler: tensor(visible_or_filler),
            hidden_or_filler: tensor(hidden_or_filler),
        }
    }

    /// The grid read.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Hidden cells per sample.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Visible cells per sample.
    pub fn visible(&self) -> usize {
        self.grid.cells() - self.hidden
    }

    /// The hidden cells' rows.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, cells, width]`
    /// - output: `[batch, hidden, width]`
    ///
    /// # Panics
    ///
    /// When `cells` is of another batch or grid.
    pub fn select_hidden(&self, cells: Tensor<3>) -> Tensor<3> {
        self.select(cells, &self.hidden_rows, self.hidden())
    }

    /// The visible cells' rows.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, cells, width]`
    /// - output: `[batch, visible, width]`
    ///
    /// # Panics
    ///
    /// When `cells` is of another batch or grid.
    pub fn select_visible(&self, cells: Tensor<3>) -> Tensor<3> {
        self.select(cells, &self.visible_rows, self.visible())
    }

    /// For each sample's visible cells, the rows of a table over the grid.
    ///
    /// # Shapes
    ///
    /// - table: `[cells, width]`
    /// - output: `[batch, visible, width]`
    pub fn visible_from_table(&self, table: Tensor<2>) -> Tensor<3> {
        let [_, width] = table.dims();
        table.select(0, self.visible_cells.clone()).reshape([self.batch, self.visible(), width])
    }

    /// The whole grid from its visible rows, with `filler` at every hidden cell.
    ///
    /// # Shapes
    ///
    /// - visible: `[batch, visible, width]`
    /// - filler: `[1, width]`
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When `visible` is not of this batch's visible cells.
    pub fn fill_hidden(&self, visible: Tensor<3>, filler: Tensor<2>) -> Tensor<3> {
        self.fill(visible, self.visible(), filler, &self.visible_or_filler)
    }

    /// The whole grid from its hidden rows, with `filler` at every visible cell.
    ///
    /// # Shapes
    ///
    /// - hidden: `[batch, hidden, width]`
    /// - filler: `[1, width]`
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When `hidden` is not of this batch's hidden cells.
    pub fn fill_visible(&self, hidden: Tensor<3>, filler: Tensor<2>) -> Tensor<3> {
        self.fill(hidden, self.hidden(), filler, &self.hidden_or_filler)
    }

    /// The hidden cells' ids.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`
    /// - output: `[batch, hidden]`
    ///
    /// # Panics
    ///
    /// When `ids` is of another batch or grid.
    pub fn select_hidden_ids(&self, ids: Tensor<2, Int>) -> Tensor<2, Int> {
        assert_shape!(ids, [self.batch, self.grid.cells()]);
        let all = ids.reshape([self.batch * self.grid.cells()]);
        all.select(0, self.hidden_rows.clone()).reshape([self.batch, self.hidden])
    }

    /// All cells' ids, with others at hidden cells.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`
    /// - hidden: `[batch, hidden]`
    /// - output: `[batch, cells]`
    ///
    /// # Panics
    ///
    /// When `ids` or `hidden` is of another batch or grid.
    pub fn replace_hidden_ids(
        &self,
        ids: Tensor<2, Int>,
        hidden: Tensor<2, Int>,
    ) -> Tensor<2, Int> {
        assert_shape!(ids, [self.batch, self.grid.cells()]);
        assert_shape!(hidden, [self.batch, self.hidden]);
        let hidden = hidden.reshape([self.batch * self.hidden]);
        let filler = Tensor::zeros([1], (&hidden.device(), hidden.dtype()));
        let placed = Tensor::cat(vec![hidden, filler], 0).select(0, self.hidden_or_filler.clone());
        ids.mask_where(self.is_hidden(), placed.reshape([self.batch, self.grid.cells()]))
    }

    /// Which cells are hidden, `[batch, cells]`.
    pub fn is_hidden(&self) -> Tensor<2, Bool> {
        let visible = (self.batch * self.visible()) as i64;
        let cells = self.visible_or_filler.clone().equal_elem(visible);
        cells.reshape([self.batch, self.grid.cells()])
    }

    fn select(&self, cells: Tensor<3>, rows: &Tensor<1, Int>, count: usize) -> Tensor<3> {
        assert_shape!(cells, [self.batch, self.grid.cells(), _]);
        let [.., width] = cells.dims();
        let all = cells.reshape([self.batch * self.grid.cells(), width]);
        all.select(0, rows.clone()).reshape([self.batch, count, width])
    }

    fn fill(
        &self,
        known: Tensor<3>,
        count: usize,
        filler: Tensor<2>,
        rows: &Tensor<1, Int>,
    ) -> Tensor<3> {
        assert_shape!(known, [self.batch, count, _]);
        let [.., width] = known.dims();
        let known = known.reshape([self.batch * count, width]);
        let all = Tensor::cat(vec![known, filler], 0);
        all.select(0, rows.clone()).reshape([self.batch, self.grid.cells(), width])
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
