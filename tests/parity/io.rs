//! Reading fixtures and comparing with them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use burn_mim::checkpoint::LoadOptions;
use burn_mim::{Grid, Mask, UnitMask};
use safetensors::tensor::{Dtype, SafeTensors};

pub(crate) const STRICT: LoadOptions = LoadOptions { strict: true, resize: false };

pub(crate) fn device() -> Device {
    Device::flex()
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

/// The shapes and bytes of all tensors of a folder's `model.safetensors`, whatever their names.
pub(crate) fn weights_in(folder: &Path) -> Vec<(Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter();
    let mut tensors: Vec<_> =
        tensors.map(|(_, view)| (view.shape().to_vec(), view.data().to_vec())).collect();
    tensors.sort();
    tensors
}

/// The tensors of a fixture's `io.safetensors`, as f32.
pub(crate) struct Io(pub(crate) HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Io {
    pub(crate) fn open(name: &str) -> Self {
        Self::read(&folder(name).join("io.safetensors"))
    }

    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let read = |(key, view): (String, safetensors::tensor::TensorView)| {
            let values = match view.dtype() {
                Dtype::F32 => {
                    let bytes = view.data().as_chunks::<4>().0;
                    bytes.iter().map(|b| f32::from_le_bytes(*b)).collect()
                }
                Dtype::I64 => {
                    let bytes = view.data().as_chunks::<8>().0;
                    bytes.iter().map(|b| i64::from_le_bytes(*b) as f32).collect()
                }
                Dtype::U8 => view.data().iter().map(|b| f32::from(*b)).collect(),
                other => panic!("{key} is {other:?}"),
            };
            (key, (view.shape().to_vec(), values))
        };
        Self(file.tensors().into_iter().map(read).collect())
    }

    pub(crate) fn tensor<const D: usize>(&self, key: &str) -> Tensor<D> {
        let (shape, values) = &self.0[key];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), &device())
    }

    /// Each sample's mask, from its noise or its bits; and, from noise, its cells by noise.
    pub(crate) fn masks(&self, grid: Grid, hidden: usize) -> (Mask, Vec<Vec<usize>>) {
        // A mask's bits are a noise whose largest values are the hidden cells.
        let key = if self.0.contains_key("noise") { "noise" } else { "bool_masked_pos" };
        let samples = self.0[key].1.chunks(grid.cells()).map(|noise| {
            let mut cells: Vec<usize> = (0..noise.len()).collect();
            cells.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
            let dropped = cells.split_off(cells.len() - hidden);
            (cells, UnitMask::from_indices(grid, dropped).unwrap())
        });
        let (cells, masks): (Vec<_>, Vec<_>) = samples.unzip();
        (Mask::new(masks, &device()).unwrap(), cells)
    }
}

/// Compares with `share` of the largest expected value.
pub(crate) fn close<const D: usize>(
    what: &str,
    got: Tensor<D>,
    expected: &(Vec<usize>, Vec<f32>),
    share: f32,
) {
    assert_eq!(got.dims().as_slice(), expected.0.as_slice(), "{what}");
    let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
    let largest = expected.1.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    let difference =
        got.iter().zip(&expected.1).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference <= share * largest, "{what}: {difference} of {largest}");
}

/// The gradient of a parameter as PyTorch lays it out.
pub(crate) fn gradient<const D: usize>(
    gradients: &Gradients,
    param: &Param<Tensor<D>>,
) -> Tensor<D> {
    param.val().grad(gradients).expect("every trained parameter has a gradient")
}
