//! Samples in tar files, read where they lie.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn::data::dataset::{Dataset, DatasetError};
use md5::{Digest, Md5};
use tar::Header;

use crate::data::sample::{ImageDataset, Sample, SampleFile};
use crate::data::source::decode::decoded;
use crate::data::source::depth::Depth;
use crate::data::source::regular;
use crate::data::source::shards::classes::{Classes, Said};
use crate::data::source::shards::index::Index;
use crate::data::source::shards::scan::{BLOCK, Place};
use crate::error::{Error, Result};
use crate::file::hex;

/// How many shards are kept open: a process may have 1024 files.
const OPEN: usize = 64;

/// A shard with its index.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) index: Index,
}

impl Shard {
    /// What it says of classes.
    pub(super) fn said(&self) -> Said<'_> {
        let most = self.index.samples.places.iter().filter_map(|place| place.label).max();
        Said { shard: &self.path, names: &self.index.samples.classes, most }
    }
}

/// The samples of tar files, in the order of the files and of their members; images are read and
/// decoded at each `get`, by any number of threads at once.
///
/// Each sample takes 12 bytes of memory.
#[derive(Debug)]
pub struct TarDataset {
    shards: Vec<PathBuf>,
    /// After each shard, how many samples there are so far.
    ends: Vec<usize>,
    places: Vec<Kept>,
    identity: String,
    depth: Depth,
    /// The files that were read last, the newest first.
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
}

/// Where an image lies in its shard, and its class.
#[derive(Debug, Clone, Copy)]
struct Kept {
    block: u32,
    bytes: u32,
    class: u32,
}

/// The class of a sample that has none.
const NONE: u32 = u32::MAX;

impl TarDataset {
    /// The samples of `shards` that are of `part`, with these classes.
    pub(super) fn new<'a>(
        shards: impl Iterator<Item = &'a Shard>,
        classes: &Classes,
        part: &dyn Fn(usize, &Place) -> bool,
    ) -> Self {
        let (mut paths, mut ends, mut kept, mut nth) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut hash = Md5::new();
        for Shard { path, index } in shards {
            hash.update(index.sum);
            for place in &index.samples.places {
                if part(nth, place) {
                    let label = place.label;
                    let class = label.and_then(|at| classes.class(&index.samples.classes, at));
                    let class = class.unwrap_or(NONE);
                    kept.push(Kept { block: place.block, bytes: place.bytes, class });
                }
                nth += 1;
            }
            paths.push(path.clone());
            ends.push(kept.len());
        }
        hash.update((kept.len() as u64).to_le_bytes());
        kept.shrink_to_fit();
        let identity = hex(&hash.finalize());
        Self {
            shards: paths,
            ends,
            places: kept,
            identity,
            depth: Depth::default(),
            open: Mutex::default(),
        }
    }

    /// How many samples have no label.
    pub(super) fn unlabelled(&self) -> usize {
        self.places.iter().filter(|place| place.class == NONE).count()
    }

    /// The shard of a sample.
    fn shard(&self, index: usize) -> usize {
        self.ends.partition_point(|end| *end <= index)
    }

    /// The path that a sample has in messages, and the bytes of its image.
    fn bytes(&self, index: usize) -> Result<(PathBuf, Vec<u8>)> {
        let place = self.places[index];
        let number = self.shard(index);
        let shard = &self.shards[number];
        let fault = |error: io::Error| Error::data(shard, error);
        let mut bytes = vec![0; BLOCK as usize + place.bytes as usize];
        let file = self.file_of(number)?;
        let read = read_at(&file, &mut bytes, u64::from(place.block) * BLOCK);
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(changed(shard));
            }
            read => read.map_err(fault)?,
        }
        let header = Header::from_byte_slice(&bytes[..BLOCK as usize]);
        if header.entry_size().ok() != Some(u64::from(place.bytes)) || !has_sum(header) {
            return Err(changed(shard));
        }
        let path = shard.join(name_in(header));
        bytes.drain(..BLOCK as usize);
        Ok((path, bytes))
    }

    /// The open file of a shard.
    fn file_of(&self, shard: usize) -> Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(number, _)| *number == shard) {
            let found = open.remove(at);
            found.iter().for_each(|found| open.push_front(found.clone()));
        } else {
            open.push_front((shard, Arc::new(regular::open(&self.shards[shard])?.0)));
            open.truncate(OPEN);
        }
        Ok(open[0].1.clone())
    }
}

/// The fault of a shard that is not as its index says.
fn changed(shard: &Path) -> Error {
    let reason = "changed since it was opened, and its index no longer fits; begin anew, and it is \
                  indexed again";
    Error::data(shard, reason)
}

/// The name in the header at `block` of a shard.
pub(super) fn name_at(shard: &Path, block: u32) -> io::Result<String> {
    let mut header = Header::new_old();
    read_at(&File::open(shard)?, header.as_mut_bytes(), u64::from(block) * BLOCK)?;
    Ok(name_in(&header))
}

/// The name in a header, below the shard.
fn name_in(header: &Header) -> String {
    String::from_utf8_lossy(&header.path_bytes()).trim_start_matches('/').to_string()
}

/// Whether the sum in a header is that of its bytes.
fn has_sum(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let others = bytes[..148].iter().chain(&bytes[156..]);
    let sum = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    header.cksum().is_ok_and(|noted| noted == sum)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

/// Threads share the place that a file is read at, so each reads by its own.
#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, start)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => (bytes, start) = (&mut bytes[count..], start + count as u64),
        }
    }
    Ok(())
}

impl Dataset<Sample> for TarDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let (path, bytes) = self.bytes(index).map_err(DatasetError::new)?;
        let (image, most) = decoded(&path, &bytes).map_err(DatasetError::new)?;
        self.depth.note(index, most);
        Ok(Sample { image, label: self.class(index) })
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

impl TarDataset {
    fn class(&self, index: usize) -> Option<usize> {
        let class = self.places[index].class;
        (class != NONE).then_some(class as usize)
    }
}

impl ImageDataset for TarDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.class(index))
    }

    fn file(&self, index: usize) -> Result<Option<SampleFile>> {
        let (path, bytes) = self.bytes(index)?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        Ok(Some(SampleFile { ending: ending.unwrap_or_default(), bytes }))
    }

    fn shards(&self) -> Option<Vec<usize>> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        Some(self.ends.iter().zip(starts).map(|(end, start)| end - start).collect())
    }

    fn name(&self, index: usize) -> String {
        let number = self.shard(index);
        let shard = &self.shards[number];
        let name = name_at(shard, self.places[index].block).unwrap_or_else(|_| {
            let before = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            format!("sample {}", index - before)
        });
        shard.join(name).display().to_string()
    }

    fn notes(&self) -> Vec<String> {
        self.depth.warning(|index| PathBuf::from(self.name(index))).into_iter().collect()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}
