//! A small residual convolutional network (He et al. 2015, arXiv 1512.03385).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{Backbone, GridTokens, check_channels};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{Init, InitialWeights, convolve, group_norm};

config! {
    /// Sizes of a [`ResidualNet`].
    #[derive(Debug, PartialEq)]
    pub struct ResidualConfig {
        /// Channels of the images; their size is free.
        pub channels: usize,
        /// Features of each stage; every stage but the first halves rows and columns. Default: 32,
        /// 64, 128
        pub widths: Vec<usize> = vec![32, 64, 128],
        /// Blocks in each stage. Default: 1
        pub blocks: usize = 1,
        /// Groups of every norm; must divide each width. Default: 8
        pub groups: usize = 8,
    }
}

impl ResidualConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { channels, ref widths, blocks, groups } = *self;
        ensure!(
            channels > 0 && !widths.is_empty() && blocks > 0,
            "a residual network needs channels, stages and blocks, got {channels} channels, {} \
             stages of {blocks} blocks",
            widths.len()
        );
        limits::at_most("channels", channels, limits::CHANNELS)?;
        limits::at_most("the number of stages", widths.len(), limits::STAGES)?;
        limits::at_most("blocks", blocks, limits::DEPTH)?;
        for &width in widths {
            limits::at_most("width", width, limits::WIDTH)?;
            limits::parameters(limits::product(&[blocks, width, width, 18]))?;
            ensure!(
                width > 0 && groups > 0 && width.is_multiple_of(groups),
                "{groups} groups of a norm do not divide a width of {width}"
            );
        }
        Ok(())
    }

    /// The grid it makes of an image.
    pub fn grid(&self, image: ImageShape) -> Grid {
        let halved = |side: usize| self.widths.iter().skip(1).fold(side, |s, _| s.div_ceil(2));
        Grid::new(halved(image.height), halved(image.width))
    }

    /// The network with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`ResidualConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> ResidualNet {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut width = self.widths[0];
        let init = keeping_variance(self.channels, 3);
        let stem = weights.conv2d([self.channels, width], 3, init);
        let mut blocks = Vec::new();
        for (stage, &next) in self.widths.iter().enumerate() {
            for block in 0..self.blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(ResidualBlock::new([width, next], stride, self.groups, weights));
                width = next;
            }
        }
        ResidualNet { stem, blocks, width }
    }
}

/// A 3 × 3 convolution, then residual blocks in stages of half the size each. It reads images of
/// any size, and one cell of its grid is 2^(stages − 1) pixels wide.
///
/// Norms are over groups of channels of one image (arXiv 1803.08494), not over the batch: the
/// network stays a function of the image alone. The first convolution has none, or how bright a
/// small image is would be lost to all that follows.
#[derive(Module, Debug)]
pub struct ResidualNet {
    /// The first convolution.
    pub stem: Conv2d,
    /// The blocks of all stages.
    pub blocks: Vec<ResidualBlock>,
    width: usize,
}

impl ResidualNet {
    /// The last stage's features.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, features, rows, columns]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(self.first(images), |features, block| block.forward(features))
    }

    /// What goes into the first block.
    fn first(&self, images: Tensor<4>) -> Tensor<4> {
        check_channels(&images, self.stem.weight.dims()[1]);
        relu(convolve(&self.stem, images))
    }

    /// What goes into the first block, and what comes out of each of the first `count`.
    fn maps(&self, images: Tensor<4>, count: usize) -> Vec<Tensor<4>> {
        let all = self.blocks.len();
        assert!(count <= all, "a residual network of {all} blocks has no features {count}");
        let mut maps = vec![self.first(images)];
        for (index, block) in self.blocks[..count].iter().enumerate() {
            maps.push(block.forward(maps[index].clone()));
        }
        maps
    }
}

impl Backbone for ResidualNet {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        as_tokens(self.forward(images))
    }

    /// 0 is the first convolution's; each stage has a grid and a width of its own.
    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let maps = self.maps(images, layers.iter().copied().max().unwrap_or(0));
        layers.iter().map(|&layer| as_tokens(maps[layer].clone())).collect()
    }

    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        let all = self.blocks.len();
        let last = |&layer: &usize| layer == all || self.blocks[layer].first.conv.stride[0] > 1;
        self.represent_layers(images, &(1..=all).filter(last).collect::<Vec<_>>())
    }

    fn width(&self) -> usize {
        self.width
    }

    fn describe(&self) -> String {
        format!("residual network of {} features, {} blocks", self.width, self.blocks.len())
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn layer_of(&self, parameter: &str) -> usize {
        let block = parameter.strip_prefix("blocks.").and_then(|rest| rest.split('.').next());
        block.and_then(|index| index.parse().ok()).map_or(0, |index: usize| index + 1)
    }
}

/// A map of features, `[batch, features, rows, columns]`, cell by cell.
fn as_tokens(features: Tensor<4>) -> GridTokens {
    let [_, _, rows, cols] = features.dims();
    let tokens = features.flatten::<3>(2, 3).swap_dims(1, 2);
    GridTokens { tokens, class_token: None, grid: Grid::new(rows, cols) }
}

/// x' + norm(conv(relu(norm(conv(x))))) and a relu, x' being x or, where the shape changes, its
/// projection.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// 3 × 3, and the stage's stride.
    pub first: ConvNorm,
    /// 3 × 3.
    pub second: ConvNorm,
    /// 1 × 1, where the shape changes.
    pub projection: Option<ConvNorm>,
}

impl ResidualBlock {
    fn new(widths: [usize; 2], stride: usize, groups: usize, weights: &mut InitialWeights) -> Self {
        let [from, to] = widths;
        let changes = from != to || stride > 1;
        Self {
            first: ConvNorm::new(widths, 3, stride, groups, weights),
            second: ConvNorm::new([to, to], 3, 1, groups, weights),
            projection: changes.then(|| ConvNorm::new(widths, 1, stride, groups, weights)),
        }
    }

    fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let branch = self.second.forward(self.first.rectified(features.clone()));
        let identity = match &self.projection {
            Some(projection) => projection.forward(features),
            None => features,
        };
        relu(identity + branch)
    }
}

/// A convolution without bias and the norm that has one.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: Conv2d,
    /// Over groups of the outputs.
    pub norm: GroupNorm,
}

impl ConvNorm {
    fn new(
        [inputs, outputs]: [usize; 2],
        side: usize,
        stride: usize,
        groups: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        let init = keeping_variance(inputs, side);
        let conv = weights.conv2d_without_bias([inputs, outputs], side, init);
        Self {
            conv: Conv2d { stride: [stride; 2], ..conv },
            norm: GroupNormConfig::new(groups, outputs).init(weights.device()),
        }
    }

    fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        group_norm(&self.norm, convolve(&self.conv, features), false)
    }

    /// With a relu after it.
    fn rectified(&self, features: Tensor<4>) -> Tensor<4> {
        group_norm(&self.norm, convolve(&self.conv, features), true)
    }
}

/// The start of a convolution that keeps the variance through rectifiers.
fn keeping_variance(inputs: usize, side: usize) -> Init {
    Init::of_fan_in(inputs * side * side, 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn config(channels: usize) -> ResidualConfig {
        ResidualConfig::new(channels).with_widths(vec![8, 16, 16]).with_blocks(2)
    }

    fn net(channels: usize) -> ResidualNet {
        config(channels).init(&mut InitialWeights::new(0, &test_device()))
    }

    fn images(channels: usize, height: usize, width: usize) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([2, channels, height, width], init).val()
    }

    #[test]
    fn any_image_becomes_a_grid_of_a_quarter_of_its_sides() {
        for (channels, size, grid) in
            [(1, (8, 8), (2, 2)), (3, (12, 20), (3, 5)), (5, (7, 30), (2, 8))]
        {
            let features = net(channels).represent(images(channels, size.0, size.1));
            assert_eq!(features.grid, Grid::new(grid.0, grid.1));
            let image = ImageShape::new(channels, size.0, size.1);
            assert_eq!(config(channels).grid(image), features.grid);
            assert_eq!(features.tokens.dims(), [2, grid.0 * grid.1, 16]);
        }
    }

    #[test]
    fn tokens_are_row_major_over_the_grid() {
        let net = net(2);
        let images = images(2, 8, 12);
        let tokens = net.represent(images.clone()).tokens;
        let last = tokens.slice([1..2, 4..5, 0..16]).into_data();
        let cell = net.forward(images).slice([1..2, 0..16, 1..2, 1..2]).reshape([1, 1, 16]);
        cell.into_data().assert_eq(&last, true);
    }

    #[test]
    #[cfg(feature = "flex")]
    fn convolutions_and_norms_are_computed_by_kernels() {
        let (net, images) = (net(2), images(2, 8, 8));
        let before = crate::kernel::taken();
        net.represent(images);
        // The stem, and of six blocks two convolutions and norms each, and two projections with theirs.
        assert_eq!(crate::kernel::taken() - before, 1 + 6 * 4 + 2 * 2);
    }

    #[test]
    fn an_image_is_read_alone() {
        let images = images(3, 8, 8);
        let both = net(3).represent(images.clone()).tokens.narrow(0, 0, 1).into_data();
        net(3).represent(images.narrow(0, 0, 1)).tokens.into_data().assert_eq(&both, true);
    }

    #[test]
    fn the_brightness_of_an_image_of_one_color_reaches_the_features() {
        let gray = |level: f32| {
            let images = Tensor::full([1, 1, 8, 8], level, &test_device());
            net(1).represent(images).mean_pool()
        };
        let largest = (gray(1.0) - gray(2.0)).abs().max().into_scalar::<f32>();
        assert!(largest > 0.05, "{largest}");
    }

    #[test]
    fn every_parameter_belongs_to_the_stem_or_a_block() {
        let net = net(3);
        assert_eq!((net.layers(), net.width()), (6, 16));
        assert_eq!(net.layer_of("stem.weight"), 0);
        assert_eq!(net.layer_of("blocks.0.first.conv.weight"), 1);
        assert_eq!(net.layer_of("blocks.5.second.norm.gamma"), 6);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: ResidualConfig| config.validate().unwrap_err().to_string();
        let base = || ResidualConfig::new(3);
        assert!(broken(base().with_groups(5)).contains("5 groups of a norm do not divide"));
        assert!(broken(base().with_widths(vec![])).contains("0 stages"));
        assert!(broken(ResidualConfig::new(0)).contains("got 0 channels"));
    }
}
