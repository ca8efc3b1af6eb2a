//! ConvNeXt V2's sizes.

use crate::config::config;
use crate::encoder::Stack;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{DropPath, check_norm_epsilon};

use super::block::EXPANSION;

config! {
    /// The sizes of a ConvNeXt V2 (arXiv 2301.00808 §A.1).
    #[derive(Debug, PartialEq)]
    pub struct ConvNextV2Config {
        /// The images it is made for; it reads others of the same channels as well.
        pub image: ImageShape,
        /// Side of the stem's patches in pixels.
        pub patch: usize,
        /// Features of each stage; every stage but the first halves rows and columns.
        pub widths: Vec<usize>,
        /// Blocks of each stage.
        pub depths: Vec<usize>,
        /// Epsilon of the norm of pooled features that published models have above the last stage;
        /// `None` for a network without it, as in pre-training. All other norms have 1e-6. Default:
        /// none
        pub pooled_norm: Option<f64> = None,
        /// Drop-path probability of the last block, growing linearly from 0 at the first. Default:
        /// 0
        pub drop_path: f64 = 0.0,
    }
}

impl ConvNextV2Config {
    /// The same sizes for other images.
    pub fn with_image(self, image: ImageShape) -> Self {
        Self { image, ..self }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        limits::image(self.image)?;
        self.validate_stages()?;
        ensure!(
            (0.0..1.0).contains(&(self.drop_path as f32)),
            "drop_path must be in [0, 1), got {:?}",
            self.drop_path
        );
        self.pooled_norm.map_or(Ok(()), check_norm_epsilon)?;
        self.check_sizes()
    }

    /// The rules of what changes from stage to stage.
    fn validate_stages(&self) -> Result<()> {
        let Self { image, patch, ref widths, ref depths, .. } = *self;
        limits::at_most("the number of stages", depths.len().max(widths.len()), limits::STAGES)?;
        ensure!(
            !depths.is_empty()
                && depths.len() == widths.len()
                && depths.iter().chain(widths).all(|&count| count > 0),
            "every stage needs blocks and features, got depths {depths:?} and widths {widths:?}"
        );
        let halvings = depths.len() - 1;
        let side = |pixels: usize| pixels.checked_div(patch).unwrap_or(0) >> halvings;
        ensure!(
            side(image.height) > 0 && side(image.width) > 0,
            "an image of {}×{} pixels has no cell left after patches of {patch} and {halvings} \
             halvings",
            image.height,
            image.width
        );
        Ok(())
    }

    /// The limits of memory.
    fn check_sizes(&self) -> Result<()> {
        let Self { image, patch, ref widths, ref depths, .. } = *self;
        limits::at_most("the number of patches", self.grid(0).cells(), limits::CELLS)?;
        let depth = depths.iter().fold(0, |sum: usize, &depth| sum.saturating_add(depth));
        limits::at_most("the blocks of all stages", depth, limits::DEPTH)?;
        let stem = limits::product(&[image.channels, patch, patch, widths[0]]);
        limits::parameters(stem)?;
        let mut before = widths[0];
        for (&width, &depth) in widths.iter().zip(depths) {
            limits::at_most("width", width, limits::WIDTH)?;
            limits::parameters(limits::product(&[4, before, width]))?;
            limits::parameters(limits::product(&[depth, 2 * EXPANSION, width, width]))?;
            before = width;
        }
        Ok(())
    }

    /// The grid of a stage, counted from 0, over the images that it is made for: pixels and cells at
    /// the border that are too few for a whole one do not count.
    pub fn grid(&self, stage: usize) -> Grid {
        let side = |pixels: usize| (pixels / self.patch) >> stage;
        Grid::new(side(self.image.height), side(self.image.width))
    }

    /// Side of a cell of the features in pixels.
    pub fn stride(&self) -> usize {
        self.patch << (self.depths.len() - 1)
    }

    /// Features per token after the last stage.
    pub fn output_width(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// The blocks of each stage.
    pub fn stacks(&self) -> Vec<Stack> {
        let stages = self.depths.iter().zip(&self.widths).enumerate();
        let stack = |(stage, (&blocks, &width)): (usize, (&usize, &usize))| Stack {
            tokens: self.grid(stage).cells(),
            width,
            mlp_width: EXPANSION * width,
            blocks,
        };
        stages.map(stack).collect()
    }

    /// The blocks of the stages before `stage`.
    pub(super) fn blocks_before(&self, stage: usize) -> usize {
        self.depths[..stage].iter().sum()
    }

    /// The drop-path probability of a block, counted from 0 over all stages.
    pub(super) fn block_drop_path(&self, block: usize) -> f64 {
        DropPath::growing_to(self.drop_path, block, self.depths.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ConvNextV2Config {
        ConvNextV2Config::new(ImageShape::new(3, 33, 50), 4, vec![8, 12], vec![2, 3])
    }

    #[test]
    fn every_stage_halves_the_grid_and_leaves_out_what_is_no_whole_cell() {
        let config = config();
        config.validate().unwrap();
        assert_eq!((config.grid(0), config.grid(1)), (Grid::new(8, 12), Grid::new(4, 6)));
        assert_eq!((config.output_width(), config.stride()), (12, 8));
        assert_eq!(config.stacks()[1].tokens, 24);
    }

    #[test]
    fn drop_path_grows_linearly_over_all_stages() {
        let config = config().with_drop_path(0.4);
        let rates: Vec<_> = (0..5).map(|block| config.block_drop_path(block)).collect();
        let expected = [0.0, 0.1, 0.2, 0.3, 0.4];
        assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: ConvNextV2Config| config.validate().unwrap_err().to_string();
        let message = broken(ConvNextV2Config { depths: vec![2], ..config() });
        assert!(message.contains("depths [2] and widths [8, 12]"), "{message}");
        let message = broken(ConvNextV2Config { widths: vec![8, 0], ..config() });
        assert!(message.contains("widths [8, 0]"), "{message}");
        let message = broken(config().with_image(ImageShape::new(3, 7, 48)));
        assert!(message.contains("7×48 pixels has no cell left"), "{message}");
        assert!(broken(ConvNextV2Config { patch: 0, ..config() }).contains("patches of 0"));
        assert!(broken(config().with_drop_path(1.0)).contains("[0, 1), got 1"));
        assert!(broken(config().with_pooled_norm(Some(0.0))).contains("norm_epsilon"));
        let message = broken(ConvNextV2Config { widths: vec![usize::MAX, 8], ..config() });
        assert!(message.contains("must be at most"), "{message}");
    }

    #[test]
    fn a_config_survives_json() {
        let json = serde_json::to_string(&config()).unwrap();
        assert_eq!(serde_json::from_str::<ConvNextV2Config>(&json).unwrap(), config());
    }
}
