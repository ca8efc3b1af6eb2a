//! Images into patches and back.

use burn::tensor::{Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::grid::{Grid, ImageShape};

/// The order of the values within a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchLayout {
    /// (channel, row, column): a convolution's weights, and SimMIM's head before its pixel shuffle.
    ChannelsFirst,
    /// (row, column, channel): MAE's targets.
    ChannelsLast,
}

/// Images cut into squares of `patch` pixels, row-major over the grid.
///
/// # Shapes
///
/// - images: `[batch, channels, rows · patch, cols · patch]`
/// - output: `[batch, rows · cols, channels · patch²]`
///
/// # Panics
///
/// When `patch` does not divide the height and the width.
pub fn patchify(images: Tensor<4>, patch: usize, layout: PatchLayout) -> Tensor<3> {
    let [batch, channels, ..] = images.dims();
    let grid = grid_of(&images, patch);
    let order = match layout {
        PatchLayout::ChannelsFirst => [0, 2, 4, 1, 3, 5],
        PatchLayout::ChannelsLast => [0, 2, 4, 3, 5, 1],
    };
    images.reshape([batch, channels, grid.rows, patch, grid.cols, patch]).permute(order).reshape([
        batch,
        grid.cells(),
        channels * patch * patch,
    ])
}

/// The inverse of [`patchify`].
///
/// # Shapes
///
/// - patches: `[batch, rows · cols, channels · patch²]`
/// - output: `[batch, channels, rows · patch, cols · patch]`
///
/// # Panics
///
/// When the number of patches differs from the number of cells of `grid`, or their width is not a
/// multiple of `patch²`.
pub fn unpatchify(patches: Tensor<3>, grid: Grid, patch: usize, layout: PatchLayout) -> Tensor<4> {
    let [batch, _, width] = patches.dims();
    let channels = width / (patch * patch);
    assert_shape!(patches, [batch, grid.cells(), channels * patch * patch]);
    let (split, order) = match layout {
        PatchLayout::ChannelsFirst => {
            ([batch, grid.rows, grid.cols, channels, patch, patch], [0, 3, 1, 4, 2, 5])
        }
        PatchLayout::ChannelsLast => {
            ([batch, grid.rows, grid.cols, patch, patch, channels], [0, 5, 1, 3, 2, 4])
        }
    };
    patches.reshape(split).permute(order).reshape([
        batch,
        channels,
        grid.rows * patch,
        grid.cols * patch,
    ])
}

/// The grid of `patch`-pixel squares over `images`.
///
/// # Panics
///
/// When `patch` does not divide the height and the width.
pub(crate) fn grid_of(images: &Tensor<4>, patch: usize) -> Grid {
    let [_, channels, height, width] = images.dims();
    match ImageShape::new(channels, height, width).grid(patch) {
        Ok(grid) => grid,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Int, TensorData};

    fn counting(shape: [usize; 4]) -> Tensor<4> {
        let count = shape.iter().product::<usize>() as i64;
        Tensor::<1, Int>::arange(0..count, &test_device()).float().reshape(shape)
    }

    fn first_patch(layout: PatchLayout) -> Vec<f32> {
        let patches = patchify(counting([1, 2, 4, 6]), 2, layout);
        assert_eq!(patches.dims(), [1, 6, 8]);
        patches.slice([0..1, 1..2, 0..8]).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn channels_first_runs_over_a_channel_before_the_next() {
        let expected = [2., 3., 8., 9., 26., 27., 32., 33.];
        assert_eq!(first_patch(PatchLayout::ChannelsFirst), expected);
    }

    #[test]
    fn channels_last_runs_over_a_pixel_before_the_next() {
        let expected = [2., 26., 3., 27., 8., 32., 9., 33.];
        assert_eq!(first_patch(PatchLayout::ChannelsLast), expected);
    }

    #[test]
    fn unpatchify_is_the_inverse_for_any_channels_and_grid() {
        for layout in [PatchLayout::ChannelsFirst, PatchLayout::ChannelsLast] {
            for (channels, grid, patch) in
                [(1, Grid::new(2, 3), 4), (3, Grid::new(6, 10), 2), (5, Grid::new(1, 7), 3)]
            {
                let images = counting([2, channels, grid.rows * patch, grid.cols * patch]);
                let patches = patchify(images.clone(), patch, layout);
                let back = unpatchify(patches, grid, patch, layout);
                back.into_data().assert_eq(&images.into_data(), true);
            }
        }
    }

    #[test]
    #[should_panic(expected = "an image of 30×32 pixels cannot be cut into squares of 4 pixels")]
    fn an_image_that_does_not_divide_panics_with_its_size() {
        patchify(counting([1, 3, 30, 32]), 4, PatchLayout::ChannelsLast);
    }

    #[test]
    #[should_panic(expected = "axis 1 expected 6, got 5")]
    fn patches_of_another_grid_panic() {
        let patches = Tensor::from_data(TensorData::zeros::<f32, _>([1, 5, 12]), &test_device());
        unpatchify(patches, Grid::new(2, 3), 2, PatchLayout::ChannelsLast);
    }
}
