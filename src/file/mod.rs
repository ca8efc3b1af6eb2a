//! Files that are whole under their name, or absent.

#[cfg(feature = "data")]
mod lock;

use std::fs::{self, File};
#[cfg(feature = "data")]
use std::io::Read;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "train")]
use serde::{Serialize, de::DeserializeOwned};

#[cfg(feature = "train")]
use burn::module::Module;
#[cfg(feature = "train")]
use burn::store::ModuleRecord;

#[cfg(feature = "train")]
use crate::config::explained;
#[cfg(feature = "train")]
use crate::error::{Error, Result};

#[cfg(feature = "data")]
pub(crate) use lock::FileLock;

/// Writes a temporary file beside `path` and renames it; leaves no file behind when that fails.
///
/// A file of that name is replaced. The error names `path`, and its folder if that is missing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// Writes `value` as [`write_whole`] does.
#[cfg(feature = "train")]
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).map_err(|error| Error::checkpoint(path, error))?;
    write_whole(path, &json).map_err(|error| Error::checkpoint(path, error))
}

/// Makes the folder `path` and those above it, where they are missing.
#[cfg(feature = "train")]
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let in_the_way = path.ancestors().find(|part| part.exists() && !part.is_dir());
    if let Some(file) = in_the_way {
        return Err(Error::checkpoint(file, "is a file, and a folder is wanted there"));
    }
    fs::create_dir_all(path).map_err(|error| Error::checkpoint(path, error))
}

/// The bytes that can still be written to the disk of `path`, where the system says so.
#[cfg(feature = "data")]
pub(crate) fn room(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    let room =
        rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    let (_, room) = (path, None);
    room
}

/// Makes the names in a folder outlive a power cut, where the file system can.
#[cfg(feature = "train")]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Neither every system nor every file system has this for folders.
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// What a file of JSON says.
#[cfg(feature = "train")]
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|error| Error::checkpoint(path, error))?;
    let fault = |error: serde_json::Error| {
        Error::checkpoint(path, shortened(&explained(error.to_string())))
    };
    serde_json::from_slice(&bytes).map_err(fault)
}

/// The beginning and the end of a message that repeats a long value.
#[cfg(feature = "train")]
fn shortened(message: &str) -> String {
    const FIRST: usize = 120;
    const LAST: usize = 80;
    let count = message.chars().count();
    if count <= FIRST + LAST {
        return message.to_string();
    }
    let first: String = message.chars().take(FIRST).collect();
    let last: String = message.chars().skip(count - LAST).collect();
    format!("{first} … {last}")
}

/// Checks that a file of weights is large enough for the weights of `model`, without drawing them:
/// a number needs two bytes at least.
///
/// A configuration is read before the weights it belongs to. Where its numbers are damaged, the
/// difference is told here, and not by running out of memory.
#[cfg(feature = "train")]
fn check_holds<M: Module>(path: &Path, model: &M) -> Result<()> {
    const FEWEST_BYTES: u64 = 2;
    let bytes = fs::metadata(path).map_err(|error| Error::checkpoint(path, error))?.len();
    let parameters = model.num_params();
    if (parameters as u64).saturating_mul(FEWEST_BYTES) > bytes {
        return Err(Error::checkpoint(
            path,
            format!(
                "the configuration asks for {parameters} parameters, which {bytes} bytes cannot \
                 hold: file and configuration are not of one model, or one is damaged"
            ),
        ));
    }
    Ok(())
}

/// `model` with the weights of the file `path` in burn's format.
///
/// # Errors
///
/// When the file cannot be read, or is not of such a model; of the tensors that are missing the
/// first and the last are named.
#[cfg(feature = "train")]
pub(crate) fn load_weights<M: Module>(model: M, path: &Path) -> Result<M> {
    check_holds(path, &model)?;
    let fault =
        |error: burn::store::RecordError| Error::checkpoint(path, shortened(&error.to_string()));
    model.try_load_record(ModuleRecord::load(path).map_err(fault)?).map_err(fault)
}

fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let written = File::create(&temporary)
        .and_then(|mut file| write(&mut file).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // The first fault is the one to report; there may be no file to remove.
        let _ = fs::remove_file(&temporary);
        match missing_folder(path) {
            Some(folder) => io::Error::new(
                error.kind(),
                format!("cannot be written: create the folder {} first", folder.display()),
            ),
            None => io::Error::new(error.kind(), format!("cannot be written: {error}")),
        }
    })
}

/// Calls `each` with all bytes of `file`, a part at a time; returns their number.
#[cfg(feature = "data")]
pub(crate) fn read_through(mut file: File, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => {
                each(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
}

/// Bytes as hexadecimal digits.
#[cfg(feature = "data")]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name in `path`'s folder that no other writer uses.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let unique = format!(".{}.{}.{write}.partial", name.display(), std::process::id());
    Ok(path.with_file_name(unique))
}

fn missing_folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.json");
        fs::write(&path, "an older, longer text").unwrap();
        write_whole(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = write_whole(&folder.path().join("none/a"), b"").unwrap_err().to_string();
        assert!(message.ends_with("none first"), "{message}");
    }

    #[test]
    fn a_full_disk_is_an_error_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.json");
        fs::write(&path, "older").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"the first half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let error = replace(&path, full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"older");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
