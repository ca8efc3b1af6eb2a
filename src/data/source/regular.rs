//! Opens files that can be read to an end, which excludes pipes, devices and sockets.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Opens the regular file `path`, and returns its length too.
///
/// # Errors
///
/// When there is no such file, when it cannot be opened, or when `path` is anything but a regular
/// file or a link to one: opening a pipe waits for a writer, and a device may never end.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let fault = |error| Error::data(path, error);
    let metadata = fs::metadata(path).map_err(fault)?;
    if metadata.is_dir() {
        return Err(Error::data(path, "is a folder, expected a file"));
    }
    if !metadata.is_file() {
        let reason = "is no regular file but a pipe, a device or a socket; remove it";
        return Err(Error::data(path, reason));
    }
    Ok((File::open(path).map_err(fault)?, metadata.len()))
}

/// The contents of the regular file `path`, up to the length that it had when it was opened.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(|error| Error::data(path, error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, [1, 2, 3]).unwrap();
        assert_eq!(read(&path).unwrap(), [1, 2, 3]);
        assert!(read(dir.path()).unwrap_err().to_string().contains("is a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.png");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let device = dir.path().join("device.png");
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        for path in [pipe, device] {
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(".png: is no regular file but a pipe"), "{message}");
        }
    }
}
