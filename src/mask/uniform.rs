//! Uniform masks: as many visible cells in every window, for encoders with local attention.

use rand::{Rng, RngExt};

use super::random::subset;
use super::{MaskStrategy, UnitMask, count};
use crate::error::{Error, Result};
use crate::grid::Grid;

/// Keeps one random cell of every 2 × 2 window, so that 75 % are hidden and the kept cells form a
/// grid of half the size.
///
/// UM-MAE (arXiv 2205.10063 §3): *uniform sampling* keeps the cells, *secondary masking* hides a
/// further share of the kept ones, the same number in every sample. The places in two windows are
/// independent here, as in the paper; its published code draws them from a pool that is balanced
/// over the four places. To that code's loss a secondarily hidden cell counts as visible; in a
/// [`UnitMask`] it is hidden like any other.
#[derive(Debug, Clone)]
pub struct UniformMask {
    grid: Grid,
    kept: usize,
}

impl UniformMask {
    /// Uniform sampling alone: exactly one cell of every 2 × 2 window stays visible.
    ///
    /// # Errors
    ///
    /// When a side of `grid` is odd or 0.
    pub fn new(grid: Grid) -> Result<Self> {
        Ok(Self { grid, kept: windows(grid)?.cells() })
    }

    /// Uniform sampling, then secondary masking: of the kept cells, `kept · (1 − ratio)` stay
    /// visible, rounded down. The paper's ratio is 0.25.
    ///
    /// # Errors
    ///
    /// When a side of `grid` is odd or 0, `ratio` is not strictly between 0 and 1, or no kept cell
    /// would stay visible.
    pub fn with_secondary(grid: Grid, ratio: f64) -> Result<Self> {
        let windows = windows(grid)?;
        let kept = count::kept(windows.cells(), ratio)?;
        count::checked(windows, windows.cells() - kept)?;
        Ok(Self { grid, kept })
    }

    /// The kept cell of each window, windows row by row.
    fn sampled_cells(&self, rng: &mut dyn Rng) -> Vec<usize> {
        let mut cells = Vec::with_capacity(self.grid.cells() / 4);
        for top in (0..self.grid.rows).step_by(2) {
            for left in (0..self.grid.cols).step_by(2) {
                let place = rng.random_range(0..4);
                cells.push((top + place / 2) * self.grid.cols + left + place % 2);
            }
        }
        cells
    }
}

impl MaskStrategy for UniformMask {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn hidden(&self) -> usize {
        self.grid.cells() - self.kept
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let mut bits = vec![true; self.grid.cells()];
        let sampled = self.sampled_cells(rng);
        let kept = subset(sampled.len(), self.kept, rng);
        for (cell, kept) in sampled.into_iter().zip(kept) {
            bits[cell] = !kept;
        }
        UnitMask::from_bits(self.grid, bits)
    }
}

/// The grid of 2 × 2 windows.
fn windows(grid: Grid) -> Result<Grid> {
    count::checked_cells(grid)?;
    let even = |side: usize| side > 0 && side.is_multiple_of(2);
    if !(even(grid.rows) && even(grid.cols)) {
        return Err(Error::config(format!(
            "uniform masks keep one cell of every 2×2 window, so both sides of the grid must be \
             even, got {grid}"
        )));
    }
    Ok(Grid::new(grid.rows / 2, grid.cols / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use proptest::prelude::*;

    /// The number of visible cells in each 2 × 2 window.
    fn visible_per_window(mask: &UnitMask) -> Vec<usize> {
        let Grid { rows, cols } = mask.grid();
        let mut counts = vec![0; rows * cols / 4];
        for cell in mask.visible_indices() {
            counts[cell / cols / 2 * (cols / 2) + cell % cols / 2] += 1;
        }
        counts
    }

    #[test]
    fn counts_are_those_of_the_paper() {
        let hidden = |strategy: Result<UniformMask>| strategy.unwrap().hidden();
        assert_eq!(hidden(UniformMask::new(Grid::square(14))), 147);
        assert_eq!(hidden(UniformMask::with_secondary(Grid::square(16), 0.25)), 192 + 16);
        assert_eq!(hidden(UniformMask::with_secondary(Grid::square(14), 0.25)), 147 + 13);
    }

    /// What it printed once: saved runs draw their masks again, so that they must not change.
    #[test]
    fn a_stream_gives_this_very_mask() {
        let strategy = UniformMask::with_secondary(Grid::new(4, 8), 0.25).unwrap();
        let mask = strategy.sample(&mut stream(1, Purpose::Mask, 2, 3));
        let rows = ["████·█·█", "████████", "██·██·██", "█·████·█"];
        assert_eq!(mask.to_string(), rows.join("\n"));
    }

    #[test]
    fn every_place_of_a_window_is_kept_about_as_often() {
        let strategy = UniformMask::new(Grid::square(2)).unwrap();
        let mut counts = [0; 4];
        for index in 0..1000 {
            let mask = strategy.sample(&mut stream(9, Purpose::Mask, 0, index));
            mask.visible_indices().for_each(|cell| counts[cell] += 1);
        }
        assert!(counts.iter().all(|count| (180..=320).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_odd_side_or_a_useless_ratio_is_named() {
        for grid in [Grid::new(7, 8), Grid::new(8, 7), Grid::new(0, 2)] {
            let message = UniformMask::new(grid).unwrap_err().to_string();
            assert!(message.ends_with(&format!("got {grid}")), "{message}");
        }
        for ratio in [0.0, 1.0, f64::NAN, 0.9] {
            assert!(UniformMask::with_secondary(Grid::square(4), ratio).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_window_keeps_one_cell_and_secondary_masking_only_takes_away(
            rows in 1usize..=10,
            cols in 1usize..=10,
            ratio in 0.01f64..0.99,
            seed: u64,
        ) {
            let grid = Grid::new(2 * rows, 2 * cols);
            let sample = |strategy: &UniformMask| {
                strategy.sample(&mut stream(seed, Purpose::Mask, 0, 0))
            };
            let uniform = sample(&UniformMask::new(grid).unwrap());
            prop_assert!(visible_per_window(&uniform).iter().all(|&count| count == 1));
            if let Ok(strategy) = UniformMask::with_secondary(grid, ratio) {
                let secondary = sample(&strategy);
                prop_assert_eq!(secondary.hidden(), strategy.hidden());
                let mut both = uniform.bits().iter().zip(secondary.bits());
                prop_assert!(both.all(|(&uniform, &secondary)| !uniform || secondary));
            }
        }
    }
}
