//! Histograms of gradients as pictures.

use std::f64::consts::PI;

use burn::tensor::{Tensor, TensorData};

use crate::grid::Grid;
use crate::image::{GradientOperator, PatchLayout, unpatchify};

/// A cell's picture has at least this many pixels along a side.
const MIN_SIDE: usize = 12;

/// Every cell of `cell` pixels a side as strokes through its middle, each along the edge that its bin stands for.
///
/// # Shapes
///
/// - histograms: `[batch, cells, bins]`
/// - output: `[batch, 1, k · height, k · width]` in [0, 1], for a whole k
pub(super) fn glyphs(
    histograms: Tensor<3>,
    operator: GradientOperator,
    cell: usize,
    grid: Grid,
) -> Tensor<4> {
    let [batch, cells, bins] = histograms.dims();
    let side = cell * MIN_SIDE.div_ceil(cell);
    let strokes: Vec<f32> =
        (0..bins).flat_map(|bin| stroke(normal(bin, bins, operator), side)).collect();
    let on = (&histograms.device(), histograms.dtype());
    let strokes = Tensor::<2>::from_data(TensorData::new(strokes, [bins, side * side]), on);
    let full = histograms.clamp_min(0.0).reshape([batch * cells, bins]);
    let pictures = full.matmul(strokes).clamp(0.0, 1.0).reshape([batch, cells, side * side]);
    unpatchify(pictures, grid, side, PatchLayout::ChannelsFirst)
}

/// The direction, (x, y), in which the image changes at the middle of one of `bins` bins.
fn normal(bin: usize, bins: usize, operator: GradientOperator) -> [f64; 2] {
    let (sine, cosine) = libm::sincos(PI * (bin as f64 + 0.5) / bins as f64);
    match operator {
        GradientOperator::Sobel => [sine, cosine],
        GradientOperator::Central => [cosine, sine],
    }
}

/// A line through the middle of a square, at right angles to `normal`, a little over a pixel wide.
fn stroke([x, y]: [f64; 2], side: usize) -> impl Iterator<Item = f32> {
    let middle = (side as f64 - 1.0) / 2.0;
    (0..side * side).map(move |at| {
        let (right, down) = ((at % side) as f64 - middle, (at / side) as f64 - middle);
        let (beside, along) = ((right * x + down * y).abs(), (right * y - down * x).abs());
        if along > middle { 0.0 } else { (1.25 - beside).clamp(0.0, 1.0) as f32 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    /// The picture of one cell of 12 pixels with one full bin.
    fn picture(operator: GradientOperator, bin: usize) -> Vec<f32> {
        let histogram: Vec<f32> = (0..9).map(|index| f32::from(u8::from(index == bin))).collect();
        let histogram = Tensor::from_data(TensorData::new(histogram, [1, 1, 9]), &test_device());
        glyphs(histogram, operator, 12, Grid::new(1, 1)).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_change_along_y_is_a_stroke_along_x() {
        // The middle of nine parts of the half circle is at 90°.
        let image = picture(GradientOperator::Central, 4);
        assert!(image[5 * 12..7 * 12].iter().all(|&value| value > 0.5), "{image:?}");
        assert!(image[..4 * 12].iter().chain(&image[8 * 12..]).all(|&value| value == 0.0));
        // Counted from the y axis it is a change along x.
        let turned = picture(GradientOperator::Sobel, 4);
        assert!((0..144).all(|at| (turned[at] - image[at % 12 * 12 + at / 12]).abs() < 1e-6));
    }

    #[test]
    fn a_slanted_edge_is_at_right_angles_to_its_change_and_ends_within_the_cell() {
        // The third of nine bins: the image changes at 50° to the right and down, so the edge runs
        // from the lower left to the upper right.
        let picture = picture(GradientOperator::Central, 2);
        let at = |row: usize, col: usize| picture[row * 12 + col];
        assert!(at(8, 2) > 0.9 && at(3, 9) > 0.9, "{picture:?}");
        assert_eq!([at(3, 2), at(8, 9)], [0.0; 2]);
        // On the line, but further from the middle than half a cell.
        assert_eq!([at(10, 1), at(1, 10)], [0.0; 2]);
    }
}
