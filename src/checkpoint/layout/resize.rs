//! Resizes the tensors of a file to the shapes that a model needs.

use burn::tensor::{Device, Tensor, TensorData};

use super::{LoadOptions, Source};
use crate::checkpoint::weights_file::HostTensor;
use crate::grid::Grid;
use crate::nn::{PositionResize, TableResize, resize_offsets};

/// How a tensor can be made to fit when its shape differs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resize {
    /// A table `[.., rows + cells, width]` whose first rows are not cells. It may be of a coarser grid
    /// than the file's: `pooled` are the rows and columns of cells of which it has one.
    Positions { rows: usize, grid: Grid, resize: PositionResize, pooled: [usize; 2] },
    /// Weights `[outputs, channels, patch, patch]`.
    Channels,
    /// A table `[offsets, heads]` of the offsets within a square window of `window` cells a side.
    /// A file may hold only the offsets of a `smaller` window, where the grid of a stage has no room
    /// for a larger one.
    Offsets { window: usize, smaller: Option<usize>, resize: TableResize },
}

/// How a tensor of a file is to be read, decided from its shape before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    AsItIs,
    /// The table of a smaller window, in the middle of the whole one.
    InTheMiddle,
    /// A table of positions of the cells alone, below rows of 0 for what is no cell.
    CellsAlone,
    Resized,
}

/// How a tensor of the shape `from` can become one of the shape `to`; `None` if it cannot.
pub(super) fn fit(
    from: &[usize],
    to: &[usize],
    resize: Option<Resize>,
    options: LoadOptions,
    source: &Source,
) -> Option<Fit> {
    let same_grid = match resize {
        // A table of equally many cells may belong to another grid.
        Some(Resize::Positions { grid, pooled, .. }) => {
            source.pooled_grid(pooled).is_none_or(|from| from == grid)
        }
        _ => true,
    };
    if from == to && same_grid {
        return Some(Fit::AsItIs);
    }
    let resize = resize?;
    if let Resize::Offsets { smaller: Some(smaller), .. } = resize
        && from == [offsets(smaller), *to.last()?]
    {
        return Some(Fit::InTheMiddle);
    }
    // timm's `no_embed_class`: class tokens have no positions.
    if let (Resize::Positions { rows: 1.., grid, .. }, &[.., cells, w1], &[.., _, w2]) =
        (resize, from, to)
        && (cells, w1) == (grid.cells(), w2)
        && source.grid.is_none()
    {
        return Some(Fit::CellsAlone);
    }
    let can = match (resize, from, to) {
        (Resize::Channels, &[o1, old, h1, w1], &[o2, _, h2, w2]) => {
            [o1, h1, w1] == [o2, h2, w2] && old > 0
        }
        (Resize::Positions { rows, pooled, .. }, &[.., old, w1], &[.., _, w2]) => {
            w1 == w2 && grid_of(old, rows, source.pooled_grid(pooled)).is_some()
        }
        (Resize::Offsets { .. }, &[rows, h1], &[_, h2]) => h1 == h2 && window_of(rows).is_some(),
        _ => false,
    };
    (options.resize && can).then_some(Fit::Resized)
}

/// `tensor` in the shape `to`, which [`fit`] found possible.
pub(super) fn resized(
    tensor: &HostTensor,
    to: &[usize],
    resize: Resize,
    source: &Source,
) -> Option<HostTensor> {
    let device = &source.device;
    let values = match resize {
        Resize::Channels => inflate(tensor, to)?,
        Resize::Positions { rows, grid, resize, pooled } => {
            let &[.., old, _] = tensor.shape.as_slice() else { return None };
            let from = grid_of(old, rows, source.pooled_grid(pooled))?;
            resize_positions(tensor, rows, [from, grid], resize, device)?
        }
        Resize::Offsets { window, resize, .. } => {
            resize_offsets_of(tensor, to[1], window, resize, device)?
        }
    };
    Some(HostTensor { shape: to.to_vec(), values })
}

/// `[rows, cols]` to `[cols, rows]`, in tiles that stay in the cache.
pub(super) fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..cols).step_by(TILE) {
            for row in top..(top + TILE).min(rows) {
                for col in left..(left + TILE).min(cols) {
                    out[col * rows + row] = values[row * cols + col];
                }
            }
        }
    }
    out
}

/// Patch embeddings for another number of channels: each new channel gets the mean over the old
/// ones, scaled so that equal channels give the same sum as before (I3D's inflation).
fn inflate(tensor: &HostTensor, shape: &[usize]) -> Option<Vec<f32>> {
    let (&[outputs, old, height, width], &[.., new, _, _]) = (&tensor.shape[..], shape) else {
        return None;
    };
    if [outputs, new, height, width] != *shape || old == 0 {
        return None;
    }
    let area = height * width;
    let mut values = Vec::with_capacity(outputs * new * area);
    for output in tensor.values.chunks(old * area) {
        let sum: Vec<f32> = (0..area).map(|i| output.iter().skip(i).step_by(area).sum()).collect();
        (0..new).for_each(|_| values.extend(sum.iter().map(|sum| sum / new as f32)));
    }
    Some(values)
}

/// The grid of a table of `table` rows, of which the first `rows` are not cells. It is the known
/// grid if that has as many cells, and otherwise a square.
pub(in crate::checkpoint) fn grid_of(
    table: usize,
    rows: usize,
    known: Option<Grid>,
) -> Option<Grid> {
    let cells = table.checked_sub(rows).filter(|cells| *cells > 0)?;
    let square = Grid::square(cells.isqrt());
    known.into_iter().chain([square]).find(|grid| grid.cells() == cells)
}

/// The number of offsets within a square window.
pub(super) fn offsets(window: usize) -> usize {
    window.saturating_mul(2).saturating_sub(1).saturating_pow(2)
}

/// The rows of the table of `window` that belong to the offsets within a `smaller` window.
pub(super) fn middle_rows(window: usize, smaller: usize) -> impl Iterator<Item = usize> {
    let (side, inner, margin) = (2 * window - 1, 2 * smaller - 1, window - smaller);
    (0..inner * inner).map(move |row| (row / inner + margin) * side + row % inner + margin)
}

/// The side of the square window that has `rows` offsets.
fn window_of(rows: usize) -> Option<usize> {
    let window = rows.isqrt().div_ceil(2);
    (window > 0 && offsets(window) == rows).then_some(window)
}

/// Resizes a table of offsets within some square window to `window`.
fn resize_offsets_of(
    tensor: &HostTensor,
    heads: usize,
    window: usize,
    resize: TableResize,
    device: &Device,
) -> Option<Vec<f32>> {
    let &[rows, width] = tensor.shape.as_slice() else { return None };
    let from = window_of(rows).filter(|_| width == heads)?;
    let data = TensorData::new(tensor.values.clone(), [rows, heads]);
    let table = Tensor::from_data(data, device);
    let resized = resize_offsets(table, Grid::square(from), Grid::square(window), resize);
    Some(resized.into_data().iter::<f32>().collect())
}

/// Resizes a position table from the grid `from` to `grid`.
fn resize_positions(
    tensor: &HostTensor,
    rows: usize,
    [from, grid]: [Grid; 2],
    resize: PositionResize,
    device: &Device,
) -> Option<Vec<f32>> {
    let &[.., old, width] = tensor.shape.as_slice() else { return None };
    if old != rows + from.cells() {
        return None;
    }
    let (first, cells) = tensor.values.split_at(rows * width);
    let data = TensorData::new(cells.to_vec(), [from.cells(), width]);
    let resized = resize.resized(Tensor::from_data(data, device), from, grid);
    Some(first.iter().copied().chain(resized.into_data().iter::<f32>()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_changes_nothing() {
        let values: Vec<f32> = (0..70 * 33).map(|i| i as f32).collect();
        let once = transpose(&values, 70, 33);
        assert_eq!(once[1], 33.0);
        assert_eq!(transpose(&once, 33, 70), values);
    }

    #[test]
    fn inflation_keeps_what_equal_channels_gave() {
        let tensor = HostTensor { shape: vec![1, 3, 1, 2], values: vec![1., 2., 3., 4., 5., 6.] };
        let five = inflate(&tensor, &[1, 5, 1, 2]).unwrap();
        assert_eq!(five, [9.0 / 5.0, 12.0 / 5.0].repeat(5));
        assert!(inflate(&tensor, &[1, 5, 2, 2]).is_none());
    }
}
