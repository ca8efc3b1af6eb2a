//! Packing any source into shards.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::thread;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use crate::data::options::{DataOptions, OnBadImage, OpenProgress, OpenStep};
use crate::data::sample::{Image, ImageDataset, SampleFile, data_error};
use crate::data::scan::scan;
use crate::data::source::shards::{CLASSES, ShardWriter, UNFINISHED, bytes_of, written};
use crate::data::spec::DataSpec;
use crate::data::splits::Splits;
use crate::error::{Error, Result, ensure};
use crate::file::{FileLock, room, write_whole};

/// The file in a folder of shards that says what was packed.
const FINISHED: &str = "packed.json";
/// Images that the size of all is judged by.
const JUDGED: usize = 64;

/// How a source is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackOptions {
    /// A shard is closed before a sample that would make it larger than this, in bytes.
    pub shard_bytes: u64,
    /// What becomes of an image that cannot be read.
    pub on_bad_image: OnBadImage,
}

impl Default for PackOptions {
    /// Shards of 1 GB, and bad images are errors.
    fn default() -> Self {
        Self { shard_bytes: 1_000_000_000, on_bad_image: OnBadImage::Error }
    }
}

/// What is in the shards after packing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// Images to train on.
    pub train: usize,
    /// Images to test on.
    pub test: usize,
    /// Shards of both splits.
    pub shards: usize,
    /// Bytes of all shards.
    pub bytes: u64,
    /// The faults of the images that were left out by this call.
    pub left_out: Vec<String>,
    /// What is worth saying, a line each.
    pub notes: Vec<String>,
}

/// What decides the contents of all shards.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    format: u64,
    identity: String,
    #[serde(flatten)]
    options: PackOptions,
}

impl DataSpec {
    /// Packs the source into tar files in the folder `out`, which [`DataSpec::Tar`] reads: the same
    /// images with the same labels in the same order, in the folders `train` and `test`, with the names
    /// of the classes in `classes.json`. Files of images are kept byte for byte; other images become
    /// PNG files. `progress` hears how many images are done.
    ///
    /// Each shard is whole under its name or absent. After an interruption or a fault, such as a full
    /// disk, the same call goes on after the shards that are there, to the same bytes; until it has come
    /// to its end, the folder cannot be opened as data. Every image is decoded once, to see whether it
    /// can be.
    ///
    /// # Errors
    ///
    /// When the source cannot be opened or is of clips, an image cannot be read and is not to be left out, or an image
    /// that is no file has other values than 8 bits or other channels than 1 or 3; when the folder holds
    /// anything else, there is not as much room as is needed by 64 images of each split, or a shard
    /// cannot be written.
    pub fn pack(
        &self,
        out: &Path,
        options: PackOptions,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<Packed> {
        ensure!(
            !self.is_of_clips(),
            "clips are not packed: shards hold images; `{self}` holds clips"
        );
        ensure!(options.shard_bytes > 0, "a shard must have a size of at least 1 byte, got 0");
        let opened = DataOptions::default().with_on_bad_image(options.on_bad_image);
        let splits = self.splits(&opened, progress)?;
        fs::create_dir_all(out).map_err(|error| Error::data(out, error))?;
        let lock = out.join(".lock");
        let _lock = FileLock::take(&lock).map_err(|error| Error::data(&lock, error))?;
        let contents = Contents { format: 1, identity: splits.identity(), options };
        begin(out, &contents, &splits.class_names)?;
        let mut packing = Packing {
            options,
            total: splits.train.len() + splits.test.len(),
            done: 0,
            has_labels: !splits.class_names.is_empty(),
            packed: Packed {
                train: 0,
                test: 0,
                shards: 0,
                bytes: 0,
                left_out: Vec::new(),
                notes: notes(&splits)?,
            },
        };
        let parts = [(out.join("train"), &*splits.train), (out.join("test"), &*splits.test)];
        check_room(out, packing.needed(&parts)?, room(out))?;
        packing.packed.train = packing.part(&parts[0], progress)?;
        packing.packed.test = packing.part(&parts[1], progress)?;
        let (unfinished, finished) = (out.join(UNFINISHED), out.join(FINISHED));
        if unfinished.exists() {
            fs::rename(&unfinished, &finished).map_err(|error| Error::data(&finished, error))?;
        }
        Ok(packing.packed)
    }
}

fn notes(splits: &Splits) -> Result<Vec<String>> {
    let mut notes = splits.notes.clone();
    if splits.train.label_map(0)?.is_some() {
        notes.push("label maps are not packed".into());
    }
    Ok(notes)
}

/// Checks that `out` is empty, or holds shards of these contents, and writes down what they are to be.
fn begin(out: &Path, contents: &Contents, classes: &[String]) -> Result<()> {
    let fault = |error| Error::data(out, error);
    for name in [UNFINISHED, FINISHED] {
        let path = out.join(name);
        if !path.exists() {
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| Error::data(&path, error))?;
        let found: Option<Contents> = serde_json::from_slice(&bytes).ok();
        if found.as_ref() != Some(contents) {
            let reason = "holds shards of other images or of another size; choose another folder";
            return Err(Error::data(out, reason));
        }
        return Ok(());
    }
    for entry in fs::read_dir(out).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && name != CLASSES {
            let reason = format!("holds {} already; choose another folder", name.display());
            return Err(Error::data(out, reason));
        }
    }
    let write = |name: &str, bytes: Vec<u8>| {
        let path = out.join(name);
        write_whole(&path, &bytes).map_err(|error| Error::data(&path, error))
    };
    if !classes.is_empty() {
        write(CLASSES, serde_json::Value::from(classes).to_string().into_bytes())?;
    }
    let bytes = serde_json::to_vec(contents).map_err(|error| Error::data(out, error))?;
    write(UNFINISHED, bytes)
}

/// The packing as far as it is.
struct Packing {
    options: PackOptions,
    total: usize,
    done: usize,
    has_labels: bool,
    packed: Packed,
}

/// The folder of a split's shards, and its images.
type Part<'a> = (PathBuf, &'a dyn ImageDataset);

impl Packing {
    /// Packs a split, after the shards of it that are there; yields how many images are in them.
    fn part(
        &mut self,
        (folder, images): &Part,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<usize> {
        fs::create_dir_all(folder).map_err(|error| Error::data(folder, error))?;
        let path = |number: usize| folder.join(format!("{number:06}.tar"));
        let Found { mut shards, mut samples, bytes, next } = found(folder)?;
        self.packed.bytes += bytes;
        self.done += next;
        let mut writer: Option<ShardWriter> = None;
        let at_once = 4 * thread::available_parallelism().map_or(1, usize::from);
        for first in (next..images.len()).step_by(at_once) {
            let places: Vec<usize> = (first..images.len().min(first + at_once)).collect();
            let read = |index| self.read(*images, index);
            let is_fault = |read: &Result<_>| read.is_err() && !self.skips();
            let all = scan(&places, read, is_fault, &mut |_| {});
            for (index, read) in places.into_iter().zip(all) {
                let (file, label) = match read {
                    Ok(read) => read,
                    Err(error) if self.skips() => {
                        self.packed.left_out.push(error.to_string());
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let more = bytes_of(&file, label.is_some());
                let is_full =
                    |shard: &mut ShardWriter| shard.bytes() + more > self.options.shard_bytes;
                if let Some(full) = writer.take_if(is_full) {
                    self.packed.bytes += full.finish()?;
                }
                let shard = match &mut writer {
                    Some(shard) => shard,
                    none => {
                        shards += 1;
                        none.insert(ShardWriter::new(path(shards - 1))?)
                    }
                };
                shard.add(index, &file, label)?;
                samples += 1;
            }
            self.done += at_once.min(images.len() - first);
            let (done, total) = (self.done as u64, Some(self.total as u64));
            progress(OpenProgress { step: OpenStep::Pack, done, total });
        }
        if let Some(last) = writer {
            self.packed.bytes += last.finish()?;
        }
        self.packed.shards += shards;
        Ok(samples)
    }

    fn skips(&self) -> bool {
        self.options.on_bad_image == OnBadImage::Skip
    }

    /// The file of an image that can be read, and what its label is written as.
    fn read(&self, images: &dyn ImageDataset, index: usize) -> Result<(SampleFile, Option<i64>)> {
        let sample = images.get(index).map_err(|error| data_error(index, error))?;
        let file = match images.file(index)? {
            Some(file) => file,
            None => png(&sample.image).map_err(|why| Error::data(images.name(index), why))?,
        };
        let label = || sample.label.map_or(-1, |label| label as i64);
        Ok((file, self.has_labels.then(label)))
    }

    /// About how many bytes the shards take that are not there yet, judged by some images.
    fn needed(&self, parts: &[Part]) -> Result<u64> {
        let mut needed = 0;
        for (folder, images) in parts {
            let (next, judged) = (found(folder)?.next, images.len().min(JUDGED));
            let places: Vec<usize> = (0..judged).map(|nth| nth * images.len() / judged).collect();
            let bytes = |index| {
                self.read(*images, index).map(|(file, label)| bytes_of(&file, label.is_some()))
            };
            let sizes: Vec<u64> =
                scan(&places, bytes, |_| false, &mut |_| {}).into_iter().flatten().collect();
            let mean = sizes.iter().sum::<u64>() / (sizes.len() as u64).max(1);
            needed += mean * images.len().saturating_sub(next) as u64;
        }
        Ok(needed)
    }
}

/// The shards of a split that are there.
struct Found {
    shards: usize,
    samples: usize,
    bytes: u64,
    /// The number of the first image that is not in them.
    next: usize,
}

fn found(folder: &Path) -> Result<Found> {
    let mut found = Found { shards: 0, samples: 0, bytes: 0, next: 0 };
    loop {
        let shard = folder.join(format!("{:06}.tar", found.shards));
        if !shard.exists() {
            return Ok(found);
        }
        let (samples, bytes, last) = written(&shard)?;
        found.shards += 1;
        found.samples += samples;
        found.bytes += bytes;
        found.next = last + 1;
    }
}

/// An image as a PNG file.
fn png(image: &Image) -> Result<SampleFile, String> {
    let shape = image.shape();
    let bytes = image.bytes().map_err(|error| error.to_string())?;
    let (width, height) = (shape.width as u32, shape.height as u32);
    let area = shape.height * shape.width;
    let dynamic = match shape.channels {
        1 => GrayImage::from_raw(width, height, bytes.to_vec()).map(DynamicImage::from),
        3 => {
            let colors =
                (0..area).flat_map(|at| [0, 1, 2].map(|channel| bytes[channel * area + at]));
            RgbImage::from_raw(width, height, colors.collect()).map(DynamicImage::from)
        }
        channels => return Err(format!("has {channels} channels; PNG files have 1 or 3")),
    };
    let mut file = Cursor::new(Vec::new());
    let image = dynamic.ok_or_else(|| format!("holds no {shape} pixels"))?;
    image.write_to(&mut file, ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(SampleFile { ending: "png".into(), bytes: file.into_inner() })
}

/// Refuses what does not fit on the disk, where its room is known.
fn check_room(out: &Path, needed: u64, room: Option<u64>) -> Result<()> {
    match room {
        Some(room) if room < needed => {
            let [needed, room] = [needed, room].map(|bytes| bytes as f64 / 1e6);
            let reason =
                format!("there is room for {room:.1} MB, and about {needed:.1} MB are needed");
            Err(Error::data(out, reason))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
