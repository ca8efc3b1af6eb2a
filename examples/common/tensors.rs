//! Files of tensors.

use std::path::Path;

use burn_mim::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};

/// A name, and a tensor's type, shape and little-endian bytes.
pub(crate) type Named = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// Writes a file of safetensors.
pub(crate) fn write(path: &Path, tensors: &[Named]) -> Result<()> {
    let fault = |error: SafeTensorError| Error::data(path, error);
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(fault)?));
    }
    safetensors::serialize_to_file(views, None, path).map_err(fault)
}
