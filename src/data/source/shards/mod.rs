//! Images in shards: tar files of the WebDataset layout, which hold thousands of images each.
//!
//! A million files are slow to list, to copy and to read in any order but that of the disk; a
//! thousand shards are not. Samples are still reached one by one, so order, subsets, labels and
//! resuming are those of any other data set.
//!
//! The layout is that of <https://github.com/webdataset/webdataset>: the members of a sample follow
//! each other and have one key, which is their path up to the first dot of its last part.

mod classes;
mod index;
mod label;
#[cfg(feature = "parquet")]
pub mod parquet;
mod parts;
mod remote;
mod scan;
mod tar_set;
mod write;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::Dataset;

use crate::data::source::layout::first_few;
use crate::data::source::walk::Listing;
use crate::data::{DataOptions, ImageData, OpenProgress, OpenStep, Splits};
use crate::error::{Error, Result};
pub(crate) use classes::CLASSES;
use classes::{Classes, Said};
use index::Index;
use parts::{Parts, opened, tested, unlabelled};
use tar_set::Shard;
pub use tar_set::TarDataset;
pub(crate) use write::{ShardWriter, bytes_of, written};

/// The file in a folder of shards whose packing has not come to its end.
pub(crate) const UNFINISHED: &str = "packing.json";

/// Opens the tar files in `folder`, or the one of that name.
///
/// **Samples** are the members of one key: an image, by its ending, and its label, if it has one, as
/// a whole number in a member `KEY.cls` or as the field `label`, a whole number or a name, of a
/// member `KEY.json`; -1 and `null` are no label. Where no sample of a shard has such a member, the
/// last folder in the key is the class. Members of other kinds are left out.
///
/// **Splits** are told by the first folder or file in a shard's path with a word for one in its name
/// (`train/0001.tar`, `imagenet1k-validation-01.tar`), as [`folder::open`](super::folder::open) tells
/// them. Without a test split about a tenth of the samples is held out, chosen by their keys.
///
/// **Classes** are named by the list in the file `classes.json` of the folder, if there is one, and
/// otherwise by the labels.
///
/// **The index** of a shard, 12 bytes a sample, is made when it is first opened: by reading headers
/// alone, on all cores. It is kept beside the shard (`0001.tar.index`), in the cache where that folder
/// cannot be written, and made again when the shard has changed by its size, its time or three pieces
/// of its contents.
///
/// **Addresses** of shards stand in place of a folder: `https://host/images-{000000..000127}.tar`, with
/// ranges and lists in braces. Shards are downloaded one by one to the cache (`$BURN_MIM_CACHE`), where
/// they stay, and together may take 200 GB, or as many as `$BURN_MIM_CACHE_LIMIT` says. The list
/// `classes.json` in the innermost folder that all addresses share is downloaded with them, if the
/// server has it.
///
/// # Errors
///
/// When there is no shard or fewer than two samples; when a shard is cut short, is compressed, has
/// two members of one kind for a key, or a sample has a label and no image, or no label where others
/// have one. Names the shard and the key.
pub fn open(folder: &Path) -> Result<ImageData> {
    let options = DataOptions::default();
    splits(folder, &mut |_| {})?.open(&options, &mut |_| {})
}

/// Finds the splits in `path` before any image is read.
pub(crate) fn splits(path: &Path, progress: &mut dyn FnMut(OpenProgress)) -> Result<Splits> {
    let is_tar = |name: &OsStr| Path::new(name).extension().is_some_and(|ending| ending == "tar");
    let (folder, Parts { train, tests, mut notes }) = match remote::address(path) {
        Some(address) => {
            let mut tell = |done, total| {
                progress(OpenProgress { step: OpenStep::Download, done, total });
            };
            let fetch = remote::Fetch::usual()?;
            let (folder, shards) = fetch.shards(address, &mut tell)?;
            fetch.classes(address, &folder)?;
            let parts = Parts::of(&folder, shards)?;
            (folder, parts)
        }
        None => parts(path, "tar", is_tar)?,
    };
    let index = |path: PathBuf| Ok(Shard { index: Index::of(&path)?, path });
    let mut indexed = |shards: &[PathBuf]| opened(&folder, shards, index, progress);
    let train = indexed(&train)?;
    let (word, test) = tested(&tests, indexed, |shard| shard.said().most.is_some())?;
    if !test.is_empty() {
        let [train, test] = [&train, &test].map(Vec::len);
        notes.push(format!("trained on the shards of train ({train}), tested on {word} ({test})"));
    }
    if !train.iter().chain(&test).all(|shard| shard.index.is_kept) {
        let note = "neither the shards' folder nor the cache can be written: shards are indexed anew \
                    each time";
        notes.push(note.into());
    }
    let classes = Classes::of(&folder, &said_of(&train), &said_of(&test))?;
    let (train, test) = match test.is_empty() {
        true => held_out(&folder, &train, &classes, &mut notes)?,
        false => {
            let all = |shards: &[Shard]| TarDataset::new(shards.iter(), &classes, &|_, _| true);
            (all(&train), all(&test))
        }
    };
    notes.extend(unlabelled([&train, &test].map(TarDataset::unlabelled), &classes.names));
    let Classes { names, unknown, .. } = classes;
    let splits = Splits::new(Arc::new(train), Arc::new(test), names);
    Ok(Splits { notes, unknown_classes: unknown, ..splits })
}

/// The folder of `path` and the files below it that are wanted, by their splits; all of `path` if that
/// is a file.
fn parts(path: &Path, ending: &str, is_wanted: fn(&OsStr) -> bool) -> Result<(PathBuf, Parts)> {
    if path.is_file() {
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        let train = name.map(PathBuf::from).into_iter().collect();
        return Ok((folder.into(), Parts { train, tests: Vec::new(), notes: Vec::new() }));
    }
    if path.join(UNFINISHED).exists() {
        let reason = "was not packed to the end: run the same `burn-mim pack` again";
        return Err(Error::data(path, reason));
    }
    let listing = Listing::of(path, is_wanted, &mut |_| {})?;
    if let Some((link, reason)) = listing.broken.first() {
        let reason = format!("is a link that leads nowhere ({reason})");
        return Err(Error::data(path.join(link), reason));
    }
    if listing.images.is_empty() {
        let others: Vec<_> = listing.others.keys().cloned().collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" (there are other files: {})", first_few(&others)),
        };
        let reason = format!("holds no shards, whose names end in .{ending}{others}");
        return Err(Error::data(path, reason));
    }
    let shards = listing.images.into_iter().map(|file| file.path).collect();
    Ok((path.into(), Parts::of(path, shards)?))
}

fn said_of(shards: &[Shard]) -> Vec<Said<'_>> {
    shards.iter().map(Shard::said).collect()
}

/// Holds out about a tenth of the samples, chosen by their keys, and at least one.
fn held_out(
    folder: &Path,
    shards: &[Shard],
    classes: &Classes,
    notes: &mut Vec<String>,
) -> Result<(TarDataset, TarDataset)> {
    let places = || shards.iter().flat_map(|shard| &shard.index.samples.places);
    let (all, held) = (places().count(), places().filter(|place| place.held_out).count());
    if all < 2 {
        let reason =
            format!("holds {all} images; at least one to train on and one to test on are needed");
        return Err(Error::data(folder, reason));
    }
    // Where chance leaves one side empty, the first sample goes there.
    let is_test = |nth: usize, held_out: bool| match (held == 0, held == all) {
        (true, _) => nth == 0,
        (_, true) => nth > 0,
        _ => held_out,
    };
    let train =
        TarDataset::new(shards.iter(), classes, &|nth, place| !is_test(nth, place.held_out));
    let test = TarDataset::new(shards.iter(), classes, &|nth, place| is_test(nth, place.held_out));
    let held = test.len();
    notes.push(format!("no test split: {held} of {all} images are held out, chosen by their keys"));
    Ok((train, test))
}

#[cfg(test)]
mod tests;
