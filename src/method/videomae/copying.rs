//! What is known of a hidden tubelet without a model: the nearest visible one.

use burn::tensor::{Int, Tensor, TensorData};

use crate::batch::ClipBatch;
use crate::grid::ClipGrid;
use crate::image::clip_grid_of;
use crate::mask::UnitMask;
use crate::target::ClipPixelTarget;

/// The values that `target` has of the visible tubelet nearest to each hidden one, `[batch, hidden,
/// width]`: at the same place and the nearest time; where a place is hidden at all times, as a tube is,
/// at the nearest place that is not.
///
/// # Panics
///
/// When the mask asks for other cells than the hidden ones, or does not fit the clips.
pub(super) fn nearest_visible(target: &ClipPixelTarget, batch: &ClipBatch) -> Tensor<3> {
    let grid = clip_grid_of(&batch.clips, target.tubelet, target.patch);
    let cells = target.of_all(&batch.clips);
    let [clips, count, width] = cells.dims();
    let of_clip = |(clip, mask): (usize, &UnitMask)| {
        let mask = mask.at(grid.flat()).unwrap_or_else(|error| panic!("{error}"));
        nearest(grid, &mask).into_iter().map(move |cell| (clip * count + cell) as i64)
    };
    let nearest: Vec<i64> = batch.mask.samples().iter().enumerate().flat_map(of_clip).collect();
    let rows = nearest.len();
    let nearest = Tensor::<1, Int>::from_data(TensorData::new(nearest, [rows]), &cells.device());
    cells.reshape([clips * count, width]).select(0, nearest).reshape([clips, rows / clips, width])
}

/// For each hidden cell the visible one nearest in space and then in time; of several the first.
fn nearest(grid: ClipGrid, mask: &UnitMask) -> Vec<usize> {
    let place = |cell: usize| {
        let (time, within) = (cell / grid.space.cells(), cell % grid.space.cells());
        [time, within / grid.space.cols, within % grid.space.cols]
    };
    let visible: Vec<usize> = mask.visible_indices().collect();
    let to_nearest = |hidden: usize| {
        let [time, row, col] = place(hidden);
        let distance = |other: &usize| {
            let [t, r, c] = place(*other);
            (row.abs_diff(r).pow(2) + col.abs_diff(c).pow(2), time.abs_diff(t))
        };
        visible.iter().copied().min_by_key(distance).expect("a mask shows something")
    };
    mask.hidden_indices().map(to_nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::Mask;
    use crate::test_device;

    /// Three steps of 1 × 4 cells.
    const GRID: ClipGrid = ClipGrid::new(3, Grid::new(1, 4));

    fn mask(hidden: &[usize]) -> UnitMask {
        UnitMask::from_indices(GRID.flat(), hidden.iter().copied()).unwrap()
    }

    #[test]
    fn the_same_place_at_another_time_is_nearer_than_another_place() {
        // Of the first column the last step is visible, of the second the first two.
        assert_eq!(nearest(GRID, &mask(&[0, 4, 9])), [8, 8, 5]);
    }

    #[test]
    fn of_a_tube_the_nearest_place_is_copied_at_the_same_time() {
        let tube = [1, 3, 5, 7, 9, 11];
        assert_eq!(nearest(GRID, &mask(&tube)), [0, 2, 4, 6, 8, 10]);
    }

    #[test]
    fn what_is_copied_of_a_still_clip_is_what_is_hidden() {
        // One frame, three times: each cell of 2 × 2 pixels differs from the others.
        let frame: Vec<f32> = (0..16).map(|i| ((i * i) as f32).sin()).collect();
        let clips = TensorData::new(frame.repeat(3), [1, 1, 3, 2, 8]);
        let clips = Tensor::<5>::from_data(clips, &test_device());
        let hidden = mask(&[0, 5, 10, 3]);
        let batch = ClipBatch::new(clips, Mask::new([hidden], &test_device()).unwrap());
        for normalized in [true, false] {
            let target = ClipPixelTarget::new(1, 1, 2, normalized, None);
            let copied = nearest_visible(&target, &batch);
            copied.into_data().assert_eq(&target.of(&batch).into_data(), true);
        }
    }
}
