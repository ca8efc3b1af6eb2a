//! Which cells a head is asked for, by choice at run time.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::random::subset;
use super::{MaskStrategy, UnitMask};
use crate::error::{Result, ensure};

/// Which cells a head is asked for, and so judged by, as in `{"asked": "part", "share": 0.25}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "asked", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AskedConfig {
    /// What is hidden.
    Hidden {},
    /// Everything, the visible cells too (arXiv 2402.03752).
    All {},
    /// Some of the hidden cells, drawn anew for each sample and epoch (CrossMAE, arXiv 2401.14391
    /// §3.3).
    Part {
        /// How many, as a share of all mask units, hidden or not; rounded up.
        share: f64,
    },
}

impl AskedConfig {
    /// Checks that `mask` hides as many cells as are asked for.
    ///
    /// # Errors
    ///
    /// When it does not, or nothing is asked for; names both.
    pub fn validate(&self, mask: &dyn MaskStrategy) -> Result<()> {
        if let Self::Part { share } = *self {
            let (grid, hidden) = (mask.grid(), mask.hidden());
            let most = hidden as f64 / grid.cells() as f64;
            ensure!(
                share > 0.0 && share <= most,
                "a share of {share} of all cells cannot be asked for: it must be above 0, and the \
                 mask hides {hidden} of the {} cells of {grid}",
                grid.cells()
            );
        }
        Ok(())
    }

    /// The cells that are asked for of a sample, as the hidden ones of a mask; `None` for what `mask`
    /// hides. Masks of one grid that hide as many cells ask for as many.
    pub fn draw(&self, mask: &UnitMask, rng: &mut dyn Rng) -> Option<UnitMask> {
        match *self {
            Self::Hidden {} => None,
            Self::All {} => Some(UnitMask::all_visible(mask.grid()).inverted()),
            Self::Part { share } => {
                let asked = asked(mask.grid().cells(), share).min(mask.hidden());
                let chosen = subset(mask.hidden(), asked, rng);
                let mut bits = vec![false; mask.grid().cells()];
                for (cell, chosen) in mask.hidden_indices().zip(chosen) {
                    bits[cell] = chosen;
                }
                Some(UnitMask::from_bits(mask.grid(), bits))
            }
        }
    }

    /// How many of the `cells` cells of a grid are asked for where a mask hides `hidden` of them.
    pub fn count(&self, cells: usize, hidden: usize) -> usize {
        match *self {
            Self::Hidden {} => hidden,
            Self::All {} => cells,
            Self::Part { share } => asked(cells, share).min(hidden),
        }
    }
}

/// `share` of `cells`, rounded up where more than rounding errors are left, and never nothing.
fn asked(cells: usize, share: f64) -> usize {
    ((cells as f64 * share - 1e-6).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::RandomMask;
    use crate::rng::{Purpose, stream};

    const GRID: Grid = Grid::new(4, 5);

    fn mask() -> UnitMask {
        UnitMask::from_indices(GRID, (3..18).collect::<Vec<_>>()).unwrap()
    }

    fn drawn(asked: AskedConfig, index: u64) -> Option<UnitMask> {
        asked.draw(&mask(), &mut stream(0, Purpose::Asked, 0, index))
    }

    #[test]
    fn hidden_cells_all_cells_or_a_part_of_the_hidden_ones_are_asked_for() {
        assert_eq!(drawn(AskedConfig::Hidden {}, 0), None);
        assert_eq!(drawn(AskedConfig::All {}, 0).unwrap().hidden(), 20);
        let part = AskedConfig::Part { share: 0.25 };
        for index in 0..20 {
            let asked = drawn(part, index).unwrap();
            assert_eq!((asked.hidden(), asked.grid()), (5, GRID));
            assert!(asked.hidden_indices().all(|cell| mask().bits()[cell]));
        }
        assert_ne!(drawn(part, 0), drawn(part, 1));
        assert_eq!(drawn(part, 7), drawn(part, 7));
    }

    #[test]
    fn every_hidden_cell_is_asked_for_at_times() {
        let part = AskedConfig::Part { share: 0.25 };
        let mut times = [0; 20];
        for index in 0..300 {
            drawn(part, index).unwrap().hidden_indices().for_each(|cell| times[cell] += 1);
        }
        // A third of 300, with a deviation of 8.
        assert!(times[3..18].iter().all(|times| (60..140).contains(times)), "{times:?}");
    }

    #[test]
    fn counts_are_those_that_are_drawn_and_rounding_errors_ask_for_no_cell() {
        assert_eq!(AskedConfig::Part { share: 0.25 }.count(196, 147), 49);
        // In double precision 30 · 0.1 is above 3.
        assert_eq!(AskedConfig::Part { share: 0.1 }.count(30, 20), 3);
        assert_eq!(AskedConfig::Part { share: 0.26 }.count(20, 15), 6);
        assert_eq!(AskedConfig::Part { share: 0.75 }.count(20, 15), 15);
        assert_eq!(
            [AskedConfig::Hidden {}, AskedConfig::All {}].map(|a| a.count(20, 15)),
            [15, 20]
        );
    }

    #[test]
    fn a_share_that_is_not_hidden_is_refused() {
        let mask = RandomMask::new(GRID, 15).unwrap();
        AskedConfig::Part { share: 0.75 }.validate(&mask).unwrap();
        for share in [0.0, 0.8, -1.0, f64::NAN] {
            let message = AskedConfig::Part { share }.validate(&mask).unwrap_err().to_string();
            assert!(message.contains("hides 15 of the 20 cells of 4×5"), "{message}");
        }
    }
}
