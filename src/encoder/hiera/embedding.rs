//! Pixels to tokens.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::HieraConfig;
use crate::encoder::check_channels;
use crate::grid::Grid;
use crate::nn::{Init, InitialWeights, PositionTable, Positions, convolve_by};

/// A convolution over overlapping patches, and learned positions.
#[derive(Module, Debug)]
pub struct UnitEmbedding {
    /// A patch's values (channel, row, column) → the first stage's width.
    pub projection: Linear,
    /// The positions of all tokens, row by row, interpolated for other grids.
    pub positions: PositionTable,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl UnitEmbedding {
    pub(super) fn new(config: &HieraConfig, weights: &mut InitialWeights) -> Self {
        let HieraConfig { image, width, patch_kernel: kernel, .. } = *config;
        let values = image.channels * kernel[0] * kernel[1];
        let learned = Positions::Learned;
        Self {
            projection: weights.linear(values, width, Init::XavierUniform),
            positions: PositionTable::new(learned, config.grid(), width, 0usize, weights)
                .expect("learned positions are positions"),
            kernel,
            stride: config.patch_stride,
            padding: config.patch_padding,
        }
    }

    /// The tokens of images, with their positions.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, rows, columns, width]`
    ///
    /// # Panics
    ///
    /// When the images are of other channels.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let ([values, width], [down, right]) = (self.projection.weight.dims(), self.kernel);
        let channels = values / (down * right);
        check_channels(&images, channels);
        let weight = self.projection.weight.val().transpose();
        let weight = weight.reshape([width, channels, down, right]);
        let bias = self.projection.bias.as_ref().map(|bias| bias.val());
        let map = convolve_by(images, weight, bias, self.stride, self.padding);
        let map = map.permute([0, 2, 3, 1]);
        let [_, rows, cols, _] = map.dims();
        let positions = self.positions.cells(Grid::new(rows, cols));
        map + positions.reshape([1, rows, cols, width])
    }
}
