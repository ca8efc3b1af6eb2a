//! The index of a shard, kept in a file beside it or, where that cannot be written, in the cache.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use md5::{Digest, Md5};

use crate::data::source::archive::with_suffix;
use crate::data::source::cache::cache_folder;
use crate::data::source::regular;
use crate::data::source::shards::scan::{Place, Samples, samples};
use crate::error::{Error, Result};
use crate::file::{hex, write_whole};

/// How an index begins; another layout has another version.
const MAGIC: &[u8; 16] = b"burn-mim index 1";
/// Bytes of the first part: the beginning, the stamp, the sum, and two sizes.
const HEAD: usize = 16 + 16 + 16 + 8 + 8;
/// Bytes of a sample in the file.
const PLACE: usize = 12;
/// The bit of a sample that is held out, in the number of its label.
const HELD_OUT: u32 = 1 << 31;
/// The label of a sample without one.
const UNLABELLED: u32 = HELD_OUT - 1;
/// Bytes at the beginning, in the middle and at the end of a shard that must be the same.
const PIECE: u64 = 4096;

/// The samples of a shard, with what tells them from the samples of another.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) samples: Samples,
    /// A hash of the samples' places, sizes and labels.
    pub(super) sum: [u8; 16],
    /// Whether the index is in a file, so that it need not be made again.
    pub(super) is_kept: bool,
}

impl Index {
    /// The index of `shard`: the one that is kept for it, or a new one if there is none, if it is
    /// damaged, or if the shard has changed since.
    ///
    /// # Errors
    ///
    /// When the shard cannot be read or has a fault.
    pub(super) fn of(shard: &Path) -> Result<Self> {
        let stamp = stamp(shard)?;
        let places = [Some(beside(shard)), in_cache(shard)];
        let places = || places.iter().flatten();
        if let Some(index) = places().find_map(|path| Self::read(path, &stamp)) {
            return Ok(index);
        }
        let samples = samples(shard)?;
        let (sum, bytes) = written(&samples, &stamp);
        if self::stamp(shard)? != stamp {
            return Err(Error::data(shard, "changed while it was read; wait until it is whole"));
        }
        let write = |path: &PathBuf| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let made = folder.map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| write_whole(path, &bytes)).is_ok()
        };
        let is_kept = places().any(write);
        Ok(Self { samples, sum, is_kept })
    }

    /// The index in the file `path`, if it is whole and of a shard of this `stamp`.
    fn read(path: &Path, stamp: &[u8; 16]) -> Option<Self> {
        let bytes = path.is_file().then(|| regular::read(path).ok())??;
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let (begins, sum) = (head.starts_with(MAGIC) && head[16..32] == *stamp, &head[32..48]);
        if !begins || sum != Md5::digest(&bytes[48..]).as_slice() {
            return None;
        }
        let size = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        let (classes, places) = body.split_at_checked(usize::try_from(size(48)).ok()?)?;
        let is_whole = size(56).checked_mul(PLACE as u64) == Some(places.len() as u64);
        let samples = Samples {
            classes: serde_json::from_slice(classes).ok().filter(|_| is_whole)?,
            places: places.chunks_exact(PLACE).map(place).collect(),
        };
        Some(Self { samples, sum: sum.try_into().ok()?, is_kept: true })
    }
}

fn place(bytes: &[u8]) -> Place {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[4 * at + byte]));
    let label = Some(word(2) & !HELD_OUT).filter(|label| *label != UNLABELLED);
    Place { block: word(0), bytes: word(1), label, held_out: word(2) & HELD_OUT != 0 }
}

/// The file of `samples`, and the sum in it.
fn written(samples: &Samples, stamp: &[u8; 16]) -> ([u8; 16], Vec<u8>) {
    let classes = serde_json::Value::from(samples.classes.clone()).to_string().into_bytes();
    let mut rest = Vec::with_capacity(16 + classes.len() + PLACE * samples.places.len());
    rest.extend((classes.len() as u64).to_le_bytes());
    rest.extend((samples.places.len() as u64).to_le_bytes());
    rest.extend(classes);
    for place in &samples.places {
        let held_out = if place.held_out { HELD_OUT } else { 0 };
        let words = [place.block, place.bytes, place.label.unwrap_or(UNLABELLED) | held_out];
        words.iter().for_each(|word| rest.extend(word.to_le_bytes()));
    }
    let sum: [u8; 16] = Md5::digest(&rest).into();
    (sum, [MAGIC.as_slice(), stamp, &sum, &rest].concat())
}

/// A hash of the size of a shard, the time of its last change, and three pieces of it.
fn stamp(shard: &Path) -> Result<[u8; 16]> {
    let (mut file, length) = regular::open(shard)?;
    let fault = |error| Error::data(shard, error);
    let mut hash = Md5::new();
    hash.update(length.to_le_bytes());
    hash.update(changed(&file.metadata().map_err(fault)?).to_le_bytes());
    let last = length.saturating_sub(PIECE);
    for start in [0, last / 2, last] {
        hash.update(piece(&mut file, start).map_err(fault)?);
    }
    Ok(hash.finalize().into())
}

/// When a file was changed last, in nanoseconds; 0 where that is not known.
fn changed(metadata: &Metadata) -> u128 {
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    time.map_or(0, |time| time.as_nanos())
}

fn piece(file: &mut File, start: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(PIECE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn beside(shard: &Path) -> PathBuf {
    with_suffix(shard, ".index")
}

/// A place in the cache for the index of a shard whose folder cannot be written.
fn in_cache(shard: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(shard).ok()?;
    let name = hex(&Md5::digest(whole.as_os_str().as_encoded_bytes()));
    Some(cache_folder().ok()?.join("indices").join(name).with_extension("index"))
}
