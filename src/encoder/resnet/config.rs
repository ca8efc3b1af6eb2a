//! The sizes of a ResNet.

use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::limits;

config! {
    /// The sizes of a [`ResNet`](super::ResNet) (He et al. 2015, arXiv 1512.03385, Table 1).
    #[derive(Debug, PartialEq)]
    pub struct ResNetConfig {
        /// Channels of the images; their size is free.
        pub channels: usize,
        /// Blocks of each stage; every stage but the first halves rows and columns.
        pub depths: Vec<usize>,
        /// Features within the blocks of each stage.
        pub widths: Vec<usize>,
        /// Whether a block is a bottleneck of three convolutions, which leaves four times as many
        /// features; else it is of two.
        pub bottleneck: bool,
        /// Features of the first convolution. Default: 64
        pub stem: usize = 64,
    }
}

impl ResNetConfig {
    /// ResNet-18: 11 M parameters.
    pub fn resnet18(channels: usize) -> Self {
        Self::papers(channels, [2, 2, 2, 2], false)
    }

    /// ResNet-34: 21 M parameters.
    pub fn resnet34(channels: usize) -> Self {
        Self::papers(channels, [3, 4, 6, 3], false)
    }

    /// ResNet-50: 24 M parameters.
    pub fn resnet50(channels: usize) -> Self {
        Self::papers(channels, [3, 4, 6, 3], true)
    }

    /// ResNet-101: 43 M parameters.
    pub fn resnet101(channels: usize) -> Self {
        Self::papers(channels, [3, 4, 23, 3], true)
    }

    /// ResNet-152: 58 M parameters.
    pub fn resnet152(channels: usize) -> Self {
        Self::papers(channels, [3, 8, 36, 3], true)
    }

    /// ResNet-200: 63 M parameters.
    pub fn resnet200(channels: usize) -> Self {
        Self::papers(channels, [3, 24, 36, 3], true)
    }

    /// Stages of 64, 128, 256 and 512 features.
    fn papers(channels: usize, depths: [usize; 4], bottleneck: bool) -> Self {
        Self::new(channels, depths.to_vec(), vec![64, 128, 256, 512], bottleneck)
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { channels, ref depths, ref widths, stem, .. } = *self;
        limits::counts("channels", channels, limits::CHANNELS)?;
        limits::counts("stem", stem, limits::WIDTH)?;
        limits::at_most("the number of stages", depths.len(), limits::STAGES)?;
        ensure!(
            !depths.is_empty() && depths.iter().all(|&depth| depth > 0),
            "a ResNet needs stages of at least one block each, got {depths:?}"
        );
        ensure!(
            depths.len() == widths.len(),
            "a ResNet has as many widths as stages, got {} of {} stages",
            widths.len(),
            depths.len()
        );
        for (stage, (&depth, &width)) in depths.iter().zip(widths).enumerate() {
            limits::at_most("the blocks of a stage", depth, limits::DEPTH)?;
            limits::counts("the width of a stage", width, limits::WIDTH)?;
            limits::at_most("the features of a stage", self.stage_width(stage), limits::WIDTH)?;
            limits::parameters(limits::product(&[depth, width, width, 18]))?;
        }
        Ok(())
    }

    /// Features that a stage leaves.
    pub fn stage_width(&self, stage: usize) -> usize {
        self.widths[stage].saturating_mul(if self.bottleneck { 4 } else { 1 })
    }

    /// Side of a cell of the first stage in pixels.
    pub const fn first_stride(&self) -> usize {
        4
    }

    /// Side of a cell of the last stage in pixels.
    pub fn stride(&self) -> usize {
        self.first_stride() << self.depths.len().saturating_sub(1).min(limits::STAGES)
    }

    /// The grid of the last stage of images of so many rows and columns.
    pub fn grid(&self, [rows, cols]: [usize; 2]) -> Grid {
        let halved = |side: usize| (0..=self.depths.len()).fold(side, |side, _| side.div_ceil(2));
        Grid::new(halved(rows), halved(cols))
    }
}
