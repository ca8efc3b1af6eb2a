//! A mask strategy by name: the run-time choice of recipes and command lines.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BlockMask, FixedMask, InverseBlockMask, MaskStrategy, RandomMask, RegionMask, UniformMask,
    UnitMask,
};
use crate::error::{Error, Result};
use crate::grid::{Grid, ImageShape};

/// The built-in strategies with their parameters, as in `{"strategy": "simmim", "unit": 32}`.
///
/// The value in brackets is what an absent field means; a field without one is required, and an
/// unknown field is an error. `unit` is the side of a mask unit in pixels, a multiple of the model's
/// patch that divides the image. Ratios lie strictly between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MaskConfig {
    /// [`RandomMask::mae`] on the model's patches.
    Mae {
        /// Hidden share (0.75).
        #[serde(default = "mae_ratio")]
        ratio: f64,
    },
    /// [`RandomMask::simmim`].
    Simmim {
        /// Mask unit in pixels (32).
        #[serde(default = "simmim_unit")]
        unit: usize,
        /// Hidden share (0.6).
        #[serde(default = "simmim_ratio")]
        ratio: f64,
    },
    /// [`BlockMask::beit`] on the model's patches.
    Beit {},
    /// [`BlockMask::with_ratio`].
    Block {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Hidden share.
        ratio: f64,
        /// Cells of the smallest block (16).
        #[serde(default = "beit_min_block")]
        min_block: usize,
        /// The narrowest aspect ratio (0.3).
        #[serde(default = "beit_aspect")]
        aspect: f64,
    },
    /// [`InverseBlockMask::new`].
    InverseBlock {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Hidden share.
        ratio: f64,
        /// Side of a block, in mask units (3).
        #[serde(default = "inverse_side")]
        side: usize,
        /// Share of all cells that blocks are drawn for beyond the visible ones (0).
        #[serde(default)]
        adjust: f64,
    },
    /// [`RegionMask::central_ratio`].
    Central {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Hidden share.
        ratio: f64,
    },
    /// [`RegionMask::border_ratio`].
    Border {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Hidden share.
        ratio: f64,
    },
    /// [`RegionMask::square`].
    Square {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Side of the square, in mask units.
        side: usize,
    },
    /// [`UniformMask::new`], or [`UniformMask::with_secondary`] when `secondary` is given.
    Uniform {
        /// Mask unit in pixels (the model's patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<usize>,
        /// Share of the kept cells to hide after all (none; the paper's is 0.25).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secondary: Option<f64>,
    },
    /// [`FixedMask`].
    Fixed {
        /// The mask's grid; the model's patches must be a whole refinement of it.
        grid: Grid,
        /// Row-major indices of the hidden cells.
        hidden: Vec<usize>,
    },
}

impl MaskConfig {
    /// The same strategy with another hidden share.
    ///
    /// # Errors
    ///
    /// When the strategy has no ratio that could be chosen.
    pub fn with_ratio(mut self, share: f64) -> Result<Self> {
        match &mut self {
            Self::Mae { ratio }
            | Self::Simmim { ratio, .. }
            | Self::Block { ratio, .. }
            | Self::InverseBlock { ratio, .. }
            | Self::Central { ratio, .. }
            | Self::Border { ratio, .. } => *ratio = share,
            Self::Beit {} | Self::Square { .. } | Self::Uniform { .. } | Self::Fixed { .. } => {
                return Err(Error::config(format!(
                    "a mask ratio of {share} cannot be chosen for {self:?}, which has no ratio"
                )));
            }
        }
        Ok(self)
    }

    /// The hidden share, for strategies with a ratio.
    pub fn ratio(&self) -> Option<f64> {
        match *self {
            Self::Mae { ratio }
            | Self::Simmim { ratio, .. }
            | Self::Block { ratio, .. }
            | Self::InverseBlock { ratio, .. }
            | Self::Central { ratio, .. }
            | Self::Border { ratio, .. } => Some(ratio),
            Self::Beit {} | Self::Square { .. } | Self::Uniform { .. } | Self::Fixed { .. } => None,
        }
    }

    /// Blocks of patches of the model, as BEiT draws them (Bao et al. 2021, algorithm 1): `ratio`
    /// of the patches, in blocks of at least `min_block` and aspect ratios from 0.3 on.
    pub const fn blocks(ratio: f64, min_block: usize) -> Self {
        Self::Block { unit: None, ratio, min_block, aspect: 0.3 }
    }

    /// All but blocks of 3 × 3 patches of the model, as data2vec 2.0 draws them (arXiv 2212.07525
    /// §3.2): `ratio` of the patches, with blocks for `adjust` more than the visible ones.
    pub const fn inverse_blocks(ratio: f64, adjust: f64) -> Self {
        Self::InverseBlock { unit: None, ratio, side: 3, adjust }
    }

    /// The strategy for images of shape `image`, which the model cuts into squares of `patch`
    /// pixels.
    ///
    /// # Errors
    ///
    /// When `patch` does not divide the image, a mask unit does not divide the image or is not a
    /// multiple of `patch`, or the strategy refuses its parameters.
    pub fn build(&self, image: ImageShape, patch: usize) -> Result<Arc<dyn MaskStrategy>> {
        let patches = image.grid(patch)?;
        let units = |unit: Option<usize>| {
            check_unit(unit.unwrap_or(patch), patch).and_then(|unit| image.grid(unit))
        };
        Ok(match *self {
            Self::Mae { ratio } => Arc::new(RandomMask::mae(patches, ratio)?),
            Self::Simmim { unit, ratio } => {
                Arc::new(RandomMask::simmim(image, check_unit(unit, patch)?, ratio)?)
            }
            Self::Beit {} => Arc::new(BlockMask::beit(patches)?),
            Self::Block { unit, ratio, min_block, aspect } => {
                Arc::new(BlockMask::with_ratio(units(unit)?, ratio, min_block, aspect)?)
            }
            Self::InverseBlock { unit, ratio, side, adjust } => {
                Arc::new(InverseBlockMask::new(units(unit)?, ratio, side, adjust)?)
            }
            Self::Central { unit, ratio } => {
                Arc::new(RegionMask::central_ratio(units(unit)?, ratio)?)
            }
            Self::Border { unit, ratio } => {
                Arc::new(RegionMask::border_ratio(units(unit)?, ratio)?)
            }
            Self::Square { unit, side } => Arc::new(RegionMask::square(units(unit)?, side)?),
            Self::Uniform { unit, secondary: None } => Arc::new(UniformMask::new(units(unit)?)?),
            Self::Uniform { unit, secondary: Some(ratio) } => {
                Arc::new(UniformMask::with_secondary(units(unit)?, ratio)?)
            }
            Self::Fixed { grid, ref hidden } => Arc::new(fixed(grid, hidden, patches)?),
        })
    }
}

/// `unit` itself, when it is a whole number of patches.
fn check_unit(unit: usize, patch: usize) -> Result<usize> {
    if !unit.is_multiple_of(patch) {
        return Err(Error::config(format!(
            "a mask unit of {unit} pixels is not a multiple of the model's patch of {patch} pixels"
        )));
    }
    Ok(unit)
}

fn fixed(grid: Grid, hidden: &[usize], patches: Grid) -> Result<FixedMask> {
    if grid.refinement(patches).is_none() {
        return Err(Error::config(format!(
            "a fixed mask of {grid} cannot be read on the model's grid of {patches}: rows and \
             columns must grow by the same whole factor"
        )));
    }
    FixedMask::new(UnitMask::from_indices(grid, hidden.iter().copied())?)
}

fn mae_ratio() -> f64 {
    0.75
}

fn simmim_unit() -> usize {
    32
}

fn simmim_ratio() -> f64 {
    0.6
}

fn beit_min_block() -> usize {
    16
}

fn inverse_side() -> usize {
    3
}

fn beit_aspect() -> f64 {
    0.3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The grid and the count of the strategy of `json` for a 224×224 image in 16-pixel patches.
    fn built(json: &str) -> (Grid, usize) {
        let config: MaskConfig = serde_json::from_str(json).unwrap();
        let strategy = config.build(ImageShape::square(3, 224), 16).unwrap();
        (strategy.grid(), strategy.hidden())
    }

    fn refused(json: &str, image: ImageShape, patch: usize) -> String {
        let config: MaskConfig = serde_json::from_str(json).unwrap();
        config.build(image, patch).unwrap_err().to_string()
    }

    #[test]
    fn a_name_alone_means_the_papers_numbers() {
        assert_eq!(built(r#"{"strategy": "mae"}"#), (Grid::square(14), 147));
        assert_eq!(built(r#"{"strategy": "simmim"}"#), (Grid::square(7), 30));
        assert_eq!(built(r#"{"strategy": "beit"}"#), (Grid::square(14), 75));
        assert_eq!(built(r#"{"strategy": "uniform"}"#), (Grid::square(14), 147));
    }

    #[test]
    fn parameters_reach_their_strategy() {
        let block = r#"{"strategy": "block", "unit": 32, "ratio": 0.4, "min_block": 4}"#;
        assert_eq!(built(block), (Grid::square(7), 20));
        let inverse = r#"{"strategy": "inverse-block", "ratio": 0.8, "adjust": 0.07}"#;
        assert_eq!(built(inverse), (Grid::square(14), 157));
        assert_eq!(built(r#"{"strategy": "central", "ratio": 0.25}"#), (Grid::square(14), 49));
        assert_eq!(built(r#"{"strategy": "border", "ratio": 0.75}"#), (Grid::square(14), 147));
        assert_eq!(built(r#"{"strategy": "square", "unit": 32, "side": 3}"#), (Grid::square(7), 9));
        assert_eq!(built(r#"{"strategy": "uniform", "secondary": 0.25}"#), (Grid::square(14), 160));
        let fixed = r#"{"strategy": "fixed", "grid": {"rows": 2, "cols": 2}, "hidden": [0, 3]}"#;
        assert_eq!(built(fixed), (Grid::square(2), 2));
    }

    #[test]
    fn every_variant_survives_a_round_trip_through_json() {
        let (unit, ratio) = (Some(32), 0.4);
        for config in [
            MaskConfig::Mae { ratio },
            MaskConfig::Simmim { unit: 16, ratio },
            MaskConfig::Beit {},
            MaskConfig::Block { unit, ratio, min_block: 9, aspect: 0.5 },
            MaskConfig::InverseBlock { unit, ratio, side: 2, adjust: 0.1 },
            MaskConfig::Central { unit, ratio },
            MaskConfig::Border { unit: None, ratio },
            MaskConfig::Square { unit, side: 3 },
            MaskConfig::Uniform { unit: None, secondary: Some(0.25) },
            MaskConfig::Fixed { grid: Grid::new(2, 1), hidden: vec![1] },
        ] {
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<MaskConfig>(&json).unwrap(), config, "{json}");
        }
        let json = serde_json::to_string(&MaskConfig::Simmim { unit: 32, ratio: 0.6 }).unwrap();
        assert_eq!(json, r#"{"strategy":"simmim","unit":32,"ratio":0.6}"#);
    }

    #[test]
    fn an_unknown_strategy_or_field_is_an_error() {
        for (json, culprit) in [
            (r#"{"strategy": "blok"}"#, "blok"),
            (r#"{"strategy": "mae", "rato": 0.6}"#, "rato"),
            (r#"{"strategy": "beit", "ratio": 0.4}"#, "ratio"),
            (r#"{"ratio": 0.4}"#, "strategy"),
            (r#"{"strategy": "central"}"#, "ratio"),
        ] {
            let message = serde_json::from_str::<MaskConfig>(json).unwrap_err().to_string();
            assert!(message.contains(culprit), "{message}");
        }
    }

    #[test]
    fn a_mask_unit_must_fit_the_patch_and_the_image() {
        let image = ImageShape::new(5, 96, 160);
        let message = refused(r#"{"strategy": "simmim"}"#, image, 24);
        assert!(message.contains("96×160") && message.contains("24"), "{message}");
        let message = refused(r#"{"strategy": "simmim", "unit": 24}"#, image, 16);
        assert!(
            message.contains("unit of 24 pixels") && message.contains("patch of 16"),
            "{message}"
        );
        let message = refused(r#"{"strategy": "simmim", "unit": 48}"#, image, 16);
        assert!(message.contains("96×160") && message.contains("48"), "{message}");
        let message = refused(r#"{"strategy": "uniform", "unit": 0}"#, image, 16);
        assert!(message.contains("squares of 0 pixels"), "{message}");
        assert!(refused(r#"{"strategy": "mae"}"#, image, 0).contains("squares of 0 pixels"));
    }

    #[test]
    fn a_fixed_mask_must_be_a_coarsening_of_the_models_grid() {
        let json = r#"{"strategy": "fixed", "grid": {"rows": 3, "cols": 3}, "hidden": [0]}"#;
        let message = refused(json, ImageShape::new(3, 96, 160), 16);
        assert!(message.contains("3×3") && message.contains("6×10"), "{message}");
    }
}
