//! Whole steps of time hidden.

use rand::Rng;

use super::random::subset;
use super::{MaskStrategy, UnitMask, count};
use crate::error::Result;
use crate::grid::{ClipGrid, Grid};

/// Hides all cells of some steps of a clip: the last ones, so that the future is predicted, or random
/// ones (MAE of video, Feichtenhofer et al. 2022, arXiv 2205.09113 Figure 2: "time-only").
///
/// Its grid is [`ClipGrid::flat`] of the steps.
#[derive(Debug, Clone)]
pub struct StepMask {
    grid: ClipGrid,
    steps: usize,
    is_random: bool,
}

impl StepMask {
    /// Hides the last `steps` steps.
    ///
    /// # Errors
    ///
    /// When that hides nothing or everything.
    pub fn future(grid: ClipGrid, steps: usize) -> Result<Self> {
        count::checked(grid.flat(), grid.space.cells().saturating_mul(steps))?;
        Ok(Self { grid, steps, is_random: false })
    }

    /// Hides `steps` random steps.
    ///
    /// # Errors
    ///
    /// When that hides nothing or everything.
    pub fn random(grid: ClipGrid, steps: usize) -> Result<Self> {
        Ok(Self { is_random: true, ..Self::future(grid, steps)? })
    }
}

impl MaskStrategy for StepMask {
    fn grid(&self) -> Grid {
        self.grid.flat()
    }

    fn hidden(&self) -> usize {
        self.steps * self.grid.space.cells()
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let ClipGrid { times, space } = self.grid;
        let steps = match self.is_random {
            true => subset(times, self.steps, rng),
            false => (0..times).map(|time| time >= times - self.steps).collect(),
        };
        let cells = steps.into_iter().flat_map(|is_hidden| vec![is_hidden; space.cells()]);
        UnitMask::from_bits(self.grid(), cells.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const GRID: ClipGrid = ClipGrid::new(3, Grid::new(1, 4));

    #[test]
    fn the_future_is_what_comes_last() {
        let mask = StepMask::future(GRID, 2).unwrap().sample(&mut stream(0, Purpose::Mask, 0, 0));
        assert_eq!(mask.to_string(), "····\n████\n████");
    }

    #[test]
    fn every_step_is_hidden_about_as_often() {
        let strategy = StepMask::random(GRID, 1).unwrap();
        let mut counts = [0; 3];
        for index in 0..600 {
            let mask = strategy.sample(&mut stream(5, Purpose::Mask, 0, index));
            counts[mask.hidden_indices().next().unwrap() / 4] += 1;
        }
        // Binomial with mean 200 and a standard deviation of 11.5: five of those.
        assert!(counts.iter().all(|count| (142..=258).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_clip_without_a_visible_step_is_refused() {
        for steps in [0, 3, 4, usize::MAX] {
            assert!(StepMask::future(GRID, steps).is_err());
            assert!(StepMask::random(GRID, steps).is_err());
        }
    }
}
