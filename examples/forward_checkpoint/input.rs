//! The file of images and masks.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_mim::encoder::GptConfig;
use burn_mim::{ClipShape, Error, Grid, ImageShape, MaskStrategy, Result, UnitMask};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The input file.
pub(crate) struct Input<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> Input<'a> {
    pub(crate) fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::data(path, error))?;
        Ok(Self { path, tensors })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.tensors.tensor(key).is_ok()
    }

    fn tensor(&self, key: &str, rank: usize, dtypes: &[Dtype]) -> Result<TensorView<'a>> {
        let fault = |reason: String| Error::data(self.path, format!("{key}: {reason}"));
        let tensor = self.tensors.tensor(key).map_err(|_| fault("is missing".into()))?;
        if tensor.shape().len() != rank || !dtypes.contains(&tensor.dtype()) {
            let (dtype, shape) = (tensor.dtype(), tensor.shape());
            return Err(fault(format!(
                "is {dtype:?} {shape:?}, expected {rank} axes of {dtypes:?}"
            )));
        }
        Ok(tensor)
    }

    fn floats(&self, key: &str, rank: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let tensor = self.tensor(key, rank, &[Dtype::F32])?;
        let values =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok((tensor.shape().to_vec(), values.collect()))
    }

    pub(crate) fn images(&self, device: &Device) -> Result<Tensor<4>> {
        let (shape, values) = self.floats("pixel_values", 4)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Clips `[b, c, frames, h, w]` of the shape `clip`, from transformers' `[b, frames, c, h, w]`.
    pub(crate) fn clips(&self, clip: ClipShape, device: &Device) -> Result<Tensor<5>> {
        let (shape, values) = self.floats("pixel_values", 5)?;
        let got = ClipShape::new(ImageShape::new(shape[2], shape[3], shape[4]), shape[1]);
        if got != clip {
            let reason = format!("pixel_values: are {got}, the model reads {clip}");
            return Err(Error::data(self.path, reason));
        }
        let clips = Tensor::<5>::from_data(TensorData::new(values, shape), device);
        Ok(clips.permute([0, 2, 1, 3, 4]))
    }

    /// Ids that an Image GPT of `config` can read.
    pub(crate) fn ids(&self, config: &GptConfig, device: &Device) -> Result<Tensor<2, Int>> {
        let tensor = self.tensor("input_ids", 2, &[Dtype::I64])?;
        let (bytes, _) = tensor.data().as_chunks::<8>();
        let ids: Vec<i64> = bytes.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
        let (shape, pixels) = (tensor.shape().to_vec(), config.grid().cells());
        let known = |id: &i64| (0..=config.colors as i64).contains(id);
        if shape[1] == 0 || shape[1] > pixels || !ids.iter().all(known) {
            let reason = format!(
                "input_ids: {} tokens a sample, the model reads 1 to {pixels} of ids up to {}",
                shape[1], config.colors
            );
            return Err(Error::data(self.path, reason));
        }
        Ok(Tensor::from_data(TensorData::new(ids, shape), device))
    }

    fn check_cells(&self, key: &str, cells: usize, grid: Grid) -> Result<()> {
        if cells == grid.cells() {
            return Ok(());
        }
        let reason = format!("{key}: has {cells} patches a sample, the model has {grid}");
        Err(Error::data(self.path, reason))
    }

    /// Each sample's kept cells by increasing noise, and its mask.
    pub(crate) fn noise(
        &self,
        strategy: &dyn MaskStrategy,
    ) -> Result<(Vec<Vec<usize>>, Vec<UnitMask>)> {
        let (shape, noise) = self.floats("noise", 2)?;
        self.check_cells("noise", shape[1], strategy.grid())?;
        let orders = noise.chunks(shape[1]).map(|noise| {
            let mut cells: Vec<usize> = (0..noise.len()).collect();
            cells.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
            let hidden = cells.split_off(cells.len() - strategy.hidden());
            Ok((cells, UnitMask::from_indices(strategy.grid(), hidden)?))
        });
        let pairs: Result<Vec<_>> = orders.collect();
        Ok(pairs?.into_iter().unzip())
    }

    /// Each sample's mask from its bits.
    pub(crate) fn hidden_cells(&self, grid: Grid) -> Result<Vec<UnitMask>> {
        let tensor = self.tensor("bool_masked_pos", 2, &[Dtype::BOOL, Dtype::U8, Dtype::I64])?;
        self.check_cells("bool_masked_pos", tensor.shape()[1], grid)?;
        let bytes = if tensor.dtype() == Dtype::I64 { 8 } else { 1 };
        let is_hidden = |value: &[u8]| value.iter().any(|&byte| byte != 0);
        let bits: Vec<bool> = tensor.data().chunks(bytes).map(is_hidden).collect();
        bits.chunks(grid.cells()).map(|bits| UnitMask::new(grid, bits.to_vec())).collect()
    }
}
