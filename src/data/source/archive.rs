//! Unpacks `.tar.gz` archives without trusting them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::data::source::regular;
use crate::error::{Error, Result};

/// The largest number of bytes that an archive may unpack to; the largest archive read here, of
/// CIFAR, has 184 MB.
const MOST: u64 = 256 << 20;

/// Unpacks `archive` as `folder`, which appears whole or not at all.
///
/// The caller keeps other processes away from `folder`.
pub(crate) fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let unfinished = with_suffix(folder, ".unpacking");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|error| Error::data(&unfinished, error))?;
    }
    fs::create_dir_all(&unfinished).map_err(|error| Error::data(&unfinished, error))?;
    extract(archive, &unfinished)?;
    fs::rename(&unfinished, folder).map_err(|error| Error::data(folder, error))
}

/// Writes the files of `archive` below the existing folder `into`.
///
/// # Errors
///
/// When the archive is damaged, up to the checksum at its very end; when it holds anything but files
/// and folders (a link may point anywhere), more than `MOST` bytes, or names a path outside of
/// `into`; or when a file cannot be written. All of them name the archive.
pub(crate) fn extract(archive: &Path, into: &Path) -> Result<()> {
    let damaged = |error| Error::data(archive, format!("cannot be unpacked as .tar.gz: {error}"));
    let (file, _) = regular::open(archive)?;
    // Reading one byte more than allowed tells whether the archive is too large.
    let mut unpacked = MultiGzDecoder::new(BufReader::new(file)).take(MOST + 1);
    let mut entries = Archive::new(&mut unpacked);
    for entry in entries.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular => {}
            other => {
                let reason = format!("holds {}, a {other:?}, not a file", path.display());
                return Err(Error::data(archive, reason));
            }
        }
        let target = target_of(archive, &path, into)?;
        if entry.size() > MOST {
            return Err(too_large(archive));
        }
        write(archive, &path, &target, &mut entry)?;
    }
    // The archive ends before its file does; the file's checksum comes last.
    io::copy(&mut unpacked, &mut io::sink()).map_err(damaged)?;
    if unpacked.limit() == 0 { Err(too_large(archive)) } else { Ok(()) }
}

fn too_large(archive: &Path) -> Error {
    let reason = format!("unpacks to more than {} MB, so it is not what is expected", MOST >> 20);
    Error::data(archive, reason)
}

/// `path` with `suffix` after its file name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn target_of(archive: &Path, path: &Path, into: &Path) -> Result<PathBuf> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(inside) || path.file_name().is_none() {
        let reason = format!("names a path outside of its folder: {}", path.display());
        return Err(Error::data(archive, reason));
    }
    Ok(into.join(path))
}

/// Writes the entry `path` through to the disk as `target`: a rename after it must not outlive its
/// contents.
fn write(archive: &Path, path: &Path, target: &Path, entry: &mut impl Read) -> Result<()> {
    let fault = |what: &str, error: io::Error| {
        Error::data(archive, format!("{what} {} of it: {error}", path.display()))
    };
    let create = || {
        target.parent().map_or(Ok(()), fs::create_dir_all)?;
        File::create(target)
    };
    let mut file = create().map_err(|error| fault("cannot unpack", error))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = entry
            .read(&mut buffer)
            .map_err(|error| fault("cannot be unpacked as .tar.gz: reading", error))?;
        if count == 0 {
            return file.sync_all().map_err(|error| fault("cannot unpack", error));
        }
        file.write_all(&buffer[..count]).map_err(|error| fault("cannot unpack", error))?;
    }
}

/// A `.tar.gz` of these files, their names taken as they are.
#[cfg(test)]
pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(compressed);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(dir: &Path, bytes: &[u8]) -> PathBuf {
        let path = dir.join("data.tar.gz");
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn an_archive_unpacks_into_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path(), &pack(&[("a/x.bin", b"12"), ("./y.bin", b"3")]));
        let folder = dir.path().join("out");
        unpack(&archive, &folder).unwrap();
        assert_eq!(fs::read(folder.join("a/x.bin")).unwrap(), b"12");
        assert_eq!(fs::read(folder.join("y.bin")).unwrap(), b"3");
    }

    #[test]
    fn a_path_out_of_the_folder_is_refused() {
        for name in ["../evil", "a/../../evil", "/burn-mim-evil"] {
            let dir = tempfile::tempdir().unwrap();
            let archive = archive(dir.path(), &pack(&[(name, b"x")]));
            let folder = dir.path().join("out");
            let message = unpack(&archive, &folder).unwrap_err().to_string();
            assert!(message.contains("data.tar.gz"), "{message}");
            assert!(message.ends_with(&format!("outside of its folder: {name}")), "{message}");
            assert!(!folder.exists() && !dir.path().join("evil").exists());
            assert!(!Path::new("/burn-mim-evil").exists());
        }
    }

    #[test]
    fn a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "link", "/etc").unwrap();
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        let message = extract(&archive(dir.path(), &bytes), dir.path()).unwrap_err().to_string();
        assert!(message.contains("holds link, a Symlink"), "{message}");
    }

    #[test]
    fn a_cut_archive_leaves_no_folder_and_the_next_try_starts_clean() {
        let dir = tempfile::tempdir().unwrap();
        let noise: Vec<u8> = (0..9000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let whole = pack(&[("a.bin", b"12"), ("b.bin", &noise)]);
        let folder = dir.path().join("out");

        let cut = archive(dir.path(), &whole[..whole.len() / 2]);
        let message = unpack(&cut, &folder).unwrap_err().to_string();
        assert!(message.contains("cannot be unpacked as .tar.gz"), "{message}");
        assert!(!folder.exists());

        unpack(&archive(dir.path(), &pack(&[("c.bin", b"3")])), &folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    /// What `extract` says of these bytes.
    fn refusal(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = archive(dir.path(), bytes);
        extract(&path, &dir.path().join("out")).unwrap_err().to_string()
    }

    #[test]
    fn the_checksum_at_the_end_is_compared() {
        let whole = pack(&[("a.bin", b"12")]);
        let length = whole.len();
        // Four bytes of CRC, four of length (RFC 1952).
        for place in length - 8..length {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            let message = refusal(&damaged);
            assert!(message.contains("data.tar.gz: cannot be unpacked as .tar.gz"), "{message}");
        }
        for missing in 1..=8 {
            assert!(refusal(&whole[..length - missing]).contains("cannot be unpacked"));
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_the_disk() {
        // One entry that promises 8 GiB, and one that goes on and on behind the archive's end.
        let mut promising = tar::Header::new_gnu();
        promising.set_path("a.bin").unwrap();
        promising.set_size(8 << 30);
        promising.set_cksum();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(promising.as_bytes()).unwrap();
        let message = refusal(&encoder.finish().unwrap());
        assert!(message.contains("data.tar.gz: unpacks to more than 256 MB"), "{message}");

        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(&mut io::repeat(0).take(MOST + 1), &mut encoder).unwrap();
        let message = refusal(&encoder.finish().unwrap());
        assert!(message.contains("unpacks to more than 256 MB"), "{message}");
    }

    #[test]
    fn a_file_that_cannot_be_written_names_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let path = archive(dir.path(), &pack(&[("a/x.bin", b"12")]));
        let into = dir.path().join("out");
        fs::create_dir_all(&into).unwrap();
        fs::write(into.join("a"), "in the way").unwrap();
        let message = extract(&path, &into).unwrap_err().to_string();
        assert!(message.contains("data.tar.gz: cannot unpack a/x.bin of it"), "{message}");
    }
}
