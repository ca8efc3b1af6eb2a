//! Tensors by key, from safetensors or PyTorch files; no pickled code is ever run.

#[cfg(feature = "run")]
mod burn_file;
mod folder;
mod format;
mod pickle;
mod pytorch;
mod safetensors;
mod stored;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use tempfile::TempPath;

use crate::error::{Error, Result};
use stored::Stored;

/// A tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// The tensors of a checkpoint file, read one by one when they are asked for.
pub struct WeightsFile {
    path: PathBuf,
    tensors: Tensors,
    /// The size of all files together, in bytes.
    bytes: u64,
    /// The files that the tensors are read from, if they are not `path` itself.
    _copy: Option<TempPath>,
}

type Tensors = BTreeMap<String, Stored>;

/// How many bytes tensors may claim beyond the size of their file: a table of zeros may be a single
/// number in a file, but a model may not.
const EXPANDED: u64 = 1 << 26;

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeightsFile({}, {} tensors)", self.path.display(), self.tensors.len())
    }
}

impl WeightsFile {
    /// Opens a file of safetensors or one of PyTorch (zip, legacy, tar or a bare pickle), with any
    /// name: the format is told by the first bytes. The keys of nested dictionaries in a PyTorch
    /// file are joined with dots. If all tensors are in one dictionary `model`, `state_dict`,
    /// `model_state_dict` or `module`, that word is left out. A folder is opened by
    /// [`open_folder`](Self::open_folder).
    ///
    /// # Errors
    ///
    /// When the file is missing, cut short or in another format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::open_folder(path);
        }
        let bytes = fs::metadata(path).map_err(|error| Error::checkpoint(path, error))?.len();
        let (tensors, copy) = read(path)?;
        Ok(Self { path: path.to_path_buf(), tensors, bytes, _copy: copy })
    }

    /// Opens the weights in a folder: `model.safetensors` or `pytorch_model.bin`, shards of either
    /// with or without their index, or the only file of weights in the folder.
    ///
    /// # Errors
    ///
    /// When the folder holds none of them or several, or one cannot be read.
    pub fn open_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let files = folder::weights(folder)?;
        if let [file] = files.as_slice() {
            return Self::open(file);
        }
        let (mut all, mut bytes) = (Tensors::new(), 0);
        for file in files {
            let mut shard = Self::open(&file)?;
            if shard._copy.is_some() {
                return Err(Error::checkpoint(file, "is a shard with objects in its pickle"));
            }
            if let Some(twice) = shard.tensors.keys().find(|key| all.contains_key(*key)) {
                let reason = format!("{twice}: is in another shard too");
                return Err(Error::checkpoint(file, reason));
            }
            bytes += shard.bytes;
            all.append(&mut shard.tensors);
        }
        Ok(Self { path: folder.to_path_buf(), tensors: all, bytes, _copy: None })
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of the tensor `key`, if there is one.
    pub fn shape(&self, key: &str) -> Option<Vec<usize>> {
        self.tensors.get(key).map(Stored::shape)
    }

    /// The size of the file, or of all shards.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first key, in their order, that is `name` or ends with it after a dot.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.keys()
            .find(|key| key.strip_suffix(name).is_some_and(|p| p.is_empty() || p.ends_with('.')))
    }

    /// Renames keys, to read another spelling of a layout.
    pub(super) fn rename(&mut self, rename: impl Fn(&str) -> String) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors.into_iter().map(|(key, tensor)| (rename(&key), tensor)).collect();
    }

    /// Refuses tensors that claim far more than the file has: of a stride of 0, a single number
    /// stands for any shape.
    pub(super) fn check_claims(&self, keys: &[String]) -> Result<()> {
        let claimed = keys.iter().filter_map(|key| self.tensors.get(key)).map(Stored::bytes);
        let claimed = claimed.fold(0u64, u64::saturating_add);
        if claimed <= self.bytes.saturating_mul(8).saturating_add(EXPANDED) {
            return Ok(());
        }
        let reason = format!(
            "its tensors claim {claimed} bytes, the file has {}: some are expanded; save them \
             contiguous",
            self.bytes
        );
        Err(Error::checkpoint(&self.path, reason))
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

/// The tensors of one file, and the temporary copy that they are read from, if there is one.
fn read(path: &Path) -> Result<(Tensors, Option<TempPath>)> {
    match format::of(path)? {
        format::Format::Safetensors => Ok((safetensors::read(path)?, None)),
        format::Format::PyTorch => pytorch::read(path),
    }
}
