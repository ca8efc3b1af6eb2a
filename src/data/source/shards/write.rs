//! Writes shards, each whole under its name or absent.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, Header};

use crate::data::sample::SampleFile;
use crate::data::source::archive::with_suffix;
use crate::data::source::shards::index::Index;
use crate::data::source::shards::scan::BLOCK;
use crate::error::{Error, Result};

/// A shard that is being written, beside its place.
pub(crate) struct ShardWriter {
    path: PathBuf,
    unfinished: PathBuf,
    archive: Builder<BufWriter<File>>,
    bytes: u64,
    samples: usize,
}

impl ShardWriter {
    /// A shard without samples, to be the file `path`. What an earlier try left is overwritten.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        let unfinished = with_suffix(&path, ".partial");
        let file = File::create(&unfinished).map_err(|error| Error::data(&unfinished, error))?;
        let archive = Builder::new(BufWriter::new(file));
        Ok(Self { path, unfinished, archive, bytes: 2 * BLOCK, samples: 0 })
    }

    /// Bytes of the shard so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a sample; `label` is what its member `cls` says, if it is to have one.
    pub(crate) fn add(&mut self, key: usize, image: &SampleFile, label: Option<i64>) -> Result<()> {
        let key = key_of(key);
        let cls = label.map(|label| label.to_string());
        let written =
            self.member(&format!("{key}.{}", image.ending), &image.bytes).and_then(|()| {
                cls.map_or(Ok(()), |cls| self.member(&format!("{key}.cls"), cls.as_bytes()))
            });
        self.bytes += bytes_of(image, label.is_some());
        self.samples += 1;
        written.map_err(|error| self.given_up(error))
    }

    fn member(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The same samples make the same file.
        header.set_mtime(0);
        self.archive.append_data(&mut header, name, bytes)
    }

    /// Gives the shard its name, once it is on the disk, and makes its index.
    pub(crate) fn finish(mut self) -> Result<u64> {
        let finished = self
            .archive
            .finish()
            .and_then(|()| self.archive.get_mut().flush())
            .and_then(|()| self.archive.get_mut().get_ref().sync_all())
            .and_then(|()| fs::rename(&self.unfinished, &self.path));
        finished.map_err(|error| self.given_up(error))?;
        let found = Index::of(&self.path)?.samples.places.len();
        if found != self.samples {
            let reason =
                format!("has {found} samples of the {} that were written to it", self.samples);
            return Err(Error::data(&self.path, reason));
        }
        Ok(self.bytes)
    }

    /// The fault of a shard that cannot be written; what there is of it is removed.
    fn given_up(&self, error: io::Error) -> Error {
        // The first fault is the one to report.
        let _ = fs::remove_file(&self.unfinished);
        let reason = format!(
            "cannot be written: {error}; the shards before it are whole, and the same command goes on \
             after them"
        );
        Error::data(&self.path, reason)
    }
}

/// Bytes that a sample takes in a shard.
pub(crate) fn bytes_of(image: &SampleFile, has_label: bool) -> u64 {
    let of_label = if has_label { 2 * BLOCK } else { 0 };
    BLOCK + (image.bytes.len() as u64).next_multiple_of(BLOCK) + of_label
}

/// The key of sample `number` of a data set.
fn key_of(number: usize) -> String {
    format!("{number:09}")
}

/// A shard that is there already: the number of its samples, its bytes, and the number of the last one.
pub(crate) fn written(shard: &Path) -> Result<(usize, u64, usize)> {
    let index = Index::of(shard)?;
    let places = &index.samples.places;
    let last = places.last().and_then(|place| {
        let name = super::tar_set::name_at(shard, place.block).ok()?;
        name.split('.').next()?.parse().ok()
    });
    let fault = || Error::data(shard, "was not written by this command; choose another folder");
    let bytes = fs::metadata(shard).map_err(|error| Error::data(shard, error))?.len();
    Ok((places.len(), bytes, last.ok_or_else(fault)?))
}
