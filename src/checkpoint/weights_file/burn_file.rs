//! The files of weights in a run's checkpoints, and the checksum of a file's weights.

use std::path::Path;

use burn::store::burn_pack::{self, Reader};
use sha2::{Digest, Sha256};

use super::stored::Stored;
use super::{HostTensor, WeightsFile};
use crate::error::{Error, Result};
use crate::file::hex;

impl WeightsFile {
    /// Opens a file of burn's own format, whose keys are the paths of parameters.
    pub(crate) fn open_burn(path: &Path) -> Result<Self> {
        let fault = |error: burn_pack::Error| Error::checkpoint(path, error);
        let bytes = std::fs::metadata(path).map_err(|error| Error::checkpoint(path, error))?.len();
        let tensors = Reader::from_file_exact(path).and_then(Reader::into_tensors);
        let tensors = tensors.map_err(fault)?.into_iter();
        let tensors = tensors.map(|tensor| (tensor.name.clone(), Stored::Packed(tensor))).collect();
        Ok(Self { path: path.to_path_buf(), tensors, bytes, _copy: None })
    }

    /// All tensors of floating-point numbers by their keys.
    pub(crate) fn floats(&self) -> Result<Vec<(String, HostTensor)>> {
        let floats = self.tensors.iter().filter(|(_, tensor)| tensor.dtype().is_float());
        floats.map(|(key, _)| Ok((key.clone(), self.read(key)?))).collect()
    }

    /// The SHA-256 of all keys, shapes and values: that of the weights, wherever and in however many
    /// files they are kept.
    pub(crate) fn checksum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        for (key, tensor) in &self.tensors {
            let fault = |reason: String| Error::checkpoint(&self.path, format!("{key}: {reason}"));
            sum.update(format!("{key} {:?} {:?}\n", tensor.dtype(), tensor.shape()));
            sum.update(tensor.data().map_err(fault)?.as_bytes());
        }
        Ok(hex(&sum.finalize()))
    }
}
