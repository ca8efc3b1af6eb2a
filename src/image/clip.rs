//! Clips into tubelets and back.

use burn::tensor::{Tensor, assert_shape};

use super::{PatchLayout, patchify, unpatchify};
use crate::grid::{ClipGrid, ClipShape, Grid, ImageShape};

/// Clips cut into tubelets, `tubelet` frames of squares of `patch` pixels each, by time, row and
/// column.
///
/// # Shapes
///
/// - clips: `[batch, channels, times · tubelet, rows · patch, cols · patch]`
/// - output: `[batch, times · rows · cols, channels · tubelet · patch²]`, each tubelet's values by
///   (channel, frame, row, column), the order of a convolution's weights, or by (frame, row, column,
///   channel), the order of VideoMAE's targets
///
/// # Panics
///
/// When `patch` does not divide the height and the width, or `tubelet` the frames.
pub fn patchify_clip(
    clips: Tensor<5>,
    tubelet: usize,
    patch: usize,
    layout: PatchLayout,
) -> Tensor<3> {
    let ClipGrid { times, space } = clip_grid_of(&clips, tubelet, patch);
    let [batch, channels, frames, height, width] = clips.dims();
    let tall = clips.reshape([batch, channels, frames * height, width]);
    let patches = patchify(tall, patch, layout);
    // The patches of all frames; those of a tubelet's frames belong together.
    let (cells, pixels) = (space.cells(), patch * patch);
    let patches = match layout {
        PatchLayout::ChannelsFirst => patches
            .reshape([batch, times, tubelet, cells, channels, pixels])
            .permute([0, 1, 3, 4, 2, 5]),
        PatchLayout::ChannelsLast => patches
            .reshape([batch, times, tubelet, cells, pixels, channels])
            .permute([0, 1, 3, 2, 4, 5]),
    };
    patches.reshape([batch, times * cells, channels * tubelet * pixels])
}

/// The inverse of [`patchify_clip`].
///
/// # Shapes
///
/// - patches: `[batch, times · rows · cols, channels · tubelet · patch²]`
/// - output: `[batch, channels, times · tubelet, rows · patch, cols · patch]`
///
/// # Panics
///
/// When the number of patches differs from the number of cells of `grid`, or their width is not a
/// multiple of `tubelet · patch²`.
pub fn unpatchify_clip(
    patches: Tensor<3>,
    grid: ClipGrid,
    tubelet: usize,
    patch: usize,
    layout: PatchLayout,
) -> Tensor<5> {
    let ClipGrid { times, space } = grid;
    let [batch, _, width] = patches.dims();
    let pixels = patch * patch;
    let channels = width / (tubelet * pixels);
    assert_shape!(patches, [batch, grid.cells(), channels * tubelet * pixels]);
    let cells = space.cells();
    let patches = match layout {
        PatchLayout::ChannelsFirst => patches
            .reshape([batch, times, cells, channels, tubelet, pixels])
            .permute([0, 1, 4, 2, 3, 5]),
        PatchLayout::ChannelsLast => patches
            .reshape([batch, times, cells, tubelet, pixels, channels])
            .permute([0, 1, 3, 2, 4, 5]),
    };
    let frames = times * tubelet;
    let patches = patches.reshape([batch, frames * cells, channels * pixels]);
    let tall = Grid::new(frames * space.rows, space.cols);
    let clips = unpatchify(patches, tall, patch, layout);
    clips.reshape([batch, channels, frames, space.rows * patch, space.cols * patch])
}

/// Clips whose frames lie one below the other, as data sets have them, frame by frame.
///
/// # Shapes
///
/// - images: `[batch, channels, frames · height, width]`
/// - output: `[batch, channels, frames, height, width]`
///
/// # Panics
///
/// When the frames do not divide the rows.
pub fn unstack_frames(images: Tensor<4>, frames: usize) -> Tensor<5> {
    let [batch, channels, rows, width] = images.dims();
    assert!(
        frames > 0 && rows.is_multiple_of(frames),
        "{rows} rows are not those of {frames} frames"
    );
    images.reshape([batch, channels, frames, rows / frames, width])
}

/// The inverse of [`unstack_frames`].
pub fn stack_frames(clips: Tensor<5>) -> Tensor<4> {
    let [batch, channels, frames, height, width] = clips.dims();
    clips.reshape([batch, channels, frames * height, width])
}

/// The grid of tubelets over `clips`.
///
/// # Panics
///
/// When `patch` does not divide the height and the width, or `tubelet` the frames.
pub(crate) fn clip_grid_of(clips: &Tensor<5>, tubelet: usize, patch: usize) -> ClipGrid {
    let [_, channels, frames, height, width] = clips.dims();
    let shape = ClipShape::new(ImageShape::new(channels, height, width), frames);
    shape.grid(tubelet, patch).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Int;

    fn counting(shape: [usize; 5]) -> Tensor<5> {
        let count = shape.iter().product::<usize>() as i64;
        Tensor::<1, Int>::arange(0..count, &test_device()).float().reshape(shape)
    }

    /// The tubelet of the second step, first row and second column of two channels of 4 frames of
    /// 2 × 4 pixels: channels differ by 32, frames by 8, rows by 4.
    fn tubelet(layout: PatchLayout) -> Vec<f32> {
        let patches = patchify_clip(counting([1, 2, 4, 2, 4]), 2, 2, layout);
        assert_eq!(patches.dims(), [1, 4, 16]);
        patches.slice([0..1, 3..4, 0..16]).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn channels_first_runs_over_all_frames_of_a_channel_before_the_next() {
        let channel = [18., 19., 22., 23., 26., 27., 30., 31.];
        let expected: Vec<f32> = channel.into_iter().chain(channel.map(|v| v + 32.)).collect();
        assert_eq!(tubelet(PatchLayout::ChannelsFirst), expected);
    }

    #[test]
    fn channels_last_runs_over_a_pixel_then_a_frame_before_the_next() {
        let pixels = [18., 19., 22., 23., 26., 27., 30., 31.];
        let expected: Vec<f32> = pixels.into_iter().flat_map(|v| [v, v + 32.]).collect();
        assert_eq!(tubelet(PatchLayout::ChannelsLast), expected);
    }

    #[test]
    fn unpatchify_is_the_inverse_for_any_channels_frames_and_grid() {
        for layout in [PatchLayout::ChannelsFirst, PatchLayout::ChannelsLast] {
            for (channels, times, space, tubelet, patch) in [
                (1, 1, Grid::new(2, 3), 4, 2),
                (3, 2, Grid::new(3, 2), 1, 4),
                (5, 3, Grid::new(1, 7), 2, 3),
            ] {
                let (rows, cols) = (space.rows * patch, space.cols * patch);
                let clips = counting([2, channels, times * tubelet, rows, cols]);
                let patches = patchify_clip(clips.clone(), tubelet, patch, layout);
                let grid = ClipGrid::new(times, space);
                let back = unpatchify_clip(patches, grid, tubelet, patch, layout);
                back.into_data().assert_eq(&clips.into_data(), true);
            }
        }
    }

    #[test]
    fn a_tubelet_of_one_frame_is_the_frames_patch() {
        for layout in [PatchLayout::ChannelsFirst, PatchLayout::ChannelsLast] {
            let clip = counting([2, 3, 1, 4, 6]);
            let patches = patchify_clip(clip.clone(), 1, 2, layout).into_data();
            patches.assert_eq(&patchify(clip.squeeze_dim::<4>(2), 2, layout).into_data(), true);
        }
    }

    #[test]
    #[should_panic(expected = "a clip of 3 frames cannot be cut into tubelets of 2 frames")]
    fn frames_that_do_not_divide_panic_with_their_number() {
        patchify_clip(counting([1, 1, 3, 4, 4]), 2, 2, PatchLayout::ChannelsLast);
    }

    #[test]
    #[should_panic(expected = "an image of 3×4 pixels cannot be cut into squares of 2 pixels")]
    fn a_height_that_does_not_divide_panics_though_all_frames_rows_together_do() {
        patchify_clip(counting([1, 1, 2, 3, 4]), 2, 2, PatchLayout::ChannelsLast);
    }
}
