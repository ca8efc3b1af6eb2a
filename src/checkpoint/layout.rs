//! Which tensors of a file make up which parameter of a model.

use std::collections::{BTreeSet, HashMap};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::parameters;
use super::report::{LoadOptions, LoadReport};
use super::weights_file::{HostTensor, WeightsFile};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::nn::{TableResize, resize_offsets, resize_table};

/// One parameter of a model and where a file keeps it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The parameter's path in the model.
    ours: String,
    /// The file's keys: one, or several of equal shape that are joined along their first axis.
    theirs: Vec<String>,
    /// The shape of each of the file's tensors.
    shape: Vec<usize>,
    /// Whether the file has outputs first (PyTorch's linear layers and convolutions) where the
    /// model has them last.
    transposed: bool,
    resize: Option<Resize>,
}

/// A file and what a resize must know of it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a WeightsFile,
    /// The grid of its position tables, where that is known.
    pub(super) grid: Option<Grid>,
    /// Where to compute.
    pub(super) device: Device,
}

/// How a tensor can be made to fit when its shape differs.
#[derive(Debug, Clone, Copy)]
enum Resize {
    /// A table `[.., rows + cells, width]` whose first rows are not cells.
    Positions { rows: usize, grid: Grid },
    /// Weights `[outputs, channels, patch, patch]`.
    Channels,
    /// A table `[offsets, heads]` of the offsets within a square window of `window` cells a side.
    /// Files may have only those of the `smaller` one that is all a stage's grid has room for.
    Offsets { window: usize, smaller: Option<usize>, resize: TableResize },
}

impl Entry {
    fn new(ours: String, theirs: Vec<String>, shape: Vec<usize>, transposed: bool) -> Self {
        Self { ours, theirs, shape, transposed, resize: None }
    }

    /// The same values in the same order, whatever the leading axes of size 1.
    pub(super) fn tensor(ours: String, theirs: String, shape: &[usize]) -> Self {
        Self::new(ours, vec![theirs], shape.to_vec(), false)
    }

    /// Vectors of `length` joined to one.
    pub(super) fn vectors(ours: String, theirs: Vec<String>, length: usize) -> Self {
        Self::new(ours, theirs, vec![length], false)
    }

    /// Linear layers `[outputs, inputs]` joined along their outputs.
    pub(super) fn matrices(
        ours: String,
        theirs: Vec<String>,
        outputs: usize,
        inputs: usize,
    ) -> Self {
        Self::new(ours, theirs, vec![outputs, inputs], true)
    }

    /// A convolution `[outputs, channels, side, side]` as a linear layer on patches.
    pub(super) fn convolution(ours: String, theirs: String, shape: [usize; 4]) -> Self {
        Self::new(ours, vec![theirs], shape.to_vec(), true)
    }

    /// The convolution that embeds patches, whose channels can be inflated.
    pub(super) fn patch_embedding(ours: String, theirs: String, shape: [usize; 4]) -> Self {
        Self { resize: Some(Resize::Channels), ..Self::convolution(ours, theirs, shape) }
    }

    /// A position table `[1, rows + cells, width]` over `grid`.
    pub(super) fn positions(
        ours: String,
        theirs: String,
        rows: usize,
        grid: Grid,
        width: usize,
    ) -> Self {
        let entry = Self::tensor(ours, theirs, &[1, rows + grid.cells(), width]);
        Self { resize: Some(Resize::Positions { rows, grid }), ..entry }
    }

    /// A table `[offsets, heads]` of the offsets within a square `window`, or within the `smaller`
    /// one where the file has only these.
    pub(super) fn offsets(
        ours: String,
        theirs: String,
        heads: usize,
        [window, smaller]: [usize; 2],
        resize: TableResize,
    ) -> Self {
        let entry = Self::tensor(ours, theirs, &[offsets(window), heads]);
        let smaller = (smaller < window).then_some(smaller);
        Self { resize: Some(Resize::Offsets { window, smaller, resize }), ..entry }
    }

    fn read(
        &self,
        source: &Source,
        options: LoadOptions,
        report: &mut LoadReport,
    ) -> Result<Vec<f32>> {
        let file = source.file;
        let mut joined = Vec::new();
        for key in &self.theirs {
            let mut tensor = file.read(key)?;
            if !self.fits(&tensor, source) {
                let was = tensor.shape.clone();
                if let Some(whole) = self.in_the_middle(&tensor) {
                    joined = whole;
                    continue;
                }
                tensor = self.resized(tensor, options, source).ok_or_else(|| {
                    let hint = match self.resize {
                        Some(_) if !options.resize => "; it can be resized, if asked for",
                        _ => "",
                    };
                    let reason =
                        format!("{key}: has the shape {was:?}, expected {:?}{hint}", self.shape);
                    Error::checkpoint(file.path(), reason)
                })?;
                report.reshaped.push(format!("{key} {was:?} -> {:?}", self.shape));
            }
            if joined.is_empty() {
                joined = tensor.values;
            } else {
                joined.extend(tensor.values);
            }
        }
        if !self.transposed {
            return Ok(joined);
        }
        let outputs = self.shape[0] * self.theirs.len();
        let inputs = joined.len() / outputs;
        Ok(transpose(&joined, outputs, inputs))
    }

    /// Whether the tensor can be taken as it is; a table of as many cells may be over another grid.
    fn fits(&self, tensor: &HostTensor, source: &Source) -> bool {
        let same_grid = match self.resize {
            Some(Resize::Positions { grid, .. }) => source.grid.is_none_or(|from| from == grid),
            _ => true,
        };
        tensor.shape == self.shape && same_grid
    }

    fn resized(
        &self,
        tensor: HostTensor,
        options: LoadOptions,
        source: &Source,
    ) -> Option<HostTensor> {
        let values = match self.resize.filter(|_| options.resize)? {
            Resize::Channels => inflate(&tensor, &self.shape)?,
            Resize::Positions { rows, grid } => {
                if tensor.shape.last() != self.shape.last() {
                    return None;
                }
                resize_positions(&tensor, rows, source.grid?, grid, &source.device)?
            }
            Resize::Offsets { window, resize, .. } => {
                resize_offsets_of(&tensor, self.shape[1], window, resize, &source.device)?
            }
        };
        Some(HostTensor { shape: self.shape.clone(), values })
    }

    /// The whole table around that of a smaller window, 0 where the file has no number.
    fn in_the_middle(&self, tensor: &HostTensor) -> Option<Vec<f32>> {
        let Some(Resize::Offsets { window, smaller: Some(smaller), .. }) = self.resize else {
            return None;
        };
        let heads = self.shape[1];
        if tensor.shape != [offsets(smaller), heads] {
            return None;
        }
        let mut whole = vec![0.0; offsets(window) * heads];
        for (row, numbers) in middle_rows(window, smaller).zip(tensor.values.chunks(heads)) {
            whole[row * heads..][..heads].copy_from_slice(numbers);
        }
        Some(whole)
    }

    /// The file's tensors for the value of the parameter.
    fn written(&self, value: HostTensor) -> Vec<(String, HostTensor)> {
        if let Some(Resize::Offsets { window, smaller: Some(smaller), .. }) = self.resize {
            let heads = self.shape[1];
            let rows = middle_rows(window, smaller);
            let values =
                rows.flat_map(|row| value.values[row * heads..][..heads].to_vec()).collect();
            let shape = vec![offsets(smaller), heads];
            return vec![(self.theirs[0].clone(), HostTensor { shape, values })];
        }
        let parts = self.theirs.len();
        let values = if self.transposed {
            let outputs = self.shape[0] * parts;
            transpose(&value.values, value.values.len() / outputs, outputs)
        } else {
            value.values
        };
        let part = values.len() / parts;
        let tensors = values.chunks(part);
        let tensors =
            tensors.map(|part| HostTensor { shape: self.shape.clone(), values: part.to_vec() });
        self.theirs.iter().cloned().zip(tensors).collect()
    }
}

/// Loads into `model` what `entries` find in `source`.
///
/// `buffers` are endings of keys that hold no weights; they are not reported.
pub(super) fn load<M: Module>(
    model: M,
    entries: &[Entry],
    source: &Source,
    buffers: &[&str],
    options: LoadOptions,
) -> Result<(M, LoadReport)> {
    let file = source.file;
    let shapes = parameters::shapes(&model);
    let mut report = LoadReport::default();
    let mut values = HashMap::new();
    let known: BTreeSet<&str> = file.keys().collect();
    let mut used = BTreeSet::new();
    for entry in entries {
        let missing = entry.theirs.iter().filter(|key| !known.contains(key.as_str()));
        let missing: Vec<_> = missing.cloned().collect();
        used.extend(entry.theirs.iter().map(String::as_str));
        if !missing.is_empty() {
            report.missing.extend(missing);
            continue;
        }
        let shape = shapes[&entry.ours].clone();
        let read = entry.read(source, options, &mut report)?;
        values.insert(entry.ours.clone(), HostTensor { shape, values: read });
        report.matched.extend(entry.theirs.iter().cloned());
    }
    let is_buffer = |key: &str| buffers.iter().any(|ending| key.ends_with(ending));
    let unused = known.into_iter().filter(|key| !used.contains(key) && !is_buffer(key));
    report.unused.extend(unused.map(str::to_string));
    let report = report.check(options, file.path())?;
    Ok((parameters::replaced(model, values), report))
}

/// The file's tensors for every entry of `model`.
pub(super) fn save<M: Module>(model: &M, entries: &[Entry]) -> Vec<(String, HostTensor)> {
    let mut values = parameters::values(model);
    let written = |entry: &Entry| {
        let value = values.remove(&entry.ours);
        entry.written(value.expect("an entry names a parameter of its model, once"))
    };
    entries.iter().flat_map(written).collect()
}

/// `[rows, cols]` to `[cols, rows]`, in tiles that stay in the cache.
fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
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
/// ones, scaled so that equal channels give what they gave before (I3D's inflation).
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

/// The offsets within a square window.
fn offsets(window: usize) -> usize {
    (2 * window - 1).pow(2)
}

/// The rows that the offsets within a `smaller` window have in the table of `window`.
fn middle_rows(window: usize, smaller: usize) -> impl Iterator<Item = usize> {
    let (side, inner, margin) = (2 * window - 1, 2 * smaller - 1, window - smaller);
    (0..inner * inner).map(move |row| (row / inner + margin) * side + row % inner + margin)
}

/// A table of offsets within some square window, for `window`.
fn resize_offsets_of(
    tensor: &HostTensor,
    heads: usize,
    window: usize,
    resize: TableResize,
    device: &Device,
) -> Option<Vec<f32>> {
    let &[rows, width] = tensor.shape.as_slice() else { return None };
    let from = rows.isqrt().div_ceil(2);
    if width != heads || from == 0 || offsets(from) != rows {
        return None;
    }
    let data = TensorData::new(tensor.values.clone(), [rows, heads]);
    let table = Tensor::from_data(data, device);
    let resized = resize_offsets(table, Grid::square(from), Grid::square(window), resize);
    Some(resized.into_data().iter::<f32>().collect())
}

/// A position table over `from`, read on `grid`.
fn resize_positions(
    tensor: &HostTensor,
    rows: usize,
    from: Grid,
    grid: Grid,
    device: &Device,
) -> Option<Vec<f32>> {
    let &[_, old, width] = tensor.shape.as_slice() else { return None };
    if old != rows + from.cells() {
        return None;
    }
    let (first, cells) = tensor.values.split_at(rows * width);
    let data = TensorData::new(cells.to_vec(), [from.cells(), width]);
    let resized = resize_table(Tensor::from_data(data, device), from, grid);
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

    #[test]
    fn joined_matrices_are_split_again() {
        let keys = || vec!["q".to_string(), "k".to_string()];
        let entry = Entry::matrices("qk".into(), keys(), 2, 3);
        // Inputs × (two outputs of q, two of k).
        let ours = HostTensor { shape: vec![3, 4], values: (0..12).map(|i| i as f32).collect() };
        let written = entry.written(ours);
        assert_eq!(written[0].1.values, [0., 4., 8., 1., 5., 9.]);
        assert_eq!(written[1].0, "k");
        assert_eq!(written[1].1.values, [2., 6., 10., 3., 7., 11.]);
    }

    #[test]
    fn a_smaller_windows_table_lies_in_the_middle() {
        let entry = Entry::offsets("o".into(), "t".into(), 1, [3, 2], TableResize::Bicubic);
        let file = HostTensor { shape: vec![9, 1], values: (1..10).map(|i| i as f32).collect() };
        let whole = entry.in_the_middle(&file).unwrap();
        assert_eq!((whole.len(), &whole[6..9], whole[12]), (25, &[1., 2., 3.][..], 5.0));
        let written = entry.written(HostTensor { shape: vec![25, 1], values: whole });
        assert_eq!(written, [("t".to_string(), file)]);
    }
}
