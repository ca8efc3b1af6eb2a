//! A given mask for every sample.

use rand::Rng;

use super::{MaskStrategy, UnitMask, count};
use crate::error::Result;
use crate::grid::Grid;

/// Gives every sample the same mask, the caller's own.
#[derive(Debug, Clone)]
pub struct FixedMask {
    mask: UnitMask,
    hidden: usize,
}

impl FixedMask {
    /// Hides what `mask` hides.
    ///
    /// # Errors
    ///
    /// When `mask` hides nothing or everything.
    pub fn new(mask: UnitMask) -> Result<Self> {
        let hidden = count::checked(mask.grid(), mask.hidden())?;
        Ok(Self { mask, hidden })
    }
}

impl MaskStrategy for FixedMask {
    fn grid(&self) -> Grid {
        self.mask.grid()
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn sample(&self, _rng: &mut dyn Rng) -> UnitMask {
        self.mask.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn every_sample_gets_the_given_mask() {
        let mask = UnitMask::from_indices(Grid::new(2, 3), [1, 5]).unwrap();
        let strategy = FixedMask::new(mask.clone()).unwrap();
        assert_eq!((strategy.grid(), strategy.hidden()), (Grid::new(2, 3), 2));
        for index in 0..3 {
            assert_eq!(strategy.sample(&mut stream(1, Purpose::Mask, 0, index)), mask);
        }
    }

    #[test]
    fn a_mask_that_hides_nothing_or_everything_is_refused() {
        let grid = Grid::new(2, 2);
        assert!(FixedMask::new(UnitMask::all_visible(grid)).is_err());
        assert!(FixedMask::new(UnitMask::from_indices(grid, 0..4).unwrap()).is_err());
    }
}
