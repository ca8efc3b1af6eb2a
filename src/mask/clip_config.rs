//! A mask strategy of clips by name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tube::rounded_down;
use super::{MaskStrategy, RandomMask, StepMask, TubeMask};
use crate::error::{Error, Result};
use crate::grid::ClipGrid;

/// The strategies for clips with their parameters, as in `{"strategy": "tube", "ratio": 0.9}`.
///
/// The value in brackets is what an absent field means; a field without one is required, and an
/// unknown field is an error. Ratios lie strictly between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ClipMaskConfig {
    /// [`TubeMask::videomae`].
    Tube {
        /// Hidden share of each step (0.9).
        #[serde(default = "ratio")]
        ratio: f64,
    },
    /// Cells of all steps at random, a share of them rounded down (MAE of video, arXiv 2205.09113
    /// §3 "Masking").
    Random {
        /// Hidden share (0.9).
        #[serde(default = "ratio")]
        ratio: f64,
    },
    /// [`StepMask::future`].
    Future {
        /// How many steps of time are hidden.
        steps: usize,
    },
    /// [`StepMask::random`].
    Steps {
        /// How many steps of time are hidden.
        steps: usize,
    },
}

impl ClipMaskConfig {
    /// The same strategy with another hidden share.
    ///
    /// # Errors
    ///
    /// When the strategy hides no share; names it.
    pub fn with_ratio(self, ratio: f64) -> Result<Self> {
        match self {
            Self::Tube { .. } => Ok(Self::Tube { ratio }),
            Self::Random { .. } => Ok(Self::Random { ratio }),
            Self::Future { .. } | Self::Steps { .. } => Err(Error::config(format!(
                "a mask ratio of {ratio} cannot be chosen for a mask of whole steps, {self:?}"
            ))),
        }
    }

    /// The strategy on the model's tubelets; its own grid is `grid.flat()`.
    ///
    /// # Errors
    ///
    /// When the strategy refuses its parameters.
    pub fn build(&self, grid: ClipGrid) -> Result<Arc<dyn MaskStrategy>> {
        Ok(match *self {
            Self::Tube { ratio } => Arc::new(TubeMask::videomae(grid, ratio)?),
            Self::Random { ratio } => {
                Arc::new(RandomMask::new(grid.flat(), rounded_down(grid.cells(), ratio)?)?)
            }
            Self::Future { steps } => Arc::new(StepMask::future(grid, steps)?),
            Self::Steps { steps } => Arc::new(StepMask::random(grid, steps)?),
        })
    }
}

fn ratio() -> f64 {
    0.9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::rng::{Purpose, stream};
    use proptest::prelude::*;

    fn read(json: &str) -> std::result::Result<ClipMaskConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_alone_means_the_papers_numbers() {
        let grid = ClipGrid::new(8, Grid::square(14));
        let hidden = |json| read(json).unwrap().build(grid).unwrap().hidden();
        assert_eq!(hidden(r#"{"strategy": "tube"}"#), 1408);
        assert_eq!(hidden(r#"{"strategy": "random"}"#), 1411);
        assert_eq!(hidden(r#"{"strategy": "future", "steps": 4}"#), 784);
        assert!(read(r#"{"strategy": "tube", "rato": 0.5}"#).unwrap_err().contains("rato"));
        assert!(read(r#"{"strategy": "steps"}"#).unwrap_err().contains("steps"));
        let config = ClipMaskConfig::Steps { steps: 3 };
        assert_eq!(read(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }

    proptest! {
        #[test]
        fn every_sample_hides_exactly_as_many_and_the_same_of_the_same_stream(
            times in 1usize..=7,
            rows in 1usize..=7,
            cols in 1usize..=7,
            ratio in 0.01f64..0.99,
            steps in 1usize..=7,
            seed: u64,
        ) {
            let grid = ClipGrid::new(times, Grid::new(rows, cols));
            for config in [
                ClipMaskConfig::Tube { ratio },
                ClipMaskConfig::Random { ratio },
                ClipMaskConfig::Future { steps },
                ClipMaskConfig::Steps { steps },
            ] {
                // What is refused hides nothing or everything.
                let Ok(strategy) = config.build(grid) else { continue };
                let expected = match config {
                    ClipMaskConfig::Tube { .. } => times * (ratio * (rows * cols) as f64) as usize,
                    ClipMaskConfig::Random { .. } => (ratio * grid.cells() as f64) as usize,
                    _ => steps * rows * cols,
                };
                let sample = |index| strategy.sample(&mut stream(seed, Purpose::Mask, 0, index));
                for index in 0..3 {
                    let mask = sample(index);
                    prop_assert_eq!(mask.grid(), grid.flat());
                    prop_assert_eq!((mask.hidden(), strategy.hidden()), (expected, expected));
                    prop_assert!(mask.hidden() > 0 && mask.visible() > 0);
                    prop_assert_eq!(&mask, &sample(index));
                    let mut frames = mask.bits().chunks(rows * cols);
                    match config {
                        ClipMaskConfig::Tube { .. } => {
                            let first = &mask.bits()[..rows * cols];
                            prop_assert!(frames.all(|frame| frame == first), "{}", mask);
                        }
                        ClipMaskConfig::Future { .. } | ClipMaskConfig::Steps { .. } => {
                            let is_whole = |frame: &[bool]| frame.iter().all(|bit| *bit == frame[0]);
                            prop_assert!(frames.all(is_whole), "{}", mask);
                        }
                        ClipMaskConfig::Random { .. } => {}
                    }
                }
            }
        }
    }
}
