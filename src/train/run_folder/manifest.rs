//! Checksums of the files in a folder, which tell a file that is damaged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::file::{hex, read_json, read_through, write_json};

/// The size and the SHA-256 of each of a folder's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    files: BTreeMap<String, Sum>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Computes the checksums of the files `names` of `folder`, and writes them to `file` there.
    pub(crate) fn write(folder: &Path, names: &[&str], file: &str) -> Result<()> {
        let sum = |&name: &&str| {
            let path = folder.join(name);
            let found = Sum::of(&path).map_err(|error| Error::checkpoint(&path, error))?;
            Ok((name.to_string(), found))
        };
        let files = names.iter().map(sum).collect::<Result<_>>()?;
        write_json(&folder.join(file), &Self { files })
    }

    /// The checksums in `file` of `folder`, if there are any.
    pub(crate) fn read(folder: &Path, file: &str) -> Result<Option<Self>> {
        let path = folder.join(file);
        if !path.exists() {
            return Ok(None);
        }
        read_json(&path).map(Some)
    }

    /// Compares every file of `folder` with its checksum.
    pub(crate) fn check(&self, folder: &Path) -> Result<()> {
        self.files.keys().try_for_each(|name| self.check_file(folder, name))
    }

    /// Compares the file `name` of `folder` with its checksum.
    pub(crate) fn check_file(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        let fault = |reason: String| Err(Error::checkpoint(&path, reason));
        let Some(written) = self.files.get(name) else {
            return fault("is not among the files that were saved: remove it".into());
        };
        let size = fs::metadata(&path).map_err(|error| Error::checkpoint(&path, error))?.len();
        if size != written.bytes {
            return fault(format!(
                "is damaged: it has {size} bytes, {} were written",
                written.bytes
            ));
        }
        let found = Sum::of(&path).map_err(|error| Error::checkpoint(&path, error))?;
        if found != *written {
            return fault("is damaged: its checksum is not the one that was written".into());
        }
        Ok(())
    }
}

impl Sum {
    fn of(path: &Path) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let bytes = read_through(File::open(path)?, |part| hash.update(part))?;
        Ok(Self { bytes, sha256: hex(&hash.finalize()) })
    }
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_published_one() {
        // FIPS 180-4's example.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), sum);
    }

    #[test]
    fn a_flipped_bit_a_cut_and_a_missing_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let bytes = [7; 1000];
        fs::write(&path, bytes).unwrap();
        Manifest::write(folder.path(), &["a.bin"], "sums.json").unwrap();
        let check =
            || Manifest::read(folder.path(), "sums.json").unwrap().unwrap().check(folder.path());
        check().unwrap();
        let mut flipped = bytes;
        flipped[500] ^= 4;
        fs::write(&path, flipped).unwrap();
        let message = check().unwrap_err().to_string();
        assert!(message.contains("a.bin: is damaged: its checksum"), "{message}");
        fs::write(&path, &bytes[1..]).unwrap();
        let message = check().unwrap_err().to_string();
        assert!(message.ends_with("is damaged: it has 999 bytes, 1000 were written"), "{message}");
        fs::remove_file(&path).unwrap();
        assert!(check().unwrap_err().to_string().contains("a.bin: No such file"));
        assert_eq!(Manifest::read(folder.path(), "none.json").unwrap(), None);
    }
}
