//! Reads PyTorch files whose pickle holds objects of unknown classes.
//!
//! A checkpoint often carries its training configuration as an object of some Python class. The
//! objects are of no interest here and are never made: their opcodes are replaced by the opcodes of
//! empty dictionaries, so that only containers, numbers, strings and tensors remain.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::{Builder, TempPath};
use zip::read::{ArchiveOffset, Config};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::error::{Error, Result};

/// The size of the longest pickle. The pickles of published checkpoints have a few megabytes, since
/// tensors are stored outside of them.
const LONGEST: u64 = 1 << 26;
/// The largest number of values on a pickle's stack; torch.save writes a thousand at a time.
const HIGHEST: usize = 200_000;

/// Refuses a pickle of endlessly nested dictionaries, which would take minutes to read.
pub(super) fn check(path: &Path) -> Result<()> {
    let Ok(pickle) = pickle_of(path) else { return Ok(()) };
    let fault = |reason: String| Err(Error::checkpoint(path, reason));
    if pickle.len() as u64 > LONGEST {
        return fault(format!("has a pickle of more than {LONGEST} bytes"));
    }
    if height(&pickle) > HIGHEST {
        return fault(format!("has a pickle of more than {HIGHEST} values in one another"));
    }
    Ok(())
}

/// The bytes of a zip's pickle, or the first ones of another file.
fn pickle_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Ok(mut archive) = opened(path) else {
        // The tensors follow the pickle.
        File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
        return Ok(bytes);
    };
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let name = names.into_iter().find(|name| name.ends_with("data.pkl"));
    let entry = archive.by_name(&name.ok_or(io::ErrorKind::NotFound)?)?;
    entry.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a zip archive that begins at the start of its file. A reader that looks for the beginning
/// itself mistakes the second entry of the directory for the first if the first has as many bytes
/// (76) as the 64-bit end record that torch.save writes. This happens with files that were saved as
/// `mae_pretrain_vit_base.pth`.
fn opened(path: &Path) -> io::Result<ZipArchive<File>> {
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    Ok(ZipArchive::with_config(config, File::open(path)?)?)
}

/// The largest number of values on the stack while the pickles in `bytes` are read, up to the first
/// byte that is no opcode. No more pickles are read than torch's older files begin with, since
/// tensors follow them. Counting stops one beyond [`HIGHEST`].
fn height(bytes: &[u8]) -> usize {
    const PICKLES: usize = 5;
    let (mut rest, mut height, mut highest, mut marks) = (bytes, 0usize, 0, Vec::new());
    let mut pickles = 0;
    while let [opcode, after @ ..] = rest {
        let Some(length) = argument_length(*opcode, after) else { break };
        height = match opcode {
            b'(' => {
                marks.push(height);
                height + 1
            }
            b'.' => {
                pickles += 1;
                0
            }
            b't' | b'l' | b'd' | b'o' | 0x91 => marks.pop().unwrap_or(0) + 1,
            b'u' | b'e' | b'1' | 0x90 => marks.pop().unwrap_or(0),
            b's' | 0x87 | 0x92 => height.saturating_sub(2),
            b'a' | b'R' | b'b' | b'0' | 0x81 | 0x86 | 0x93 => height.saturating_sub(1),
            b'q' | b'r' | b'p' | b'Q' | 0x80 | 0x85 | 0x94 | 0x95 => height,
            _ => height + 1,
        };
        highest = highest.max(height);
        if highest > HIGHEST || pickles == PICKLES {
            break;
        }
        rest = after.get(length..).unwrap_or_default();
    }
    highest
}

/// A copy of the PyTorch file at `path` in which every object is a dictionary.
pub(super) fn copy_without_objects(path: &Path) -> io::Result<TempPath> {
    let mut archive = opened(path)?;
    let (file, copy) = Builder::new().suffix(".pth").tempfile()?.into_parts();
    let mut writer = ZipWriter::new(file);
    for index in 0..archive.len() {
        let mut entry = archive.by_index_raw(index)?;
        let name = entry.name()?.into_owned();
        if !name.ends_with("data.pkl") {
            writer.raw_copy_file(entry)?;
            continue;
        }
        let mut pickle = Vec::new();
        entry.read_to_end(&mut pickle)?;
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(name, stored)?;
        writer.write_all(&without_objects(&pickle).ok_or(io::ErrorKind::InvalidData)?)?;
    }
    writer.finish()?.sync_all()?;
    Ok(copy)
}

/// The pickle with `NEWOBJ` (class, arguments -> object) as "pop both, push an empty dictionary"
/// and `BUILD` (object, state -> object) as "pop the state"; `None` if it is not a pickle.
fn without_objects(pickle: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(pickle.len());
    let mut rest = pickle;
    while let [opcode, after @ ..] = rest {
        let length = 1 + argument_length(*opcode, after)?;
        match opcode {
            0x81 => out.extend(b"00}"),
            0x92 => out.extend(b"000}"),
            b'b' => out.push(b'0'),
            // Frames only announce how many bytes follow, and that number has changed.
            0x95 => {}
            _ => out.extend(rest.get(..length)?),
        }
        rest = rest.get(length..)?;
    }
    Some(out)
}

/// The number of bytes after an opcode that are its argument (CPython's pickletools).
fn argument_length(opcode: u8, after: &[u8]) -> Option<usize> {
    let counted = |bytes: usize| {
        let count = after.get(..bytes)?.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
        count.checked_add(bytes)
    };
    let line = |from: usize| Some(from + after.get(from..)?.iter().position(|b| *b == b'\n')? + 1);
    match opcode {
        b'('
        | b')'
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'Q'
        | b'R'
        | b']'
        | b'a'
        | b'b'
        | b'd'
        | b'e'
        | b'l'
        | b'o'
        | b's'
        | b't'
        | b'u'
        | b'}'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94
        | 0x97
        | 0x98 => Some(0),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Some(1),
        b'M' | 0x83 => Some(2),
        b'J' | b'j' | b'r' | 0x84 => Some(4),
        b'G' | 0x95 => Some(8),
        b'U' | b'C' | 0x8a | 0x8c => counted(1),
        b'T' | b'B' | b'X' | 0x8b => counted(4),
        0x8d | 0x8e | 0x96 => counted(8),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => line(0),
        b'c' | b'i' => line(line(0)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_becomes_a_dictionary_and_its_state_is_dropped() {
        // {"a": CfgNode() built with 1}, protocol 2, with memo entries.
        let pickle =
            b"\x80\x02}q\x00X\x01\x00\x00\x00acyacs.config\nCfgNode\nq\x01)\x81q\x02K\x01bs.";
        let expected =
            b"\x80\x02}q\x00X\x01\x00\x00\x00acyacs.config\nCfgNode\nq\x01)00}q\x02K\x010s.";
        assert_eq!(without_objects(pickle).unwrap(), expected);
    }

    #[test]
    fn a_directory_whose_first_entry_is_as_long_as_its_64_bit_end_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mae_pretrain_vit_base.pth");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for name in ["mae_pretrain_vit_base/data.pkl", "mae_pretrain_vit_base/version"] {
            writer.start_file(name, stored).unwrap();
            writer.write_all(b"}.").unwrap();
        }
        writer.finish().unwrap();
        // What torch.save writes before the last 22 bytes: the 64-bit end and where it is.
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.split_off(bytes.len() - 22);
        let (directory, at) = (&end[12..16], bytes.len() as u64);
        let start = u32::from_le_bytes(end[16..20].try_into().unwrap());
        bytes.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
        [2u64, 2].iter().for_each(|count| bytes.extend(count.to_le_bytes()));
        bytes.extend([directory, &[0; 4]].concat());
        bytes.extend(u64::from(start).to_le_bytes());
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend([&at.to_le_bytes()[..], &1u32.to_le_bytes(), &end].concat());
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(opened(&path).unwrap().len(), 2);
        assert_eq!(pickle_of(&path).unwrap(), b"}.");
    }

    #[test]
    fn what_waits_on_the_stack_is_counted() {
        // {"a": (1, 2)}: the dictionary, the key, two numbers.
        assert_eq!(height(b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x01K\x02\x86s."), 4);
        assert!(height(&[b'}'].repeat(HIGHEST + 5)) > HIGHEST);
        let in_batches = b"(K\x01K\x02u".repeat(HIGHEST);
        assert_eq!(height(&[b"}".as_slice(), &in_batches].concat()), 4);
    }

    #[test]
    fn opcodes_within_strings_are_left_alone() {
        let pickle = b"\x80\x02X\x03\x00\x00\x00b\x81b.";
        assert_eq!(without_objects(pickle).unwrap(), pickle);
    }

    #[test]
    fn what_is_cut_short_is_no_pickle() {
        assert!(without_objects(b"\x80\x02X\x09\x00\x00\x00ab").is_none());
        assert!(without_objects(b"\xff").is_none());
    }
}
