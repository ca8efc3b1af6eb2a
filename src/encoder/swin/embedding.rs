//! Pixels to tokens.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

use super::SwinConfig;
use crate::encoder::check_channels;
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};
use crate::nn::{Init, InitialWeights, Norm, PositionTable, Positions, per_token};

/// The epsilon of the norms around the blocks, which does not follow the blocks' own epsilon.
pub(super) const NORM_EPSILON: f64 = 1e-5;

/// A linear layer on patches, a norm, and absolute positions where there are any.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    /// A patch's values (channel, row, column) → the first stage's width.
    pub projection: Linear,
    /// After the projection.
    pub norm: Norm,
    /// Absolute positions, interpolated for other grids.
    pub positions: Option<PositionTable>,
    patch: usize,
}

impl PatchEmbedding {
    pub(super) fn new(config: &SwinConfig, weights: &mut InitialWeights) -> Self {
        let SwinConfig { image, patch, width, .. } = *config;
        let positions =
            if config.absolute_positions { Positions::Learned } else { Positions::None };
        Self {
            projection: weights.linear(image.channels * patch * patch, width, Init::XavierUniform),
            norm: weights.norm(width, NORM_EPSILON),
            positions: PositionTable::new(positions, config.grid(), width, false, weights),
            patch,
        }
    }

    /// The grid of patches and their pixels, `[batch, cells, channels · patch²]`; images that do
    /// not divide are padded with zeros below and to the right.
    pub(super) fn patches(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        let [values, _] = self.projection.weight.dims();
        check_channels(&images, values / (self.patch * self.patch));
        let [_, _, height, width] = images.dims();
        let missing = |length: usize| length.next_multiple_of(self.patch) - length;
        let images = match (missing(height), missing(width)) {
            (0, 0) => images,
            (rows, cols) => images.pad([(0, rows), (0, cols)], PadMode::Constant(0.0)),
        };
        (grid_of(&images, self.patch), patchify(images, self.patch, PatchLayout::ChannelsFirst))
    }

    /// Patches as tokens, `[batch, patches, width]`.
    pub(super) fn embed(&self, patches: Tensor<3>) -> Tensor<3> {
        self.norm.forward(per_token(&self.projection, patches))
    }

    /// Adds the whole grid's positions to its tokens.
    pub(super) fn with_positions(&self, tokens: Tensor<3>, grid: Grid) -> Tensor<3> {
        match &self.positions {
            Some(positions) => tokens + positions.cells(grid).unsqueeze(),
            None => tokens,
        }
    }
}
