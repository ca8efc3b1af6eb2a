//! Block-wise masks: rectangles of random size and shape.

use std::collections::VecDeque;

use rand::{Rng, RngExt};

use super::{MaskStrategy, UnitMask, count};
use crate::error::{Error, Result};
use crate::grid::Grid;

/// Tries at placing one more block before the remainder is grown, as in BEiT's published code.
const ATTEMPTS: usize = 10;

/// Hides rectangles until a fixed number of cells is hidden.
///
/// BEiT (arXiv 2106.08254 §2.3, Algorithm 1): a block's area is uniform between the smallest block
/// and what is left to hide, its aspect ratio (rows / columns) log-uniform, its place uniform;
/// blocks may overlap. The paper's loop overshoots its count and the published code, which refuses
/// blocks that would, may stop short of it. This strategy refuses them too, but then finishes: once
/// no block fits in ten tries, the remainder grows outwards from a random cell at the edge of what
/// is hidden. So the count is always exact, and every connected piece of the mask has at least
/// `min_block` cells. Another difference: a block whose shape is too long for the grid is made as
/// long as the grid, of the same area, where the published code refuses it; so strips of a single
/// row have blocks too.
#[derive(Debug, Clone)]
pub struct BlockMask {
    grid: Grid,
    hidden: usize,
    min_block: usize,
    /// Half the width of the interval of ln(aspect), which is centered on 0.
    log_aspect: f64,
}

impl BlockMask {
    /// Hides `hidden` cells of `grid` by blocks of at least `min_block` cells, whose aspect ratio
    /// lies between `aspect` and `1 / aspect`.
    ///
    /// # Errors
    ///
    /// When `hidden` hides nothing or everything, `min_block` is not in 1..=`hidden`, or `aspect`
    /// is not in (0, 1].
    pub fn new(grid: Grid, hidden: usize, min_block: usize, aspect: f64) -> Result<Self> {
        let hidden = count::checked(grid, hidden)?;
        if !(1..=hidden).contains(&min_block) {
            return Err(Error::config(format!(
                "the smallest block must have between 1 and the {hidden} hidden cells, got \
                 {min_block}"
            )));
        }
        if !(aspect > 0.0 && aspect <= 1.0) {
            return Err(Error::config(format!(
                "the narrowest block's aspect ratio must be above 0 and at most 1, got {aspect:?}"
            )));
        }
        Ok(Self { grid, hidden, min_block, log_aspect: -libm::log(aspect) })
    }

    /// Hides `cells · ratio` cells of `grid`, rounded to the nearest, by blocks of at least
    /// `min_block` cells, or of all that are hidden where those are fewer; otherwise as
    /// [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1, or hides nothing or everything on so small a
    /// grid, `min_block` is 0, or `aspect` is not in (0, 1].
    pub fn with_ratio(grid: Grid, ratio: f64, min_block: usize, aspect: f64) -> Result<Self> {
        let hidden = (grid.cells() as f64 * count::checked_ratio(ratio)?).round() as usize;
        Self::new(grid, hidden, min_block.min(hidden), aspect)
    }

    /// BEiT's numbers: 75 of 196 cells ("about 40 %") and the same share of any other grid, blocks
    /// of at least 16 cells (fewer where fewer are hidden), aspect ratio 0.3 to 1 / 0.3.
    ///
    /// # Errors
    ///
    /// When that share of so small a grid is no cell at all.
    pub fn beit(grid: Grid) -> Result<Self> {
        let hidden = (grid.cells().saturating_mul(75).saturating_add(98)) / 196;
        Self::new(grid, hidden, hidden.min(16), 0.3)
    }

    /// A block that hides between 1 and `left` cells more, if one comes up.
    fn fitting_block(&self, bits: &[bool], left: usize, rng: &mut dyn Rng) -> Option<Block> {
        (0..ATTEMPTS).map(|_| self.block(left, rng)).find(|block| {
            let fresh = block.cells(self.grid).filter(|&cell| !bits[cell]).count();
            (1..=left).contains(&fresh)
        })
    }

    fn block(&self, left: usize, rng: &mut dyn Rng) -> Block {
        let area = rng.random_range(self.min_block..=left.max(self.min_block));
        let log_aspect = self.log_aspect * (2.0 * rng.random::<f64>() - 1.0);
        // `libm` because the platform's own exponential may differ in the last bit.
        let tall = (area as f64).sqrt() * libm::exp(0.5 * log_aspect);
        let rows =
            (tall.round() as usize).clamp(area.div_ceil(self.grid.cols), area.min(self.grid.rows));
        let cols = area.div_ceil(rows);
        Block {
            top: rng.random_range(0..=self.grid.rows - rows),
            left: rng.random_range(0..=self.grid.cols - cols),
            rows,
            cols,
        }
    }
}

impl MaskStrategy for BlockMask {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let mut bits = vec![false; self.grid.cells()];
        let mut left = self.hidden;
        while left > 0
            && let Some(block) = self.fitting_block(&bits, left, rng)
        {
            for cell in block.cells(self.grid) {
                left -= usize::from(!bits[cell]);
                bits[cell] = true;
            }
        }
        while left > 0 {
            left -= grow(self.grid, &mut bits, left, rng);
        }
        UnitMask::from_bits(self.grid, bits)
    }
}

/// A rectangle of cells that lies within its grid.
pub(super) struct Block {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Block {
    pub(super) fn cells(&self, grid: Grid) -> impl Iterator<Item = usize> + use<> {
        let (left, cols) = (self.left, self.cols);
        (self.top..self.top + self.rows)
            .map(move |row| row * grid.cols + left)
            .flat_map(move |start| start..start + cols)
    }
}

/// Hides up to `limit` visible cells around a random one at the edge of the hidden cells (any one
/// where nothing is hidden yet), nearest first, and returns how many: at least 1.
fn grow(grid: Grid, bits: &mut [bool], limit: usize, rng: &mut dyn Rng) -> usize {
    let visible = || (0..grid.cells()).filter(|&cell| !bits[cell]);
    let mut edge: Vec<usize> =
        visible().filter(|&cell| neighbors(grid, cell).any(|next| bits[next])).collect();
    if edge.is_empty() {
        edge = visible().collect();
    }
    let mut queue = VecDeque::from([edge[rng.random_range(0..edge.len())]]);
    let mut grown = 0;
    while grown < limit
        && let Some(cell) = queue.pop_front()
    {
        if !bits[cell] {
            bits[cell] = true;
            grown += 1;
            queue.extend(neighbors(grid, cell));
        }
    }
    grown
}

/// The cells that share a side with `cell`.
fn neighbors(grid: Grid, cell: usize) -> impl Iterator<Item = usize> {
    let (row, col) = (cell / grid.cols, cell % grid.cols);
    [
        (row > 0).then(|| cell - grid.cols),
        (col > 0).then(|| cell - 1),
        (col + 1 < grid.cols).then(|| cell + 1),
        (row + 1 < grid.rows).then(|| cell + grid.cols),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use proptest::prelude::*;

    /// The sizes of the mask's connected pieces.
    fn pieces(mask: &UnitMask) -> Vec<usize> {
        let mut bits = mask.bits().to_vec();
        let mut sizes = Vec::new();
        while let Some(start) = bits.iter().position(|&bit| bit) {
            let (mut stack, mut size) = (vec![start], 0);
            while let Some(cell) = stack.pop() {
                if std::mem::take(&mut bits[cell]) {
                    size += 1;
                    stack.extend(neighbors(mask.grid(), cell));
                }
            }
            sizes.push(size);
        }
        sizes
    }

    #[test]
    fn the_count_is_that_of_the_paper() {
        let beit = |grid| BlockMask::beit(grid).unwrap().hidden();
        assert_eq!(beit(Grid::square(14)), 75);
        assert_eq!(beit(Grid::new(28, 14)), 150);
        assert_eq!(beit(Grid::square(2)), 2);
        assert!(BlockMask::beit(Grid::square(1)).is_err());
        assert_eq!(BlockMask::with_ratio(Grid::square(14), 0.4, 16, 0.3).unwrap().hidden(), 78);
        // Six hidden cells are one block, whatever the smallest.
        let six = BlockMask::with_ratio(Grid::square(4), 0.4, 16, 0.3).unwrap();
        assert_eq!((six.hidden, six.min_block), (6, 6));
        assert!(BlockMask::with_ratio(Grid::square(4), 0.4, 0, 0.3).is_err());
    }

    /// What it printed once: saved runs draw their masks again, so that they must not change.
    #[test]
    fn a_stream_gives_this_very_mask() {
        let strategy = BlockMask::beit(Grid::square(14)).unwrap();
        let mask = strategy.sample(&mut stream(1, Purpose::Mask, 2, 3));
        let rows = [
            "········█·····",
            "·······███····",
            "██████████████",
            "██████████████",
            "██████████████",
            "████··········",
            "████··········",
            "···███········",
            "···███········",
            "···███········",
            "···███········",
            "···███········",
            "···███········",
            "···███········",
        ];
        assert_eq!(mask.to_string(), rows.join("\n"));
    }

    #[test]
    fn a_strip_of_one_row_or_one_column_is_masked_in_runs() {
        for grid in [Grid::new(1, 40), Grid::new(40, 1)] {
            let strategy = BlockMask::new(grid, 20, 4, 0.3).unwrap();
            for index in 0..50 {
                let mask = strategy.sample(&mut stream(3, Purpose::Mask, 0, index));
                assert_eq!(mask.hidden(), 20);
                assert!(pieces(&mask).iter().all(|&size| size >= 4), "{mask}");
            }
        }
    }

    #[test]
    fn no_cell_is_forgotten_and_none_is_always_hidden() {
        let strategy = BlockMask::beit(Grid::square(14)).unwrap();
        let mut counts = vec![0; 196];
        for index in 0..400 {
            let mask = strategy.sample(&mut stream(5, Purpose::Mask, 0, index));
            mask.hidden_indices().for_each(|cell| counts[cell] += 1);
        }
        assert!(counts.iter().all(|&count| (1..350).contains(&count)), "{counts:?}");
    }

    #[test]
    fn parameters_that_make_no_block_are_named() {
        let error = |hidden, min_block, aspect| {
            BlockMask::new(Grid::square(4), hidden, min_block, aspect).unwrap_err().to_string()
        };
        assert!(error(6, 7, 0.3).contains("between 1 and the 6 hidden cells, got 7"));
        assert!(error(6, 0, 0.3).contains("got 0"));
        assert!(error(16, 4, 0.3).contains("got 16 hidden of the 16 cells of 4×4"));
        for aspect in [0.0, 1.5, -1.0, f64::NAN] {
            assert!(error(6, 4, aspect).ends_with(&format!("got {aspect:?}")));
        }
    }

    proptest! {
        #[test]
        fn the_count_is_exact_and_every_piece_is_at_least_a_block(
            rows in 1usize..=20,
            cols in 2usize..=20,
            share in 0.0f64..1.0,
            smallest in 0.0f64..1.0,
            aspect in 0.01f64..=1.0,
            seed: u64,
        ) {
            let grid = Grid::new(rows, cols);
            let hidden = 1 + (share * (grid.cells() - 1) as f64) as usize;
            let min_block = 1 + (smallest * hidden as f64) as usize;
            let strategy = BlockMask::new(grid, hidden, min_block, aspect).unwrap();
            let mask = strategy.sample(&mut stream(seed, Purpose::Mask, 0, 0));
            prop_assert_eq!(mask.hidden(), hidden);
            prop_assert!(pieces(&mask).iter().all(|&size| size >= min_block), "\n{}", mask);
        }
    }
}
