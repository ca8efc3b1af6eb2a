//! A closure as a mask strategy.

use std::fmt;

use rand::Rng;

use super::{MaskStrategy, UnitMask};
use crate::grid::Grid;

/// A strategy that asks `sample` for each mask: the shortest way to one of your own.
///
/// `sample` must draw only from the stream it is given, and give masks of `grid` with exactly
/// `hidden` hidden cells.
///
/// ```
/// use burn_mim::{Grid, MaskStrategy, UnitMask, mask_fn};
/// use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
///
/// // One whole column.
/// let grid = Grid::new(3, 4);
/// let column = mask_fn(grid, 3, move |rng| {
///     let col = rng.random_range(0..4);
///     UnitMask::from_indices(grid, (0..3).map(|row| row * 4 + col)).expect("within the grid")
/// });
/// assert_eq!(column.sample(&mut ChaCha8Rng::seed_from_u64(0)).hidden(), 3);
/// ```
///
/// # Panics
///
/// [`sample`](MaskStrategy::sample) panics when a mask has another grid or count.
pub fn mask_fn<F>(grid: Grid, hidden: usize, sample: F) -> ClosureMask<F>
where
    F: Fn(&mut dyn Rng) -> UnitMask + Send + Sync,
{
    ClosureMask { grid, hidden, sample }
}

/// The strategy made by [`mask_fn`].
#[derive(Clone)]
pub struct ClosureMask<F> {
    grid: Grid,
    hidden: usize,
    sample: F,
}

impl<F> MaskStrategy for ClosureMask<F>
where
    F: Fn(&mut dyn Rng) -> UnitMask + Send + Sync,
{
    fn grid(&self) -> Grid {
        self.grid
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let mask = (self.sample)(rng);
        assert!(
            mask.grid() == self.grid && mask.hidden() == self.hidden,
            "mask_fn: expected a mask of {} with {} hidden, the closure made one of {} with {}",
            self.grid,
            self.hidden,
            mask.grid(),
            mask.hidden()
        );
        mask
    }
}

impl<F> fmt::Debug for ClosureMask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureMask")
            .field("grid", &self.grid)
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const GRID: Grid = Grid::new(2, 3);

    fn sample_of(cells: usize, grid: Grid) -> UnitMask {
        let strategy = mask_fn(GRID, 2, |_| UnitMask::from_indices(grid, 0..cells).unwrap());
        strategy.sample(&mut stream(1, Purpose::Mask, 0, 0))
    }

    #[test]
    fn a_closure_is_a_strategy() {
        assert_eq!(sample_of(2, GRID).to_string(), "██·\n···");
        let strategy = mask_fn(GRID, 2, |_| UnitMask::all_visible(GRID));
        assert_eq!((strategy.grid(), strategy.hidden()), (GRID, 2));
        assert!(format!("{strategy:?}").starts_with("ClosureMask { grid: Grid"));
    }

    #[test]
    #[should_panic(
        expected = "expected a mask of 2×3 with 2 hidden, the closure made one of 2×3 with 3"
    )]
    fn a_mask_of_another_count_panics() {
        sample_of(3, GRID);
    }

    #[test]
    #[should_panic(
        expected = "expected a mask of 2×3 with 2 hidden, the closure made one of 3×2 with 2"
    )]
    fn a_mask_of_another_grid_panics() {
        sample_of(2, Grid::new(3, 2));
    }
}
