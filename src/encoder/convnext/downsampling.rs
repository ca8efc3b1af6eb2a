//! From pixels to the first stage, and from one stage to the next.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::block::{EPSILON, INIT};
use crate::encoder::check_channels;
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};
use crate::mask::Shown;
use crate::nn::{InitialWeights, Norm, per_token};

/// A linear layer on patches, and a norm.
#[derive(Module, Debug)]
pub struct ConvNextStem {
    /// A patch's values (channel, row, column) → the first stage's width.
    pub projection: Linear,
    /// After the projection.
    pub norm: Norm,
    patch: usize,
}

impl ConvNextStem {
    pub(super) fn new(
        channels: usize,
        patch: usize,
        width: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        Self {
            projection: weights.linear(channels * patch * patch, width, INIT),
            norm: weights.norm(width, EPSILON),
            patch,
        }
    }

    /// The grid of whole patches and their pixels, `[batch, cells, channels · patch²]`; pixels below
    /// and to the right that are too few for a patch are left out.
    ///
    /// # Panics
    ///
    /// When the images have other channels, or no whole patch.
    pub(super) fn patches(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        let [values, _] = self.projection.weight.dims();
        check_channels(&images, values / (self.patch * self.patch));
        let [_, _, height, width] = images.dims();
        let whole = |side: usize| side / self.patch * self.patch;
        let images = match (whole(height), whole(width)) {
            // The message is that of an image without cells.
            (0, _) | (_, 0) => images,
            (rows, cols) if (rows, cols) == (height, width) => images,
            (rows, cols) => images.slice(s![.., .., 0..rows, 0..cols]),
        };
        (grid_of(&images, self.patch), patchify(images, self.patch, PatchLayout::ChannelsFirst))
    }

    /// Patches as tokens, `[batch, patches, width]`.
    pub(super) fn embed(&self, patches: Tensor<3>) -> Tensor<3> {
        self.norm.forward(per_token(&self.projection, patches))
    }
}

/// A norm, and a linear layer on 2 × 2 cells: a convolution of stride 2.
#[derive(Module, Debug)]
pub struct Downsampling {
    /// Of each cell.
    pub norm: Norm,
    /// The values of four cells (feature, row, column) → the next stage's width.
    pub reduction: Linear,
}

impl Downsampling {
    pub(super) fn new([from, to]: [usize; 2], weights: &mut InitialWeights) -> Self {
        Self { norm: weights.norm(from, EPSILON), reduction: weights.linear(4 * from, to, INIT) }
    }

    /// The tokens of the cells `to` shows, from those that `from` shows; a last odd row or column is
    /// left out.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, shown cells, width]`
    /// - output: `[batch, shown cells of half the rows and columns, next width]`
    ///
    /// # Panics
    ///
    /// When the grid has a single row or column.
    pub(super) fn forward(&self, tokens: Tensor<3>, from: &Shown, to: &Shown) -> Tensor<3> {
        let four = joined(from.on_grid(self.norm.forward(tokens)), from.grid());
        per_token(&self.reduction, to.of_grid(four))
    }
}

/// Half the rows and columns of `grid`.
///
/// # Panics
///
/// When none are left.
pub(super) fn halved(grid: Grid) -> Grid {
    let half = Grid::new(grid.rows / 2, grid.cols / 2);
    assert!(half.cells() > 0, "a grid of {grid} cells cannot be halved: the image is too small");
    half
}

/// The features of 2 × 2 neighbors as one, in the order (feature, row, column).
///
/// # Shapes
///
/// - cells: `[batch, rows · cols, width]`
/// - output: `[batch, ⌊rows / 2⌋ · ⌊cols / 2⌋, 4 · width]`
fn joined(cells: Tensor<3>, grid: Grid) -> Tensor<3> {
    let ([batch, _, width], half) = (cells.dims(), halved(grid));
    let mut cells = cells.reshape([batch, grid.rows, grid.cols, width]);
    if (2 * half.rows, 2 * half.cols) != (grid.rows, grid.cols) {
        cells = cells.slice(s![.., 0..2 * half.rows, 0..2 * half.cols, ..]);
    }
    cells.reshape([batch, half.rows, 2, half.cols, 2, width]).permute([0, 1, 3, 5, 2, 4]).reshape([
        batch,
        half.cells(),
        4 * width,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    #[test]
    fn four_neighbors_are_joined_feature_by_feature_without_a_last_odd_column() {
        // 1 2 3
        // 4 5 6, each with its negative.
        let values: Vec<f32> = (1..7).flat_map(|value| [value as f32, -value as f32]).collect();
        let cells = Tensor::from_data(TensorData::new(values, [1, 6, 2]), &test_device());
        let four: Vec<f32> = joined(cells, Grid::new(2, 3)).into_data().try_to_vec().unwrap();
        assert_eq!(four, [1.0, 2.0, 4.0, 5.0, -1.0, -2.0, -4.0, -5.0]);
    }

    #[test]
    #[should_panic(expected = "a grid of 1×3 cells cannot be halved")]
    fn a_single_row_cannot_be_halved() {
        halved(Grid::new(1, 3));
    }
}
