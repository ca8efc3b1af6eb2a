//! Random masks: every set of cells of the right size is equally likely.

use std::hint::select_unpredictable;

use rand::{Rng, RngExt};

use super::{MaskStrategy, UnitMask, count};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};

/// Hides a fixed number of cells, drawn uniformly without replacement.
///
/// MAE (arXiv 2111.06377 §3 "Masking") does so on the model's patches, SimMIM (arXiv 2111.09886
/// §3.2 "Masking Strategy") on larger mask units.
#[derive(Debug, Clone)]
pub struct RandomMask {
    grid: Grid,
    hidden: usize,
}

impl RandomMask {
    /// Hides `hidden` cells of `grid`.
    ///
    /// # Errors
    ///
    /// When that hides nothing or everything.
    pub fn new(grid: Grid, hidden: usize) -> Result<Self> {
        Ok(Self { grid, hidden: count::checked(grid, hidden)? })
    }

    /// MAE's mask: keeps `cells · (1 − ratio)` cells, rounded down; the paper's ratio is 0.75, which
    /// hides 147 of 196.
    ///
    /// # Errors
    ///
    /// When `ratio` is not strictly between 0 and 1, or hides everything on so small a grid.
    pub fn mae(grid: Grid, ratio: f64) -> Result<Self> {
        Self::new(grid, grid.cells() - count::kept(grid.cells(), ratio)?)
    }

    /// SimMIM's mask: hides `units · ratio` squares of `unit` × `unit` pixels, rounded up; the
    /// paper's 32 pixels and 0.6 hide 22 of 36 units at 192×192.
    ///
    /// # Errors
    ///
    /// When `unit` does not divide the image, or `ratio` is not strictly between 0 and 1 or hides
    /// everything on so small a grid.
    pub fn simmim(image: ImageShape, unit: usize, ratio: f64) -> Result<Self> {
        let grid = image.grid(unit)?;
        Self::new(grid, (grid.cells() as f64 * count::checked_ratio(ratio)?).ceil() as usize)
    }
}

impl MaskStrategy for RandomMask {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        UnitMask::from_bits(self.grid, subset(self.grid.cells(), self.hidden, rng))
    }
}

/// `cells` bits of which exactly `chosen` are set, every such set equally likely.
///
/// Floyd's sampling: one draw for each cell of the smaller side, and no list of candidates. The
/// step that ends at `last` makes the set uniform among the first `last + 1` cells: it takes a cell
/// among them, or `last` itself when that cell is already taken.
pub(super) fn subset(cells: usize, chosen: usize, rng: &mut dyn Rng) -> Vec<bool> {
    let draws = chosen.min(cells - chosen);
    let mark = draws == chosen;
    let mut bits = vec![!mark; cells];
    for last in cells - draws..cells {
        let cell = rng.random_range(0..=last);
        // Whether a cell is taken is a coin flip that no branch predictor wins.
        let cell = select_unpredictable(bits[cell] == mark, last, cell);
        bits[cell] = mark;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn counts_are_those_of_the_papers() {
        let mae = |grid, ratio| RandomMask::mae(grid, ratio).unwrap().hidden();
        assert_eq!(mae(Grid::square(14), 0.75), 147);
        assert_eq!(mae(Grid::square(10), 0.9), 91);
        let simmim = |side| {
            let mask = RandomMask::simmim(ImageShape::square(3, side), 32, 0.6).unwrap();
            (mask.grid(), mask.hidden())
        };
        assert_eq!(simmim(192), (Grid::square(6), 22));
        assert_eq!(simmim(224), (Grid::square(7), 30));
    }

    #[test]
    fn a_ratio_must_hide_something_but_not_everything() {
        let image = ImageShape::new(4, 64, 96);
        for ratio in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(RandomMask::mae(Grid::square(4), ratio).is_err());
            assert!(RandomMask::simmim(image, 32, ratio).is_err());
        }
        let message = RandomMask::simmim(image, 32, 0.9).unwrap_err().to_string();
        assert!(message.contains("got 6 hidden of the 6 cells of 2×3"), "{message}");
        let message = RandomMask::simmim(image, 40, 0.6).unwrap_err().to_string();
        assert!(message.contains("64×96") && message.contains("40"), "{message}");
    }

    /// What it printed once: saved runs draw their masks again, so that they must not change.
    #[test]
    fn a_stream_gives_this_very_mask() {
        let strategy = RandomMask::mae(Grid::new(4, 8), 0.75).unwrap();
        let mask = strategy.sample(&mut stream(1, Purpose::Mask, 2, 3));
        let rows = ["██·███·█", "██·███·█", "██·████·", "███·█·██"];
        assert_eq!(mask.to_string(), rows.join("\n"));
    }

    /// Six cells have C(6, k) sets; each must come up about as often as any other.
    #[test]
    fn every_set_of_cells_is_equally_likely() {
        for (hidden, sets) in [(1, 6), (2, 15), (3, 20), (4, 15)] {
            let mut seen = std::collections::HashMap::new();
            let samples = 400 * sets;
            for index in 0..samples {
                *seen
                    .entry(subset(6, hidden, &mut stream(7, Purpose::Mask, 0, index)))
                    .or_insert(0) += 1;
            }
            assert_eq!(seen.len() as u64, sets);
            // Each count is binomial with mean 400 and standard deviation below 20: five of those.
            assert!(seen.values().all(|&count: &i32| (300..=500).contains(&count)), "{seen:?}");
        }
    }

    #[test]
    fn every_cell_is_hidden_about_as_often_as_the_ratio_says() {
        for (grid, ratio) in
            [(Grid::square(14), 0.75), (Grid::new(3, 7), 0.4), (Grid::new(1, 9), 0.5)]
        {
            let strategy = RandomMask::mae(grid, ratio).unwrap();
            let mut counts = vec![0; grid.cells()];
            for index in 0..2000 {
                let mask = strategy.sample(&mut stream(11, Purpose::Mask, 0, index));
                mask.hidden_indices().for_each(|cell| counts[cell] += 1);
            }
            let expected = strategy.hidden() as f64 / grid.cells() as f64;
            // The standard deviation of a frequency is at most √(¼ / 2000) ≈ 0.011.
            for count in counts {
                let frequency = f64::from(count) / 2000.0;
                assert!((frequency - expected).abs() < 0.055, "{frequency} of {expected}");
            }
        }
    }
}
