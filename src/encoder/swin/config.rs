//! Swin's sizes.

use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{AttentionConfig, DropPath, Init, QkvBias, check_norm_epsilon};

/// The initial values of every matrix except the patch embedding (official code).
const INIT: Init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };

config! {
    /// The sizes of a Swin transformer (arXiv 2103.14030).
    #[derive(Debug, PartialEq)]
    pub struct SwinConfig {
        /// The images it is made for; it reads others of the same channels as well.
        pub image: ImageShape,
        /// Side of a patch in pixels.
        pub patch: usize,
        /// Features per token in the first stage; each further stage has twice as many as the one
        /// before.
        pub width: usize,
        /// Blocks of each stage.
        pub depths: Vec<usize>,
        /// Attention heads of each stage.
        pub heads: Vec<usize>,
        /// Side of a window in tokens.
        pub window: usize,
        /// Width of the MLP between its layers, over a stage's width. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// Epsilon of the blocks' norms and the last one; patch embedding and merging have 1e-5.
        /// Default: 1e-5
        pub norm_epsilon: f64 = 1e-5,
        /// Whether query and value have a bias; in Swin, not in Swin-v2, the key as well. Default:
        /// true
        pub qkv_bias: bool = true,
        /// Whether learned absolute positions are added to the patches. Default: false
        pub absolute_positions: bool = false,
        /// Drop-path probability of the last block, growing linearly from 0 at the first. Default:
        /// 0
        pub drop_path: f64 = 0.0,
    }
}

impl SwinConfig {
    /// The same sizes for other images.
    pub fn with_image(self, image: ImageShape) -> Self {
        Self { image, ..self }
    }

    /// The same sizes with another window.
    pub fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        limits::image(self.image)?;
        ensure!(self.window > 0, "a window needs at least one token");
        self.validate_stages()?;
        ensure!(
            self.mlp_width(0) > 0,
            "an mlp_ratio of {:?} leaves no MLP for a width of {}",
            self.mlp_ratio,
            self.width
        );
        ensure!(
            (0.0..1.0).contains(&(self.drop_path as f32)),
            "drop_path must be in [0, 1), got {:?}",
            self.drop_path
        );
        check_norm_epsilon(self.norm_epsilon)?;
        self.check_sizes()
    }

    /// The rules of what changes from stage to stage.
    fn validate_stages(&self) -> Result<()> {
        let Self { image, patch, ref depths, ref heads, .. } = *self;
        limits::at_most("the number of stages", depths.len().max(heads.len()), limits::STAGES)?;
        limits::at_most("width", self.width, limits::WIDTH)?;
        ensure!(
            !depths.is_empty() && !depths.contains(&0) && depths.len() == heads.len(),
            "every stage needs blocks and heads, got depths {depths:?} and heads {heads:?}"
        );
        let mergings = depths.len() - 1;
        let side = |pixels: usize| pixels.checked_div(patch).unwrap_or(0) >> mergings;
        ensure!(
            side(image.height) > 0 && side(image.width) > 0,
            "an image of {}×{} pixels has no token left after patches of {patch} and {mergings} \
             mergings",
            image.height,
            image.width
        );
        for (stage, &heads) in heads.iter().enumerate() {
            let width = self.stage_width(stage);
            ensure!(
                heads > 0 && width > 0 && width.is_multiple_of(heads),
                "{heads} heads do not divide the width of {width} of stage {stage}"
            );
        }
        Ok(())
    }

    /// The limits of memory.
    fn check_sizes(&self) -> Result<()> {
        let grid = self.grid();
        limits::at_most("the number of patches", grid.cells(), limits::CELLS)?;
        limits::at_most("window", self.window, limits::SIDE)?;
        let pairs = limits::product(&[self.window; 4]);
        let depth = self.depths.iter().fold(0, |sum: usize, &depth| sum.saturating_add(depth));
        limits::at_most("the blocks of all stages", depth, limits::DEPTH)?;
        let pairs = limits::product(&[pairs, depth]);
        let what = "window⁴ times the number of blocks, the relative positions,";
        limits::at_most(what, pairs, limits::PAIRS)?;
        let patch = [self.image.channels, self.patch, self.patch, self.width];
        limits::parameters(limits::product(&patch))?;
        for (stage, &depth) in self.depths.iter().enumerate() {
            limits::blocks(depth, self.stage_width(stage), self.mlp_width(stage))?;
        }
        Ok(())
    }

    /// The grid of whole patches; pixels at the border that are too few for a patch do not count.
    pub fn grid(&self) -> Grid {
        Grid::new(self.image.height / self.patch, self.image.width / self.patch)
    }

    /// Side of a cell of the features in pixels.
    pub fn stride(&self) -> usize {
        self.patch << (self.depths.len() - 1)
    }

    /// Features per token after the last stage.
    pub fn output_width(&self) -> usize {
        self.stage_width(self.depths.len() - 1)
    }

    /// Features per token in a stage, counted from 0.
    pub fn stage_width(&self, stage: usize) -> usize {
        self.width << stage
    }

    /// Features between the two layers of a stage's MLPs.
    pub fn mlp_width(&self, stage: usize) -> usize {
        (self.stage_width(stage) as f64 * self.mlp_ratio) as usize
    }

    /// The attention layers of a stage.
    pub(in crate::encoder) fn attention(&self, stage: usize, qkv_bias: QkvBias) -> AttentionConfig {
        AttentionConfig {
            qkv_bias: if self.qkv_bias { qkv_bias } else { QkvBias::None },
            ..AttentionConfig::new(self.stage_width(stage), self.heads[stage], INIT)
        }
    }

    /// The drop-path probability of a block of a stage, both counted from 0.
    pub(in crate::encoder) fn block_drop_path(&self, stage: usize, block: usize) -> f64 {
        let total: usize = self.depths.iter().sum();
        let before: usize = self.depths[..stage].iter().sum();
        DropPath::growing_to(self.drop_path, before + block, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SwinConfig {
        SwinConfig::new(ImageShape::new(3, 32, 48), 4, 8, vec![2, 3], vec![2, 4], 3)
    }

    #[test]
    fn every_stage_doubles_the_width_and_halves_the_grid() {
        let config = config();
        config.validate().unwrap();
        assert_eq!((config.stage_width(0), config.output_width(), config.stride()), (8, 16, 8));
        assert_eq!((config.grid(), config.mlp_width(1)), (Grid::new(8, 12), 64));
    }

    #[test]
    fn drop_path_grows_linearly_over_all_stages() {
        let config = config().with_drop_path(0.4);
        let rates =
            [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)].map(|(s, b)| config.block_drop_path(s, b));
        let expected = [0.0, 0.1, 0.2, 0.3, 0.4];
        assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: SwinConfig| config.validate().unwrap_err().to_string();
        let message = broken(SwinConfig { heads: vec![2, 5], ..config() });
        assert!(message.contains("5 heads do not divide the width of 16 of stage 1"), "{message}");
        let message = broken(SwinConfig { depths: vec![2], ..config() });
        assert!(message.contains("depths [2] and heads [2, 4]"), "{message}");
        let message = broken(config().with_image(ImageShape::new(3, 7, 48)));
        assert!(message.contains("7×48 pixels has no token left"), "{message}");
        assert!(broken(config().with_window(0)).contains("at least one token"));
        assert!(broken(config().with_mlp_ratio(0.0)).contains("mlp_ratio of 0"));
        assert!(broken(config().with_drop_path(1.0)).contains("[0, 1), got 1"));
    }

    #[test]
    fn a_config_survives_json() {
        let json = serde_json::to_string(&config()).unwrap();
        assert_eq!(serde_json::from_str::<SwinConfig>(&json).unwrap(), config());
    }
}
