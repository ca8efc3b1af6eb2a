//! Square windows over a grid of tokens, shifted or not.

use burn::tensor::{Device, Int, Tensor, TensorData, assert_shape};

use super::Gather;
use crate::grid::Grid;

/// How the grids of a batch are cut into windows that tokens see nothing beyond (Swin,
/// arXiv 2103.14030 §3.2).
///
/// A grid that the side does not divide is padded with zeros below and to the right. A shift moves
/// it up and to the left, and what leaves comes in at the other end: windows there hold parts that
/// are no neighbors, which [`Windows::with_mask`] keeps apart.
#[derive(Debug, Clone)]
pub struct Windows {
    side: usize,
    batch: usize,
    cells: usize,
    padded: Grid,
    /// From all tokens to the places of all windows.
    gather: Gather,
    /// The part of the shifted grid that every place belongs to, `[windows, side²]`, where there
    /// is a shift.
    parts: Option<Tensor<2>>,
}

impl Windows {
    /// Windows of `side` × `side` cells over the grids of `batch` images.
    ///
    /// # Panics
    ///
    /// When `side` is 0 or not above `shift`.
    pub fn new(grid: Grid, side: usize, shift: usize, batch: usize, device: &Device) -> Self {
        assert!(shift < side, "windows of {side}×{side} cells cannot be shifted by {shift}");
        let device = device.clone().without_autodiff();
        let padded = Grid::new(grid.rows.next_multiple_of(side), grid.cols.next_multiple_of(side));
        let cells = grid.cells();
        let sources = sources(grid, padded, side, shift);
        let mut places = vec![0; cells];
        for (place, source) in sources.iter().enumerate() {
            if let Some(cell) = source {
                places[*cell] = place;
            }
        }
        let row = |sample: usize, source: &Option<usize>| {
            source.map_or(batch * cells, |cell| sample * cells + cell)
        };
        let rows = (0..batch).flat_map(|sample| sources.iter().map(move |s| row(sample, s)));
        let all_places =
            (0..batch).flat_map(|sample| places.iter().map(move |p| sample * padded.cells() + p));
        Self {
            side,
            batch,
            cells,
            padded,
            gather: Gather::new(
                indices(rows, &device),
                indices(all_places, &device),
                batch * cells,
            ),
            parts: (shift > 0).then(|| parts(padded, side, shift, &device)),
        }
    }

    /// Windows of one image.
    pub fn count(&self) -> usize {
        self.padded.cells() / (self.side * self.side)
    }

    /// The cells of a window.
    pub fn window(&self) -> Grid {
        Grid::square(self.side)
    }

    /// The tokens of every window.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, cells, width]`
    /// - output: `[batch · windows, side², width]`, the windows of an image one after another
    ///
    /// # Panics
    ///
    /// When `tokens` are of another batch or grid.
    pub fn partition(&self, tokens: Tensor<3>) -> Tensor<3> {
        assert_shape!(tokens, [self.batch, self.cells, _]);
        let [.., width] = tokens.dims();
        let tokens = tokens.reshape([self.batch * self.cells, width]);
        let windows = [self.batch * self.count(), self.side * self.side, width];
        self.gather.select(tokens).reshape(windows)
    }

    /// The inverse of [`partition`](Self::partition); what came of the padding is left out.
    ///
    /// # Shapes
    ///
    /// - windows: `[batch · windows, side², width]`
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When `windows` are of another batch or grid.
    pub fn merge(&self, windows: Tensor<3>) -> Tensor<3> {
        assert_shape!(windows, [self.batch * self.count(), self.side * self.side, _]);
        let [.., width] = windows.dims();
        let tokens = windows.reshape([self.batch * self.padded.cells(), width]);
        self.gather.inverse().select(tokens).reshape([self.batch, self.cells, width])
    }

    /// `bias` for the scores within every window, plus `penalty` for every pair of tokens that the
    /// shift alone brought together.
    ///
    /// # Shapes
    ///
    /// - bias: `[1, heads, side², side²]`
    /// - output: `[windows, heads, side², side²]`, or as `bias` without a shift
    pub fn with_mask(&self, bias: Tensor<4>, penalty: f64) -> Tensor<4> {
        let Some(parts) = self.parts.clone() else { return bias };
        let [windows, places] = parts.dims();
        let query = parts.clone().reshape([windows, 1, places, 1]);
        let key = parts.reshape([windows, 1, 1, places]);
        let strangers = (query - key).abs().clamp_max(1.0);
        bias.clone() + (strangers * penalty).cast(bias.dtype())
    }
}

/// For every place of every window, window by window, the cell of `grid` there; `None` for padding.
fn sources(grid: Grid, padded: Grid, side: usize, shift: usize) -> Vec<Option<usize>> {
    let places = in_window_order(padded, side);
    places
        .map(|(row, col)| ((row + shift) % padded.rows, (col + shift) % padded.cols))
        .map(|(row, col)| (row < grid.rows && col < grid.cols).then_some(row * grid.cols + col))
        .collect()
}

/// The part of the shifted grid that each place belongs to: along each axis, what did not move
/// past the end and is in no cut window, what shares the last window with what did, and what did.
fn parts(padded: Grid, side: usize, shift: usize, device: &Device) -> Tensor<2> {
    let along = |place: usize, length: usize| {
        usize::from(place + side >= length) + usize::from(place + shift >= length)
    };
    let parts: Vec<f32> = in_window_order(padded, side)
        .map(|(row, col)| (3 * along(row, padded.rows) + along(col, padded.cols)) as f32)
        .collect();
    let area = side * side;
    Tensor::from_data(TensorData::new(parts, [padded.cells() / area, area]), device)
}

/// Row and column of every place, window by window.
fn in_window_order(padded: Grid, side: usize) -> impl Iterator<Item = (usize, usize)> {
    let across = padded.cols / side;
    (0..padded.cells()).map(move |place| {
        let (window, within) = (place / (side * side), place % (side * side));
        (window / across * side + within / side, window % across * side + within % side)
    })
}

fn indices(rows: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.map(|row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn counting(batch: usize, grid: Grid) -> Tensor<3> {
        let count = (batch * grid.cells()) as i64;
        let numbers = Tensor::<1, Int>::arange(1..count + 1, &test_device()).float();
        numbers.reshape([batch, grid.cells(), 1])
    }

    fn windows(grid: Grid, side: usize, shift: usize, batch: usize) -> Windows {
        Windows::new(grid, side, shift, batch, &test_device())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn windows_come_row_by_row_and_padding_is_zero() {
        // 1 2 3
        // 4 5 6  in windows of 2×2: one column of padding.
        let cut = windows(Grid::new(2, 3), 2, 0, 1).partition(counting(1, Grid::new(2, 3)));
        assert_eq!(cut.dims(), [2, 4, 1]);
        assert_eq!(values(cut), [1., 2., 4., 5., 3., 0., 6., 0.]);
    }

    #[test]
    fn a_shift_moves_the_grid_up_and_to_the_left() {
        // 1 2 3 4        6 7 8 5
        // 5 6 7 8   →   10 ...
        let cut = windows(Grid::new(4, 4), 2, 1, 1).partition(counting(1, Grid::new(4, 4)));
        assert_eq!(values(cut)[..8], [6., 7., 10., 11., 8., 5., 12., 9.]);
    }

    #[test]
    fn merging_is_the_inverse_of_partitioning() {
        for (grid, side, shift) in
            [(Grid::new(5, 7), 3, 1), (Grid::new(4, 6), 2, 0), (Grid::new(2, 9), 5, 2)]
        {
            let (cut, tokens) = (windows(grid, side, shift, 3), counting(3, grid));
            let back = cut.merge(cut.partition(tokens.clone()));
            back.into_data().assert_eq(&tokens.into_data(), true);
        }
    }

    #[test]
    fn tokens_from_two_ends_do_not_see_each_other() {
        let cut = windows(Grid::new(4, 4), 2, 1, 1);
        let bias = Tensor::zeros([1, 1, 4, 4], &test_device());
        let mask = values(cut.with_mask(bias.clone(), -100.0));
        // The first window is whole; the last holds four corners, strangers to each other.
        assert_eq!(mask[..16], [0.0; 16]);
        let corners: Vec<f32> =
            (0..16).map(|pair| if pair % 5 == 0 { 0.0 } else { -100.0 }).collect();
        assert_eq!(mask[48..], corners);
        let whole = windows(Grid::new(4, 4), 2, 0, 1).with_mask(bias, -100.0);
        assert_eq!(values(whole), [0.0; 16]);
    }

    #[test]
    #[should_panic(expected = "cannot be shifted by 2")]
    fn a_shift_of_a_whole_window_panics() {
        windows(Grid::new(4, 4), 2, 2, 1);
    }
}
