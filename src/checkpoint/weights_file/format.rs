//! Finds the format of a file from its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// A format of files with weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    /// A PyTorch file: zip, legacy, tar or a bare pickle.
    PyTorch,
}

/// How many first bytes are needed to tell the format; the signature of tar comes last.
const FIRST: u64 = 262;

/// The format of the file at `path`.
pub(super) fn of(path: &Path) -> Result<Format> {
    let fault = |reason: &dyn std::fmt::Display| Error::checkpoint(path, reason);
    let metadata = std::fs::metadata(path).map_err(|error| fault(&error))?;
    if !metadata.is_file() {
        return Err(fault(&"is not a file"));
    }
    let mut first = Vec::new();
    let file = File::open(path).map_err(|error| fault(&error))?;
    file.take(FIRST).read_to_end(&mut first).map_err(|error| fault(&error))?;
    recognized(&first).map_err(|reason| fault(&reason))
}

fn recognized(first: &[u8]) -> Result<Format, &'static str> {
    if first.get(8) == Some(&b'{') && first[5..8] == [0; 3] {
        return Ok(Format::Safetensors);
    }
    if first.starts_with(b"version https://git-lfs") {
        return Err("is a pointer of Git LFS, not the weights: `git lfs pull` gets them");
    }
    if first.len() < 9 {
        return Err("is cut short: it has no header");
    }
    let is_tar = first.get(257..262) == Some(b"ustar");
    // A pickle begins with the number of its protocol, or with a container or class of protocol 0.
    if first.starts_with(b"PK") || is_tar || matches!(first[0], 0x80 | b'(' | b'}' | b']' | b'c') {
        return Ok(Format::PyTorch);
    }
    Err("is neither a safetensors nor a PyTorch file, by its first bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let safetensors = b"\x40\0\0\0\0\0\0\0{\"a\":";
        assert_eq!(recognized(safetensors), Ok(Format::Safetensors));
        for pytorch in [&b"PK\x03\x04........."[..], b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."]
        {
            assert_eq!(recognized(pytorch), Ok(Format::PyTorch));
        }
        // A header of 128 bytes: its first byte is that of a pickle.
        assert_eq!(recognized(b"\x80\0\0\0\0\0\0\0{\"a\":"), Ok(Format::Safetensors));
        let pointer = recognized(b"version https://git-lfs.github.com/spec/v1\n");
        assert!(pointer.unwrap_err().contains("git lfs pull"));
        assert!(recognized(b"<!doctype html><html>").is_err());
        assert!(recognized(b"").unwrap_err().contains("cut short"));
    }
}
