//! Masks that keep blocks and hide all around them.

use rand::{Rng, RngExt};

use super::{MaskStrategy, UnitMask, count};
use crate::error::{Result, ensure};
use crate::grid::Grid;

/// Keeps squares of cells, drawn anywhere and overlapping as they fall, so that what is visible is
/// contiguous and what is hidden lies far from it (data2vec 2.0, arXiv 2212.07525 §3.2, "inverse
/// block masking"). Then single cells, drawn uniformly, are hidden or shown until the count is right.
#[derive(Debug, Clone)]
pub struct InverseBlockMask {
    grid: Grid,
    visible: usize,
    side: usize,
    blocks: usize,
}

impl InverseBlockMask {
    /// Keeps `cells · (1 − ratio)` cells, rounded down, in squares of `side` × `side` cells. As many
    /// squares are drawn as cover `cells · (1 − ratio + adjust)` cells if none overlaps another or the
    /// border, rounded down, but at least one. The official numbers are a `side` of 3, and a `ratio`
    /// and an `adjust` of 0.8 and 0.07, which keep 39 of 196 cells.
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1 or hides everything on so small a grid, `side` is
    /// 0 or larger than both sides of the grid, or `adjust` is not in [0, 1].
    pub fn new(grid: Grid, ratio: f64, side: usize, adjust: f64) -> Result<Self> {
        let cells = count::checked_cells(grid)?;
        let visible = count::kept(cells, ratio)?;
        count::checked(grid, cells - visible)?;
        ensure!(
            side > 0 && side <= grid.rows.max(grid.cols),
            "the side of a block must be between 1 and the longer side of a grid of {grid}, got {side}"
        );
        ensure!((0.0..=1.0).contains(&adjust), "adjust must be in [0, 1], got {adjust:?}");
        let blocks = cells as f64 * ((1.0 - ratio + adjust) / (side * side) as f64);
        Ok(Self { grid, visible, side, blocks: (blocks as usize).max(1) })
    }
}

impl MaskStrategy for InverseBlockMask {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn hidden(&self) -> usize {
        self.grid.cells() - self.visible
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let Grid { rows, cols } = self.grid;
        let mut bits = vec![true; self.grid.cells()];
        for _ in 0..self.blocks {
            let center = rng.random_range(0..self.grid.cells());
            let around = |middle: usize, most: usize| {
                let first = middle.saturating_sub(self.side / 2);
                first..(middle + self.side - self.side / 2).min(most)
            };
            for row in around(center / cols, rows) {
                around(center % cols, cols).for_each(|col| bits[row * cols + col] = false);
            }
        }
        let visible = bits.iter().filter(|&&hidden| !hidden).count();
        let (surplus, missing) =
            (visible.saturating_sub(self.visible), self.visible.saturating_sub(visible));
        let mut candidates: Vec<usize> =
            (0..bits.len()).filter(|&cell| bits[cell] == (missing > 0)).collect();
        for _ in 0..surplus + missing {
            let cell = candidates.swap_remove(rng.random_range(0..candidates.len()));
            bits[cell] = surplus > 0;
        }
        UnitMask::from_bits(self.grid, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn drawn(strategy: &InverseBlockMask, index: u64) -> UnitMask {
        strategy.sample(&mut stream(1, Purpose::Mask, 2, index))
    }

    #[test]
    fn counts_are_those_of_the_official_configurations() {
        let grid = Grid::square(14);
        let base = InverseBlockMask::new(grid, 0.8, 3, 0.07).unwrap();
        assert_eq!((grid.cells() - base.hidden(), base.blocks), (39, 5));
        let large = InverseBlockMask::new(grid, 0.75, 3, 0.1).unwrap();
        assert_eq!((grid.cells() - large.hidden(), large.blocks), (49, 7));
    }

    /// What it printed once: saved runs draw their masks again, so that they must not change.
    #[test]
    fn a_stream_gives_this_very_mask() {
        let strategy = InverseBlockMask::new(Grid::new(5, 8), 0.75, 3, 0.1).unwrap();
        let rows = ["██···███", "██···███", "██····██", "████████", "████████"];
        assert_eq!(drawn(&strategy, 3).to_string(), rows.join("\n"));
    }

    #[test]
    fn a_visible_cell_has_more_visible_neighbors_than_in_a_random_mask() {
        let grid = Grid::square(14);
        let strategy = InverseBlockMask::new(grid, 0.8, 3, 0.07).unwrap();
        let mut pairs = 0;
        for index in 0..50 {
            let mask = drawn(&strategy, index);
            let seen = |row: usize, col: usize| usize::from(!mask.is_hidden(row, col));
            for row in 0..14 {
                pairs += (0..13).map(|col| seen(row, col) * seen(row, col + 1)).sum::<usize>();
            }
        }
        // At random 39 of 196 cells have 182 · (39 / 196)² = 7.2 such pairs a mask.
        assert!(pairs > 50 * 18, "{pairs}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let refused = |ratio, side, adjust| {
            InverseBlockMask::new(Grid::new(4, 6), ratio, side, adjust).unwrap_err().to_string()
        };
        assert!(refused(1.0, 3, 0.0).contains("strictly between 0"));
        assert!(refused(0.99, 3, 0.0).contains("got 24 hidden of the 24 cells"));
        assert!(refused(0.5, 0, 0.0).contains("got 0"));
        assert!(refused(0.5, 7, 0.0).contains("a grid of 4×6, got 7"));
        assert!(refused(0.5, 3, f64::NAN).contains("adjust must be in [0, 1], got NaN"));
    }
}
