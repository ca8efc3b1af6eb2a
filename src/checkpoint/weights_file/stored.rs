//! The place where the bytes of a tensor are stored.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use burn::store::bridge;
use burn::store::burn_pack::Tensor as PackedTensor;
use burn::tensor::{DType, TensorData};

/// A tensor that is read when it is asked for.
pub(super) enum Stored {
    /// At an offset in a safetensors file. Reading it there, and not through a memory map, limits
    /// the memory of a load to the size of its weights.
    Slice { path: Arc<Path>, dtype: DType, shape: Vec<usize>, offset: u64, length: usize },
    /// In a PyTorch file, or in one of burn's own.
    Packed(PackedTensor),
}

impl Stored {
    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Slice { shape, .. } => shape.clone(),
            Self::Packed(tensor) => tensor.shape.iter().copied().collect(),
        }
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Slice { dtype, .. } => *dtype,
            Self::Packed(tensor) => tensor.dtype,
        }
    }

    /// The number of bytes that the shape and type of the tensor require.
    pub(super) fn bytes(&self) -> u64 {
        let size = self.dtype().size() as u64;
        self.shape().iter().fold(size, |bytes, side| bytes.saturating_mul(*side as u64))
    }

    pub(super) fn data(&self) -> Result<TensorData, String> {
        match self {
            Self::Slice { path, dtype, shape, offset, length } => {
                let mut bytes = vec![0; *length];
                let mut file = fs::File::open(path).map_err(|error| error.to_string())?;
                file.seek(SeekFrom::Start(*offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|error| error.to_string())?;
                Ok(TensorData::from_bytes_vec(bytes, shape.clone(), *dtype))
            }
            Self::Packed(tensor) => bridge::to_data(tensor).map_err(|error| error.to_string()),
        }
    }
}
