//! The file of results.

use std::path::Path;

use burn::tensor::Tensor;
use burn_mim::{Mask, Result, UnitMask};
use safetensors::tensor::Dtype;

use crate::tensors;

/// The output file.
#[derive(Default)]
pub(crate) struct Outputs {
    tensors: Vec<tensors::Named>,
}

impl Outputs {
    pub(crate) fn add<const D: usize>(&mut self, name: &'static str, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        let bytes = tensor.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.tensors.push((name, Dtype::F32, shape, bytes));
    }

    pub(crate) fn hidden(&mut self, mask: &Mask) {
        self.hidden_cells(mask.samples());
    }

    /// One row for each sample, or one for all where samples hide different numbers of cells.
    pub(crate) fn hidden_cells(&mut self, samples: &[UnitMask]) {
        let cells = samples.iter().flat_map(|mask| mask.hidden_indices());
        let bytes: Vec<u8> = cells.flat_map(|cell| (cell as i64).to_le_bytes()).collect();
        let count = samples[0].hidden();
        let shape = match samples.iter().all(|mask| mask.hidden() == count) {
            true => vec![samples.len(), count],
            false => vec![bytes.len() / 8],
        };
        self.tensors.push(("hidden", Dtype::I64, shape, bytes));
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        tensors::write(path, &self.tensors)
    }
}
