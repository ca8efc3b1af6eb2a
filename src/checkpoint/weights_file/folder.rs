//! Finds the files of a folder that hold its weights.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::WeightsFile;
use super::format;
use crate::error::{Error, Result};

/// The names of whole files in transformers, in the order in which it looks for them.
const WHOLE: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// An index file, which maps every key to its shard.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// The file with the weights of `folder`, or its shards.
pub(super) fn weights(folder: &Path) -> Result<Vec<PathBuf>> {
    for name in WHOLE {
        let (whole, index) = (folder.join(name), folder.join(format!("{name}.index.json")));
        if whole.is_file() {
            return Ok(vec![whole]);
        }
        if index.is_file() {
            return indexed(folder, &index);
        }
    }
    let files = weights_by_content(folder)?;
    match files.as_slice() {
        [_] => Ok(files),
        [] => Err(Error::checkpoint(
            folder,
            "holds no model.safetensors, pytorch_model.bin, shards of either or other weights",
        )),
        [first, ..] => shards(folder, &files)?.ok_or_else(|| {
            let names: Vec<_> = files.iter().take(3).filter_map(|file| name(file)).collect();
            let reason = format!(
                "holds {} files of weights ({}, ...): give one of them, such as {}",
                files.len(),
                names.join(", "),
                first.display()
            );
            Error::checkpoint(folder, reason)
        }),
    }
}

/// The shards that an index names.
fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let json = fs::read(index).map_err(|error| Error::checkpoint(index, error))?;
    let Index { weight_map } =
        serde_json::from_slice(&json).map_err(|error| Error::checkpoint(index, error))?;
    let shards: BTreeSet<_> = weight_map.into_values().collect();
    let path = |shard: String| {
        // A shard must be a file of this folder, not a path that leads out of it.
        if Path::new(&shard).file_name() != Some(shard.as_ref()) {
            let shard: String = shard.chars().take(100).collect();
            return Err(Error::checkpoint(index, format!("names the shard {shard:?}")));
        }
        Ok(folder.join(shard))
    };
    let shards: Vec<_> = shards.into_iter().map(path).collect::<Result<_>>()?;
    if shards.is_empty() {
        return Err(Error::checkpoint(index, "names no shard"));
    }
    Ok(shards)
}

/// Every file of the folder that holds weights, in the order of their names.
fn weights_by_content(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::checkpoint(folder, error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.is_file() && format::of(file).is_ok());
    // Other files of a trainer (training_args.bin) have no tensor.
    files.retain(|file| WeightsFile::open(file).is_ok());
    files.sort();
    Ok(files)
}

/// `files` if they are all the shards of one model: `NAME-00001-of-00003.ENDING` and so on.
fn shards(folder: &Path, files: &[PathBuf]) -> Result<Option<Vec<PathBuf>>> {
    let mut found = BTreeSet::new();
    let mut total = None;
    for file in files {
        let Some((number, of)) = name(file).as_deref().and_then(numbered) else { return Ok(None) };
        if total.is_some_and(|total| total != of) {
            return Ok(None);
        }
        total = Some(of);
        found.insert(number);
    }
    let total = total.unwrap_or(0);
    if let Some(missing) = (1..=total.min(10_000)).find(|number| !found.contains(number)) {
        let reason = format!("shard {missing} of {total} is missing");
        return Err(Error::checkpoint(folder, reason));
    }
    Ok(Some(files.to_vec()))
}

/// The numbers in `model-00002-of-00003.safetensors`.
fn numbered(name: &str) -> Option<(usize, usize)> {
    let (before, after) = name.rsplit_once("-of-")?;
    let number = before.rsplit_once('-').map_or(before, |(_, number)| number).parse().ok()?;
    let digits = after.split('.').next()?;
    Some((number, digits.parse().ok()?))
}

fn name(file: &Path) -> Option<String> {
    Some(file.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbered_in_their_names() {
        assert_eq!(numbered("model-00002-of-00003.safetensors"), Some((2, 3)));
        assert_eq!(numbered("pytorch_model-00001-of-00002.bin"), Some((1, 2)));
        assert_eq!(numbered("model.safetensors"), None);
    }
}
