//! The cells of a batch that are visible, or asked for, as index tensors.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, assert_shape};

use super::UnitMask;
use crate::grid::Grid;
use crate::nn::Gather;

/// Cells of a grid, the same number in every sample of a batch: moves their rows out of
/// `[batch, cells, width]` tensors and back. Selected cells are always in ascending order.
#[derive(Debug, Clone)]
pub struct Selection {
    grid: Grid,
    batch: usize,
    count: usize,
    /// The selected cells within their sample.
    cells: Tensor<1, Int>,
    /// From the cells of all samples to the selected ones.
    gather: Gather,
}

/// The index tensors of a selection, on the host.
struct Places {
    grid: Grid,
    batch: usize,
    count: usize,
    rows: Vec<i64>,
    cells: Vec<i64>,
    row_or_filler: Vec<i64>,
}

/// Indices of a selection begin at multiples of so many, where every device can begin to read.
const ALIGNED: usize = 64;

impl Places {
    fn new(masks: &[UnitMask], hidden: bool) -> Self {
        let grid = masks[0].grid();
        let count = if hidden { masks[0].hidden() } else { masks[0].visible() };
        let filler = (masks.len() * count) as i64;
        let (mut rows, mut cells, mut row_or_filler) = (vec![], vec![], vec![]);
        for (sample, mask) in masks.iter().enumerate() {
            for (cell, &bit) in mask.bits().iter().enumerate() {
                if bit == hidden {
                    row_or_filler.push(rows.len() as i64);
                    rows.push((sample * grid.cells() + cell) as i64);
                    cells.push(cell as i64);
                } else {
                    row_or_filler.push(filler);
                }
            }
        }
        Self { grid, batch: masks.len(), count, rows, cells, row_or_filler }
    }

    fn all(&self) -> [&[i64]; 3] {
        [&self.rows, &self.cells, &self.row_or_filler]
    }
}

impl Selection {
    /// The cells that masks, all of one grid and count, hide (`true`) or do not, of each of several
    /// batches of masks. What is sent to the device goes there at once.
    pub(super) fn all<const N: usize>(of: [(&[UnitMask], bool); N], device: &Device) -> [Self; N] {
        let places = of.map(|(masks, hidden)| Places::new(masks, hidden));
        let mut flat = Vec::new();
        for part in places.iter().flat_map(Places::all) {
            flat.extend(part);
            flat.resize(flat.len().next_multiple_of(ALIGNED), 0);
        }
        let length = flat.len();
        let flat = Tensor::<1, Int>::from_data(TensorData::new(flat, [length]), device);
        let mut start = 0;
        places.map(|places| {
            let [rows, cells, row_or_filler] = places.all().map(|part| {
                let first = start;
                start += part.len().next_multiple_of(ALIGNED);
                match part.len() {
                    0 => Tensor::zeros([0], (device, flat.dtype())),
                    length => flat.clone().slice_dim(0, first..first + length),
                }
            });
            let Places { grid, batch, count, .. } = places;
            let gather = Gather::new(rows, row_or_filler, batch * count);
            Self { grid, batch, count, cells, gather }
        })
    }

    /// The cells where `bits`, `[batch, cells]`, are true: `count` in every sample. Computed on the
    /// device, by comparisons and sums alone.
    pub(super) fn of_bits(grid: Grid, bits: Tensor<2, Bool>, count: usize) -> Self {
        let ([batch, cells], device) = (bits.dims(), bits.device());
        let range = |end: usize| Tensor::<1, Int>::arange(0..end as i64, &device);
        // Which of the selected cells of its sample each one is.
        let before = earlier(cells, &device).int().unsqueeze::<3>();
        let before = bits.clone().int().unsqueeze_dim::<3>(1) * before;
        let place = before.sum_dim(2).squeeze_dim::<2>(2);
        let dims = [batch, count, cells];
        let wanted = range(count).reshape([1, count, 1]).expand(dims);
        let found = place.clone().unsqueeze_dim::<3>(1).expand(dims).equal(wanted);
        let found = found.bool_and(bits.clone().unsqueeze_dim::<3>(1).expand(dims));
        let chosen = found.int() * range(cells).reshape([1, 1, cells]);
        let chosen = chosen.sum_dim(2).squeeze_dim::<2>(2);
        let samples = range(batch).reshape([batch, 1]);
        let rows = chosen.clone() + samples.clone() * cells as i64;
        let row = place + samples * count as i64;
        let row_or_filler = row.mask_fill(bits.bool_not(), (batch * count) as i64);
        let [rows, cells] = [rows, chosen].map(|rows| rows.reshape([batch * count]));
        let row_or_filler = row_or_filler.reshape([batch * grid.cells()]);
        let gather = Gather::new(rows, row_or_filler, batch * count);
        Self { grid, batch, count, cells, gather }
    }

    /// Selected cells per sample.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The selected cells' rows.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, cells, width]`
    /// - output: `[batch, selected, width]`
    ///
    /// # Panics
    ///
    /// When `cells` is of another batch or grid.
    pub fn select(&self, cells: Tensor<3>) -> Tensor<3> {
        assert_shape!(cells, [self.batch, self.grid.cells(), _]);
        let [.., width] = cells.dims();
        let all = cells.reshape([self.batch * self.grid.cells(), width]);
        self.gather.select(all).reshape([self.batch, self.count, width])
    }

    /// For each sample's selected cells, the rows of a table over the grid.
    ///
    /// # Shapes
    ///
    /// - table: `[cells, width]`
    /// - output: `[batch, selected, width]`
    pub fn select_from_table(&self, table: Tensor<2>) -> Tensor<3> {
        let [_, width] = table.dims();
        table.select(0, self.cells.clone()).reshape([self.batch, self.count, width])
    }

    /// The whole grid from its selected rows, with `filler` at every other cell.
    ///
    /// # Shapes
    ///
    /// - selected: `[batch, selected, width]`
    /// - filler: `[1, width]`
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When `selected` is not of this batch's selected cells.
    pub fn fill(&self, selected: Tensor<3>, filler: Tensor<2>) -> Tensor<3> {
        assert_shape!(selected, [self.batch, self.count, _]);
        let [.., width] = selected.dims();
        let selected = selected.reshape([self.batch * self.count, width]);
        let all = self.gather.inverse().fill(selected, filler);
        all.reshape([self.batch, self.grid.cells(), width])
    }

    /// The selected cells' ids.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`
    /// - output: `[batch, selected]`
    ///
    /// # Panics
    ///
    /// When `ids` is of another batch or grid.
    pub fn select_ids(&self, ids: Tensor<2, Int>) -> Tensor<2, Int> {
        assert_shape!(ids, [self.batch, self.grid.cells()]);
        let all = ids.reshape([self.batch * self.grid.cells()]);
        all.select(0, self.gather.rows()).reshape([self.batch, self.count])
    }

    /// The ids of all cells, where the ids of the selected cells are replaced.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, cells]`
    /// - selected: `[batch, selected]`
    /// - output: `[batch, cells]`
    ///
    /// # Panics
    ///
    /// When `ids` or `selected` is of another batch or grid.
    pub fn replace_ids(&self, ids: Tensor<2, Int>, selected: Tensor<2, Int>) -> Tensor<2, Int> {
        assert_shape!(ids, [self.batch, self.grid.cells()]);
        assert_shape!(selected, [self.batch, self.count]);
        let selected = selected.reshape([self.batch * self.count]);
        let filler = Tensor::zeros([1], (&selected.device(), selected.dtype()));
        let placed = Tensor::cat(vec![selected, filler], 0).select(0, self.gather.places());
        ids.mask_where(self.contains(), placed.reshape([self.batch, self.grid.cells()]))
    }

    /// Which cells are selected, `[batch, cells]`.
    pub fn contains(&self) -> Tensor<2, Bool> {
        let filler = (self.batch * self.count) as i64;
        let selected = self.gather.places().not_equal_elem(filler);
        selected.reshape([self.batch, self.grid.cells()])
    }

    /// 1 at every selected cell and 0 elsewhere, as images of one channel, `[batch, 1, rows, cols]`:
    /// what a convolution is masked by.
    pub fn map(&self) -> Tensor<4> {
        let Grid { rows, cols } = self.grid;
        self.contains().float().reshape([self.batch, 1, rows, cols])
    }
}

/// For each of `cells` cells, `[cells, cells]`, which others come before it.
pub(super) fn earlier(cells: usize, device: &Device) -> Tensor<2, Bool> {
    let range = Tensor::<1, Int>::arange(0..cells as i64, device);
    let dims = [cells, cells];
    let (own, others) = (range.clone().reshape([cells, 1]), range.reshape([1, cells]));
    others.expand(dims).lower(own.expand(dims))
}
