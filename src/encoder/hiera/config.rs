//! Hiera's sizes.

use super::sizes::{area, to_the};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::nn::check_norm_epsilon;

config! {
    /// The sizes of a Hiera (arXiv 2306.00989 §3). Pairs are of rows and columns.
    #[derive(Debug, PartialEq)]
    pub struct HieraConfig {
        /// The images it is made for; it reads others of the same channels as well.
        pub image: ImageShape,
        /// Features per token in the first stage; each further stage has twice as many as the one
        /// before.
        pub width: usize,
        /// Blocks of each stage.
        pub depths: Vec<usize>,
        /// Attention heads of each stage.
        pub heads: Vec<usize>,
        /// Which stages attend within windows of a mask unit each; the first block of a stage does so
        /// too where the stage before does.
        pub unit_attention: Vec<bool>,
        /// The pixels that make a token. Default: 7 × 7
        pub patch_kernel: [usize; 2] = [7, 7],
        /// The pixels from one token to the next. Default: 4 × 4
        pub patch_stride: [usize; 2] = [4, 4],
        /// Zeros around an image on each side. Default: 3 × 3
        pub patch_padding: [usize; 2] = [3, 3],
        /// The tokens of which one is made where a stage pools. Default: 2 × 2
        pub query_stride: [usize; 2] = [2, 2],
        /// The tokens of a mask unit, a multiple of `query_stride` to the power of the stages less
        /// one. Default: 8 × 8
        pub unit: [usize; 2] = [8, 8],
        /// The stages that begin by pooling: the second and those after it. Default: 3; a masked
        /// autoencoder has one less than it has stages to pool
        pub pools: usize = 3,
        /// Width of the MLP between its layers, over a stage's width. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// Epsilon of all norms. Default: 1e-6
        pub norm_epsilon: f64 = 1e-6,
        /// Drop-path probability of the last block, growing linearly from 0 at the first. Default:
        /// 0
        pub drop_path: f64 = 0.0,
    }
}

impl HieraConfig {
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
        self.validate_patches()?;
        self.validate_units()?;
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
        self.check_sizes()?;
        self.check_windows(self.grid().cells())
    }

    /// The rules of what changes from stage to stage.
    fn validate_stages(&self) -> Result<()> {
        let Self { width, depths, heads, unit_attention, .. } = self;
        let stages = depths.len();
        let most = stages.max(heads.len()).max(unit_attention.len());
        limits::at_most("the number of stages", most, limits::STAGES)?;
        limits::at_most("width", *width, limits::WIDTH)?;
        ensure!(
            stages > 0 && !depths.contains(&0) && stages == heads.len(),
            "every stage needs blocks and heads, got depths {depths:?} and heads {heads:?}"
        );
        ensure!(
            unit_attention.len() == stages,
            "unit_attention says for each of {stages} stages whether it attends within mask units, got \
             {unit_attention:?}"
        );
        ensure!(
            self.pools < stages,
            "all stages but the first may pool: {stages} stages cannot have {} that do",
            self.pools
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

    /// The rules of what the pixels of an image become.
    fn validate_patches(&self) -> Result<()> {
        let Self {
            image, patch_kernel: kernel, patch_stride: stride, patch_padding: padding, ..
        } = self;
        for (axis, (name, pixels)) in
            [("height", image.height), ("width", image.width)].into_iter().enumerate()
        {
            let (kernel, stride, padding) = (kernel[axis], stride[axis], padding[axis]);
            limits::counts("patch_kernel", kernel, limits::SIDE)?;
            limits::counts("patch_stride", stride, limits::SIDE)?;
            limits::at_most("patch_padding", padding, limits::SIDE)?;
            let whole = pixels.is_multiple_of(stride);
            let made = (pixels + 2 * padding).checked_sub(kernel).map(|left| left / stride + 1);
            ensure!(
                whole && made == Some(pixels / stride),
                "an image of a {name} of {pixels} pixels does not make a token of every {stride}: \
                 patches of {kernel} with {padding} zeros on each side make {}",
                made.unwrap_or(0)
            );
        }
        Ok(())
    }

    /// The rules of mask units and of what is pooled within them.
    fn validate_units(&self) -> Result<()> {
        let Self { query_stride, unit, depths, .. } = self;
        let grid = self.grid();
        for (axis, tokens) in [grid.rows, grid.cols].into_iter().enumerate() {
            limits::counts("query_stride", query_stride[axis], limits::SIDE)?;
            limits::counts("the side of a mask unit", unit[axis], limits::SIDE)?;
            let group = to_the(query_stride[axis], depths.len() - 1);
            let needs = |what: &str, of: usize| {
                format!(
                    "{what} of {of} tokens is no multiple of {group}, which a query_stride of {} in {} \
                     stages makes one",
                    query_stride[axis],
                    depths.len()
                )
            };
            ensure!(unit[axis].is_multiple_of(group), "{}", needs("a mask unit", unit[axis]));
            ensure!(tokens.is_multiple_of(group), "{}", needs("a grid", tokens));
        }
        Ok(())
    }

    /// The limits of memory.
    fn check_sizes(&self) -> Result<()> {
        let (grid, kernel) = (self.grid(), self.patch_kernel);
        limits::at_most("the number of tokens", grid.cells(), limits::CELLS)?;
        let depth = self.depths.iter().fold(0, |sum: usize, &depth| sum.saturating_add(depth));
        limits::at_most("the blocks of all stages", depth, limits::DEPTH)?;
        let patch = [self.image.channels, kernel[0], kernel[1], self.width];
        limits::parameters(limits::product(&patch))?;
        limits::parameters(limits::product(&[grid.cells(), self.width]))?;
        for (stage, &depth) in self.depths.iter().enumerate() {
            limits::blocks(depth, self.stage_width(stage), self.mlp_width(stage))?;
        }
        Ok(())
    }

    /// Checks that the windows of every block are of equally many of `tokens`.
    pub(super) fn check_windows(&self, tokens: usize) -> Result<()> {
        for (stage, &depth) in self.depths.iter().enumerate() {
            let mut left = tokens / self.pooled_area(stage.saturating_sub(1));
            for block in 0..depth.min(2) {
                let attends = self.attends(stage, block);
                let windows = attends.windows(left);
                limits::at_most("the tokens of a window", left / windows.max(1), limits::TOKENS)?;
                ensure!(
                    windows > 0 && left.is_multiple_of(windows) && (left / windows) >= attends.pool,
                    "the {left} tokens of stage {stage} are no windows of {} tokens each",
                    attends.pool * attends.window.unwrap_or(left)
                );
                left /= attends.pool;
            }
        }
        Ok(())
    }

    /// Checks that mask units can be hidden.
    ///
    /// # Errors
    ///
    /// When a mask unit is more than the tokens that all stages could make one.
    pub(crate) fn check_units(&self) -> Result<()> {
        let (unit, group) = (self.unit, self.group());
        ensure!(
            unit == group,
            "mask units of {}×{} tokens cannot be hidden, only of {}×{}: what a query_stride of \
             {:?} in {} stages makes one",
            unit[0],
            unit[1],
            group[0],
            group[1],
            self.query_stride,
            self.depths.len()
        );
        Ok(())
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

    /// The tokens of the image that make one token of a stage.
    pub(super) fn pooled_area(&self, stage: usize) -> usize {
        area(self.query_stride.map(|stride| to_the(stride, stage.min(self.pools))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    fn config() -> HieraConfig {
        let image = ImageShape::new(3, 16, 32);
        HieraConfig::new(image, 8, vec![1, 2, 1], vec![1, 2, 4], vec![true, false, false])
            .with_patch_kernel([3, 3])
            .with_patch_stride([2, 2])
            .with_patch_padding([1, 1])
            .with_unit([4, 4])
            .with_pools(1)
    }

    #[test]
    fn a_stage_that_pools_has_fewer_and_every_stage_wider_tokens() {
        let config = config();
        config.validate().unwrap();
        assert_eq!((config.grid(), config.units()), (Grid::new(8, 16), Grid::new(2, 4)));
        assert_eq!([0, 1, 2].map(|stage| config.stage_grid(stage).cells()), [128, 32, 32]);
        assert_eq!((config.output_width(), config.mlp_width(1)), (32, 64));
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: HieraConfig| config.validate().unwrap_err().to_string();
        let message = broken(HieraConfig { heads: vec![1, 2, 5], ..config() });
        assert!(message.contains("5 heads do not divide the width of 32 of stage 2"), "{message}");
        let message = broken(HieraConfig { depths: vec![2], ..config() });
        assert!(message.contains("depths [2] and heads [1, 2, 4]"), "{message}");
        let message = broken(HieraConfig { unit_attention: vec![true], ..config() });
        assert!(message.contains("for each of 3 stages"), "{message}");
        let message = broken(config().with_pools(3));
        assert!(message.contains("3 stages cannot have 3 that do"), "{message}");
        let message = broken(config().with_image(ImageShape::new(3, 15, 32)));
        assert!(
            message.contains("a height of 15 pixels does not make a token of every 2"),
            "{message}"
        );
        let message = broken(config().with_patch_padding([1, 0]));
        assert!(
            message.contains("a width of 32 pixels") && message.contains("make 15"),
            "{message}"
        );
        let message = broken(config().with_unit([4, 6]));
        assert!(message.contains("a mask unit of 6 tokens is no multiple of 4"), "{message}");
        let message = broken(config().with_image(ImageShape::new(3, 16, 20)));
        assert!(message.contains("a grid of 10 tokens is no multiple of 4"), "{message}");
        assert!(broken(config().with_mlp_ratio(0.0)).contains("mlp_ratio of 0"));
        assert!(broken(config().with_drop_path(1.0)).contains("[0, 1), got 1"));
        assert!(
            broken(config().with_query_stride([0, 2])).contains("query_stride must be at least 1")
        );
    }

    #[test]
    fn a_config_survives_json() {
        let json = serde_json::to_string(&config()).unwrap();
        assert_eq!(serde_json::from_str::<HieraConfig>(&json).unwrap(), config());
    }
}
