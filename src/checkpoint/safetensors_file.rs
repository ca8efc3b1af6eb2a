//! Writing a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, View};

use super::weights_file::HostTensor;
use crate::error::{Error, Result};
use crate::file::write_whole;

/// The values as little-endian bytes, as safetensors stores them.
struct Bytes {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Bytes {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors by key, with the metadata that PyTorch's readers expect.
pub(super) fn write_safetensors(path: &Path, tensors: Vec<(String, HostTensor)>) -> Result<()> {
    let bytes = |HostTensor { shape, values }: HostTensor| Bytes {
        shape,
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    let tensors: HashMap<_, _> = tensors.into_iter().map(|(k, t)| (k, bytes(t))).collect();
    let format = HashMap::from([("format".to_string(), "pt".to_string())]);
    let fault = |error: &dyn std::fmt::Display| Error::checkpoint(path, error);
    let serialized = safetensors::serialize(&tensors, Some(format)).map_err(|e| fault(&e))?;
    write_whole(path, &serialized).map_err(|e| fault(&e))
}
