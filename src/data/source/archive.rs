//! Unpacking `.tar.gz` archives without trusting them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::error::{Error, Result};

/// Unpacks `archive` as `folder`, which comes into being whole or not at all.
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
/// When the archive is damaged, holds anything but files and folders (a link may point anywhere),
/// names a path outside of `into`, or when a file cannot be written.
pub(crate) fn extract(archive: &Path, into: &Path) -> Result<()> {
    let damaged = |error| Error::data(archive, format!("cannot be unpacked as .tar.gz: {error}"));
    let file = File::open(archive).map_err(|error| Error::data(archive, error))?;
    let mut entries = Archive::new(GzDecoder::new(BufReader::new(file)));
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
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        write(&target, &bytes).map_err(|error| Error::data(&target, error))?;
    }
    Ok(())
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

/// Writes a file through to the disk: a rename after it must not outlive its contents.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
}
