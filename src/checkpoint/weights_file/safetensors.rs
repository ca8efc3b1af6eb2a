//! The header of a safetensors file.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::DType;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Tensors;
use super::stored::Stored;
use crate::error::{Error, Result};

/// The longest header that safetensors itself accepts.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensors that a safetensors file lists in its header.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let fault = |error: &dyn std::fmt::Display| Error::checkpoint(path, error);
    let mut file = fs::File::open(path).map_err(|error| fault(&error))?;
    let size = file.metadata().map_err(|error| fault(&error))?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|_| fault(&"is cut short: it has no header"))?;
    let start = u64::from_le_bytes(prefix).checked_add(8).filter(|start| *start <= size);
    let start = start.ok_or_else(|| fault(&"is cut short, or is not a safetensors file"))?;
    if start > LONGEST_HEADER {
        return Err(fault(&format!("has a header of {} bytes; 100 MB are the most", start - 8)));
    }
    let mut header = Vec::new();
    file.take(start - 8).read_to_end(&mut header).map_err(|error| fault(&error))?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| fault(&format!("its header: {error}")))?;
    let held = size - start;
    let path: Arc<Path> = path.into();
    let entry = |(key, info): (String, &TensorInfo)| {
        let (first, last) = info.data_offsets;
        if last as u64 > held {
            return Err(fault(&format!("{key}: the file is cut short before its end")));
        }
        let stored = Stored::Slice {
            path: path.clone(),
            dtype: dtype(info.dtype),
            shape: info.shape.clone(),
            offset: start + first as u64,
            length: last - first,
        };
        Ok((key, stored))
    };
    metadata.tensors().into_iter().map(entry).collect()
}

/// burn's name of a number type. All types that are not floating-point become one, since no weight
/// is read from them.
fn dtype(dtype: safetensors::Dtype) -> DType {
    match dtype {
        safetensors::Dtype::F64 => DType::F64,
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F16 => DType::F16,
        safetensors::Dtype::BF16 => DType::BF16,
        _ => DType::I64,
    }
}
