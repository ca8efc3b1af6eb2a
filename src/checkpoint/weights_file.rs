//! Tensors by key, from safetensors or PyTorch files; no pickled code is ever run.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::store::burn_pack::Tensor as PyTorchTensor;
use burn::store::{ModuleStore, PytorchStore, bridge};
use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use tempfile::TempPath;

use super::pickle;
use crate::error::{Error, Result};

/// A tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HostTensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The tensors of a checkpoint file, read one by one when they are asked for.
pub struct WeightsFile {
    path: PathBuf,
    tensors: Tensors,
    /// What the tensors are read from where it is not `path` itself.
    _copy: Option<TempPath>,
}

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeightsFile({}, {} tensors)", self.path.display(), self.tensors.len())
    }
}

/// A safetensors index: which shard holds which key.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl WeightsFile {
    /// Opens a `.safetensors` file, or a PyTorch one (`.pth`, `.pt`, `.bin`): its `model` or
    /// `state_dict` entry where it has one.
    ///
    /// # Errors
    ///
    /// When the file is missing, cut short or in another format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let (tensors, copy) = match extension {
            "safetensors" => (safetensors(path)?, None),
            "pth" | "pt" | "bin" => pytorch(path)?,
            other => {
                return Err(Error::checkpoint(
                    path,
                    format!("has the ending {other:?}; expected safetensors, pth, pt or bin"),
                ));
            }
        };
        Ok(Self { path: path.to_path_buf(), tensors, _copy: copy })
    }

    /// Opens the weights in a transformers folder: `model.safetensors`, its shards, or
    /// `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// When the folder holds none of them, or one cannot be read.
    pub fn open_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let index = folder.join("model.safetensors.index.json");
        for name in ["model.safetensors", "pytorch_model.bin"] {
            if folder.join(name).is_file() {
                return Self::open(folder.join(name));
            }
        }
        if !index.is_file() {
            return Err(Error::checkpoint(
                folder,
                "holds no model.safetensors, model.safetensors.index.json or pytorch_model.bin",
            ));
        }
        let json = fs::read(&index).map_err(|error| Error::checkpoint(&index, error))?;
        let Index { weight_map } =
            serde_json::from_slice(&json).map_err(|error| Error::checkpoint(&index, error))?;
        let mut shards: Vec<_> = weight_map.into_values().collect();
        shards.sort();
        shards.dedup();
        let mut tensors = BTreeMap::new();
        for shard in shards {
            // A shard is a file of this folder, not a path that leads out of it.
            if Path::new(&shard).file_name() != Some(shard.as_ref()) {
                return Err(Error::checkpoint(&index, format!("names the shard {shard:?}")));
            }
            tensors.extend(safetensors(&folder.join(shard))?);
        }
        Ok(Self { path: folder.to_path_buf(), tensors, _copy: None })
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Gives keys other names, to read another spelling of a layout.
    pub(super) fn rename(&mut self, rename: impl Fn(&str) -> String) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors.into_iter().map(|(key, tensor)| (rename(&key), tensor)).collect();
    }

    /// The shape of the tensor `key`, if there is one.
    pub fn shape(&self, key: &str) -> Option<Vec<usize>> {
        self.tensors.get(key).map(Stored::shape)
    }

    /// Reads the tensor `key` as f32.
    pub(super) fn read(&self, key: &str) -> Result<HostTensor> {
        let fault = |reason: String| Error::checkpoint(&self.path, format!("{key}: {reason}"));
        let tensor = self.tensors.get(key).ok_or_else(|| fault("is missing".into()))?;
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
            return Err(fault("does not hold floating-point numbers".into()));
        }
        let (shape, data) = (tensor.shape(), tensor.data().map_err(fault)?);
        let values = data
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|error| fault(format!("{error:?}")))?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(place) => Err(fault(format!("value {place} is {}", values[place]))),
            None => Ok(HostTensor { shape, values }),
        }
    }
}

type Tensors = BTreeMap<String, Stored>;

/// Where the bytes of a tensor are.
enum Stored {
    /// At an offset in a safetensors file. Reading it there, not through a memory map, keeps the
    /// memory of a load to that of its weights.
    Slice { path: Arc<Path>, dtype: DType, shape: Vec<usize>, offset: u64, length: usize },
    /// In a PyTorch file.
    PyTorch(PyTorchTensor),
}

impl Stored {
    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Slice { shape, .. } => shape.clone(),
            Self::PyTorch(tensor) => tensor.shape.iter().copied().collect(),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Self::Slice { dtype, .. } => *dtype,
            Self::PyTorch(tensor) => tensor.dtype,
        }
    }

    fn data(&self) -> Result<TensorData, String> {
        match self {
            Self::Slice { path, dtype, shape, offset, length } => {
                let mut bytes = vec![0; *length];
                let mut file = fs::File::open(path).map_err(|error| error.to_string())?;
                file.seek(SeekFrom::Start(*offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|error| error.to_string())?;
                Ok(TensorData::from_bytes_vec(bytes, shape.clone(), *dtype))
            }
            Self::PyTorch(tensor) => bridge::to_data(tensor).map_err(|error| error.to_string()),
        }
    }
}

/// The tensors a safetensors file names in its header.
fn safetensors(path: &Path) -> Result<Tensors> {
    let fault = |error: &dyn std::fmt::Display| Error::checkpoint(path, error);
    let mut file = fs::File::open(path).map_err(|error| fault(&error))?;
    let size = file.metadata().map_err(|error| fault(&error))?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|_| fault(&"is cut short: it has no header"))?;
    let start = u64::from_le_bytes(prefix).checked_add(8).filter(|start| *start <= size);
    let start = start.ok_or_else(|| fault(&"is cut short, or is not a safetensors file"))?;
    let mut header = Vec::new();
    file.take(start - 8).read_to_end(&mut header).map_err(|error| fault(&error))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| fault(&error))?;
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

/// burn's name of a type of numbers; all that are not floating-point are one here, since no weight
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

/// The tensors of a PyTorch file, and the copy they are read from where it took one.
fn pytorch(path: &Path) -> Result<(Tensors, Option<TempPath>)> {
    require_file(path)?;
    let error = match read_pytorch(path) {
        Ok(tensors) => return Ok((tensors, None)),
        Err(error) => error,
    };
    // Objects that are dictionaries (SimMIM's files hold their configuration as one) are beyond
    // the reader: it gets a copy without them.
    match pickle::copy_without_objects(path) {
        Ok(copy) => Ok((read_pytorch(&copy).map_err(|_| error)?, Some(copy))),
        Err(_) => Err(error),
    }
}

fn read_pytorch(path: &Path) -> Result<Tensors> {
    let read = |top: Option<&str>| -> Result<Tensors> {
        let store = PytorchStore::from_file(path).map_indices_contiguous(false);
        let mut store = match top {
            Some(key) => store.with_top_level_key(key),
            None => store,
        };
        let tensors = store.get_all_tensors().map_err(|error| Error::checkpoint(path, error))?;
        let stored = |(key, tensor): (&String, &PyTorchTensor)| {
            (key.clone(), Stored::PyTorch(tensor.clone()))
        };
        Ok(tensors.iter().map(stored).collect::<Tensors>())
    };
    for top in ["model", "state_dict"] {
        if let Ok(tensors) = read(Some(top))
            && !tensors.is_empty()
        {
            return Ok(tensors);
        }
    }
    read(None)
}

fn require_file(path: &Path) -> Result<()> {
    fs::File::open(path).map(drop).map_err(|error| Error::checkpoint(path, error))
}
