//! Features that nobody trained: what an encoder has to beat.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::image::{GradientOperator, magnitude};
use crate::target::HogTarget;

/// The most pixels of a channel that are features; larger images are averaged down to them.
const PIXELS: usize = 32 * 32;
/// The most cells of a histogram, and the least side of one.
const CELLS: usize = 8 * 8;
const CELL: usize = 4;
/// The side of a block of cells that is normalized together.
const BLOCK: usize = 2;
/// The directions that are told apart.
const BINS: usize = 9;
/// The largest number of a block before it is normalized once more, and what its length is at least.
const CLIP: f64 = 0.2;
const EPSILON: f64 = 1e-5;

/// Features of an image that are computed, not learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handmade {
    /// The pixels themselves, `channels · height · width` numbers in [0, 1]. Of an image of more than
    /// 32 × 32 pixels, the means of squares: the smallest ones of which at most 1024 cover it.
    Pixels,
    /// Histograms of oriented gradients (Dalal & Triggs 2005): 9 directions, cells of 4 × 4 pixels
    /// (of an image of more than 64 cells, the smallest cells of which at most 64 cover it), blocks of
    /// 2 × 2 cells that overlap by one, each divided by its length, clipped at 0.2, and divided
    /// once more. At every pixel the channel with the strongest gradient counts. It is
    /// scikit-image's `hog(image, 9, (cell, cell), (2, 2), channel_axis=-1)`, of images whose sides
    /// are multiples of the cell; of others, the rows below and the columns to the right of the
    /// last whole cell are left out. `9 · 4 · (rows − 1) · (cols − 1)` numbers.
    Hog,
}

impl Handmade {
    /// The features, `[batch, width]`.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, in [0, 1]
    ///
    /// # Panics
    ///
    /// When histograms are made of images with a side of less than 3 pixels.
    pub fn of(self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Pixels => pixels(images).flatten(1, 3),
            Self::Hog => hog(images),
        }
    }
}

/// The side of the smallest square, of at least `least`, of which at most `most` cover an image; no
/// larger than the image.
fn square(height: usize, width: usize, least: usize, most: usize) -> usize {
    let fits = |&side: &usize| height.div_ceil(side) * width.div_ceil(side) <= most;
    let longest = height.min(width);
    (least.min(longest)..=longest).find(fits).unwrap_or(longest)
}

/// The part at the top left that divides into squares of this side.
fn whole(images: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    images.narrow(2, 0, height / side * side).narrow(3, 0, width / side * side)
}

fn pixels(images: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let side = square(height, width, 1, PIXELS);
    if side == 1 {
        return images;
    }
    let images = whole(images, side);
    let [batch, channels, height, width] = images.dims();
    let (rows, cols) = (height / side, width / side);
    let squares: Tensor<6> = images.reshape([batch, channels, rows, side, cols, side]);
    squares.mean_dim(3).mean_dim(5).reshape([batch, channels, rows, cols])
}

fn hog(images: Tensor<4>) -> Tensor<2> {
    let [batch, _, height, width] = images.dims();
    let cell = square(height, width, CELL, CELLS);
    let images = whole(images, cell);
    let (rows, cols) = (height / cell, width / cell);
    let [along_x, along_y] = GradientOperator::Central.gradients(images);
    let strongest = magnitude(along_x.clone(), along_y.clone()).argmax(1);
    let gradients = [along_x, along_y].map(|along| along.gather(1, strongest.clone()));
    let histograms = HogTarget { bins: BINS, ..HogTarget::maskfeat(1, cell, cell) }
        .with_operator(GradientOperator::Central)
        .sums(gradients);
    let cells = histograms.reshape([batch, rows, cols, BINS]) / (cell * cell) as f64;
    // A side of a single cell has no two to normalize together.
    let (high, wide) = (BLOCK.min(rows), BLOCK.min(cols));
    let (down, across) = (rows + 1 - high, cols + 1 - wide);
    let corner = |at: usize| {
        let cells = cells.clone().narrow(1, at / wide, down).narrow(2, at % wide, across);
        cells.unsqueeze_dim::<5>(3)
    };
    let blocks = Tensor::cat((0..high * wide).map(corner).collect(), 3);
    let blocks: Tensor<3> = blocks.reshape([batch, down * across, high * wide * BINS]);
    divided(divided(blocks).clamp_max(CLIP)).flatten(1, 2)
}

/// Blocks divided by their length.
fn divided(blocks: Tensor<3>) -> Tensor<3> {
    let length = (blocks.clone().square().sum_dim(2) + EPSILON * EPSILON).sqrt();
    blocks / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn list(values: Tensor<2>) -> Vec<f32> {
        values.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn squares_are_the_smallest_of_which_not_too_many_cover_an_image() {
        let sides = [(28, 28), (32, 32), (33, 33), (64, 64), (96, 96), (224, 224), (3, 40)];
        assert_eq!(sides.map(|(h, w)| square(h, w, 4, 64)), [4, 4, 5, 8, 12, 28, 3]);
        assert_eq!(sides.map(|(h, w)| square(h, w, 1, 1024)), [1, 1, 2, 2, 3, 7, 1]);
    }

    #[test]
    fn small_images_are_their_pixels_and_large_ones_the_means_of_squares() {
        let small = Tensor::<4>::from_floats([[[[0.0, 0.5], [1.0, 0.25]]]], &test_device());
        assert_eq!(list(Handmade::Pixels.of(small)), [0.0, 0.5, 1.0, 0.25]);
        // 65 columns of 16 rows: squares of 2 pixels; the last column has no other.
        let rows: [[f32; 65]; 16] = std::array::from_fn(|row| {
            std::array::from_fn(|col| if col == 64 { 9.0 } else { (row * 64 + col) as f32 })
        });
        let large = Tensor::<4>::from_floats([[rows]], &test_device());
        let means = list(Handmade::Pixels.of(large));
        assert_eq!(means.len(), 8 * 32);
        // (0 + 1 + 64 + 65) / 4, and two columns on.
        assert_eq!(means[..2], [32.5, 34.5]);
    }

    #[test]
    fn a_ramp_fills_one_bin_of_every_block_up_to_the_clip() {
        // Values rise along x: the four cells of a block have all they have in bin 0, so each bin is
        // above the clip, and after it all four are alike.
        let rows: [[f32; 12]; 8] = [std::array::from_fn(|col| col as f32 / 12.0); 8];
        let found = list(Handmade::Hog.of(Tensor::<4>::from_floats([[rows]], &test_device())));
        assert_eq!(found.len(), 2 * 4 * 9);
        for (at, value) in found.iter().enumerate() {
            let expected = if at % 9 == 0 { 0.5 } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "{at}: {found:?}");
        }
    }

    #[test]
    fn the_channel_that_changes_most_counts() {
        let weak: [[f32; 8]; 8] = [std::array::from_fn(|col| col as f32 / 80.0); 8];
        let strong: [[f32; 8]; 8] = std::array::from_fn(|row| [row as f32 / 8.0; 8]);
        let both = Tensor::<4>::from_floats([[weak, strong]], &test_device());
        let one = Tensor::<4>::from_floats([[strong]], &test_device());
        let (both, one) = (list(Handmade::Hog.of(both)), list(Handmade::Hog.of(one)));
        // The rows at the border have no derivative along y; the weak channel is all there is.
        assert!(both[4] > 0.4 && one[4] > 0.4 && one[0] == 0.0, "{both:?}");
        assert!(both[0] < both[4] && both[0] > 0.0, "{both:?}");
    }

    #[test]
    fn a_flat_image_and_a_tiny_one_have_numbers_too() {
        for (height, width) in [(8, 8), (3, 3), (5, 40)] {
            let images = Tensor::<4>::full([2, 3, height, width], 0.5, &test_device());
            assert!(list(Handmade::Hog.of(images)).iter().all(|&value| value == 0.0));
        }
    }
}
