//! One parameter of a model and the tensors of a file that hold its values.

use super::resize::{Fit, Resize, fit, middle_rows, offsets, resized, transpose};
use super::{LoadOptions, Source};
use crate::checkpoint::weights_file::HostTensor;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::nn::{PositionResize, TableResize};

/// One parameter of a model and where a file keeps it.
#[derive(Debug, Clone)]
pub(in crate::checkpoint) struct Entry {
    /// The parameter's path in the model.
    pub(super) ours: String,
    /// The keys in the file: one key, or several with tensors of equal shape that are joined along
    /// their first axis.
    pub(super) theirs: Vec<String>,
    /// The shape of each of the file's tensors.
    pub(super) shape: Vec<usize>,
    /// Whether the file has outputs first (PyTorch's linear layers and convolutions) where the
    /// model has them last.
    transposed: bool,
    resize: Option<Resize>,
}

impl Entry {
    fn new(ours: String, theirs: Vec<String>, shape: Vec<usize>, transposed: bool) -> Self {
        Self { ours, theirs, shape, transposed, resize: None }
    }

    /// A tensor with the same values in the same order; leading axes of size 1 may differ.
    pub(in crate::checkpoint) fn tensor(ours: String, theirs: String, shape: &[usize]) -> Self {
        Self::new(ours, vec![theirs], shape.to_vec(), false)
    }

    /// Tokens `[1, 1, width]`, one below the other.
    pub(in crate::checkpoint) fn tokens(ours: String, theirs: Vec<String>, width: usize) -> Self {
        Self::new(ours, theirs, vec![1, 1, width], false)
    }

    /// Several vectors of `length` numbers, joined to one.
    pub(in crate::checkpoint) fn vectors(ours: String, theirs: Vec<String>, length: usize) -> Self {
        Self::new(ours, theirs, vec![length], false)
    }

    /// Several linear layers `[outputs, inputs]`, joined along their outputs.
    pub(in crate::checkpoint) fn matrices(
        ours: String,
        theirs: Vec<String>,
        outputs: usize,
        inputs: usize,
    ) -> Self {
        Self::new(ours, theirs, vec![outputs, inputs], true)
    }

    /// A convolution `[outputs, channels, side, side]` as a linear layer on patches.
    pub(in crate::checkpoint) fn convolution(
        ours: String,
        theirs: String,
        shape: [usize; 4],
    ) -> Self {
        Self::new(ours, vec![theirs], shape.to_vec(), true)
    }

    /// The convolution that embeds patches, whose channels can be inflated.
    pub(in crate::checkpoint) fn patch_embedding(
        ours: String,
        theirs: String,
        shape: [usize; 4],
    ) -> Self {
        Self { resize: Some(Resize::Channels), ..Self::convolution(ours, theirs, shape) }
    }

    /// The convolution `[outputs, channels, frames, side, side]` that embeds tubelets, as a linear layer
    /// on them.
    pub(in crate::checkpoint) fn clip_embedding(
        ours: String,
        theirs: String,
        shape: [usize; 5],
    ) -> Self {
        Self::new(ours, vec![theirs], shape.to_vec(), true)
    }

    /// A position table `[1, rows + cells, width]` over `grid`.
    pub(in crate::checkpoint) fn positions(
        ours: String,
        theirs: String,
        rows: usize,
        grid: Grid,
        width: usize,
    ) -> Self {
        let entry = Self::tensor(ours, theirs, &[1, rows + grid.cells(), width]);
        let resize = PositionResize::Bicubic;
        let pooled = [1, 1];
        Self { resize: Some(Resize::Positions { rows, grid, resize, pooled }), ..entry }
    }

    /// The same position table, of which a cell is as many rows and columns of the file's grid.
    pub(in crate::checkpoint) fn of_pooled(mut self, by: [usize; 2]) -> Self {
        if let Some(Resize::Positions { pooled, .. }) = &mut self.resize {
            *pooled = by;
        }
        self
    }

    /// The same position table, read on another grid as `how` says.
    pub(in crate::checkpoint) fn read_by(self, how: PositionResize) -> Self {
        let resize = match self.resize {
            Some(Resize::Positions { rows, grid, pooled, .. }) => {
                Some(Resize::Positions { rows, grid, resize: how, pooled })
            }
            other => other,
        };
        Self { resize, ..self }
    }

    /// The same tensors without their leading axes of size 1.
    pub(in crate::checkpoint) fn flat(mut self) -> Self {
        while self.shape.len() > 1 && self.shape[0] == 1 {
            self.shape.remove(0);
        }
        self
    }

    /// A table `[offsets, heads]` of the offsets within a square `window`, or within a `smaller`
    /// window if the file has only these.
    pub(in crate::checkpoint) fn offsets(
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

    /// Whether the parameter belongs to the encoder, that is, neither to a head nor to a mask
    /// token.
    pub(super) fn is_encoders(&self) -> bool {
        !self.ours.starts_with("head.") && !self.ours.ends_with("mask_token")
    }

    /// The number of values in the parameter.
    pub(super) fn numbers(&self) -> usize {
        let each = self.shape.iter().fold(1usize, |size, side| size.saturating_mul(*side));
        each.saturating_mul(self.theirs.len())
    }

    /// Decides from the shape of the tensor `key` in the file how it is to be read.
    pub(super) fn fit(&self, key: &str, source: &Source, options: LoadOptions) -> Result<Fit> {
        let was = source.file.shape(key).unwrap_or_default();
        fit(&was, &self.shape, self.resize, options, source).ok_or_else(|| {
            let hint = match self.resize {
                Some(_) if !options.resize => {
                    "; to resize it, set the option resize (--image-size)"
                }
                _ => "",
            };
            let reason = format!("{key}: has the shape {was:?}, expected {:?}{hint}", self.shape);
            Error::checkpoint(source.file.path(), reason)
        })
    }

    /// Reads the values of the parameter from the tensors `keys` of the file.
    pub(super) fn read(
        &self,
        keys: &[String],
        source: &Source,
        options: LoadOptions,
    ) -> Result<Vec<f32>> {
        let mut joined = Vec::new();
        for key in keys {
            let fit = self.fit(key, source, options)?;
            let mut tensor = source.file.read(key)?;
            if let (Fit::Resized, Some(resize)) = (fit, self.resize) {
                let (was, is) = (tensor.shape.clone(), &self.shape);
                tensor = resized(&tensor, is, resize, source).ok_or_else(|| {
                    let reason = format!("{key}: cannot be resized from {was:?} to {is:?}");
                    Error::checkpoint(source.file.path(), reason)
                })?;
            }
            if let (Fit::InTheMiddle, Some(whole)) = (fit, self.in_the_middle(&tensor)) {
                joined = whole;
            } else if fit == Fit::CellsAlone {
                joined = vec![0.0; self.numbers() - tensor.values.len()];
                joined.extend(tensor.values);
            } else if joined.is_empty() {
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

    /// The whole table with the table of a smaller window in its middle, and 0 where the file has
    /// no number.
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

    /// The tensors that a file keeps for `value`, the value of the parameter.
    pub(super) fn written(&self, value: HostTensor) -> Vec<(String, HostTensor)> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
