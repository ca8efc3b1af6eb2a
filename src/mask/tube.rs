//! Tubes: the same cells hidden at every step of time.

use std::sync::Arc;

use rand::Rng;

use super::{MaskStrategy, RandomMask, UnitMask, count};
use crate::error::Result;
use crate::grid::{ClipGrid, Grid};

/// Hides the same cells of every step of a clip (VideoMAE, arXiv 2203.12602 §3.3 "tube masking"): what
/// stands still at a hidden place cannot be copied from another time.
///
/// Its grid is [`ClipGrid::flat`] of the steps.
#[derive(Debug, Clone)]
pub struct TubeMask {
    times: usize,
    space: Arc<dyn MaskStrategy>,
}

impl TubeMask {
    /// Masks of `times` steps, each of which hides what one mask of `space` hides.
    ///
    /// # Errors
    ///
    /// When there are no steps, or too many cells.
    pub fn new(space: Arc<dyn MaskStrategy>, times: usize) -> Result<Self> {
        let grid = ClipGrid::new(times, space.grid());
        count::checked(grid.flat(), times.saturating_mul(space.hidden()))?;
        Ok(Self { times, space })
    }

    /// VideoMAE's mask: a random `ratio` of the cells of a step, rounded down, as the official code
    /// does; the paper's 0.9 hides 176 of 196.
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1, or hides nothing of so small a grid.
    pub fn videomae(grid: ClipGrid, ratio: f64) -> Result<Self> {
        Self::new(
            Arc::new(RandomMask::new(grid.space, rounded_down(grid.space.cells(), ratio)?)?),
            grid.times,
        )
    }
}

/// `ratio` of `cells`, rounded down.
pub(super) fn rounded_down(cells: usize, ratio: f64) -> Result<usize> {
    Ok((cells as f64 * count::checked_ratio(ratio)?) as usize)
}

impl MaskStrategy for TubeMask {
    fn grid(&self) -> Grid {
        ClipGrid::new(self.times, self.space.grid()).flat()
    }

    fn hidden(&self) -> usize {
        self.times * self.space.hidden()
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        UnitMask::from_bits(self.grid(), self.space.sample(rng).bits().repeat(self.times))
    }

    fn for_batch(&self, rng: &mut dyn Rng) -> Option<Arc<dyn MaskStrategy>> {
        let space = self.space.for_batch(rng)?;
        Some(Arc::new(Self { times: self.times, space }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn counts_are_those_of_the_official_code() {
        let hidden = |side, times, ratio| {
            TubeMask::videomae(ClipGrid::new(times, Grid::square(side)), ratio).unwrap().hidden()
        };
        assert_eq!(hidden(14, 8, 0.9), 8 * 176);
        assert_eq!(hidden(14, 8, 0.75), 8 * 147);
        assert_eq!(hidden(4, 1, 0.9), 14);
    }

    #[test]
    fn a_mask_unit_covers_whole_patches_of_one_step() {
        // Units of 2 × 2 patches, of which each step has 1 × 2.
        let units = TubeMask::videomae(ClipGrid::new(2, Grid::new(1, 2)), 0.5).unwrap();
        let mask = units.sample(&mut stream(3, Purpose::Mask, 0, 0));
        let patches = mask.at(ClipGrid::new(2, Grid::new(2, 4)).flat()).unwrap();
        let unit = ["██··", "··██"];
        let rows = unit.map(|row| [row; 4].join("\n"));
        assert!(rows.contains(&patches.to_string()), "{patches}");
    }

    #[test]
    fn nothing_or_everything_hidden_is_refused() {
        let grid = ClipGrid::new(4, Grid::new(2, 3));
        for ratio in [0.0, 1.0, f64::NAN] {
            assert!(TubeMask::videomae(grid, ratio).unwrap_err().to_string().contains("ratio"));
        }
        let message = TubeMask::videomae(grid, 0.1).unwrap_err().to_string();
        assert!(message.contains("got 0 hidden of the 6 cells of 2×3"), "{message}");
        let none = TubeMask::videomae(ClipGrid::new(0, Grid::new(2, 3)), 0.5).unwrap_err();
        assert!(none.to_string().contains("got 0 hidden of the 0 cells"), "{none}");
    }
}
