//! Writes a folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::checkpoint::safetensors_file::write_safetensors;
use crate::checkpoint::weights_file::HostTensor;
use crate::error::{Error, Result};
use crate::file::write_whole;

/// Writes `config.json` and `model.safetensors`.
pub(super) fn write(folder: &Path, json: Value, tensors: Vec<(String, HostTensor)>) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::checkpoint(folder, error))?;
    write_safetensors(&folder.join("model.safetensors"), tensors)?;
    let config = folder.join("config.json");
    let json = format!("{json:#}\n");
    write_whole(&config, json.as_bytes()).map_err(|error| Error::checkpoint(&config, error))
}
