//! Images in Parquet files of the layout of the hub's image data sets (feature `parquet`).

mod columns;
mod dataset;
mod table;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::Dataset;
use md5::{Digest, Md5};

use super::classes::{Classes, Said};
use super::parts as splits_of;
use super::parts::{Parts, opened, tested, unlabelled};
use crate::data::{DataOptions, ImageData, OpenProgress, Splits};
use crate::error::{Error, Result};
pub use dataset::ParquetDataset;
use dataset::window;
use table::Table;

/// Opens the Parquet files in `folder`, or the one of that name.
///
/// **Images** are in the column that the metadata of the file calls an `Image`, or in `image` or `img`:
/// a group with a binary column `bytes` in it, or a binary column itself. **Labels** are in the column
/// that the metadata calls a `ClassLabel`, or in `label`: whole numbers, of which -1 and null are none.
/// **Classes** have the names of the metadata, or those of `classes.json` in the folder, or numbers.
/// **Splits** are told by the names of folders and files (`train-00000-of-00002.parquet`), as
/// [`shards::open`](super::open) tells them; without a test split about a tenth of the rows is held
/// out, chosen by their numbers.
///
/// Files are made for reading row group by row group, so training shuffles row groups, and then the
/// images of every few of them; [`DataOptions::shuffle_window`] says of how many.
///
/// # Errors
///
/// When there is no such file or fewer than two images, when a file is damaged or has no images, when
/// files disagree on the classes. Names the file.
pub fn open(folder: &Path) -> Result<ImageData> {
    let options = DataOptions::default();
    splits(folder, &mut |_| {})?.open(&options, &mut |_| {})
}

/// Finds the splits in `path` before any image is read.
pub(crate) fn splits(path: &Path, progress: &mut dyn FnMut(OpenProgress)) -> Result<Splits> {
    let is_wanted =
        |name: &OsStr| Path::new(name).extension().is_some_and(|ending| ending == "parquet");
    let (folder, Parts { train, tests, mut notes }) = splits_of(path, "parquet", is_wanted)?;
    let mut tables = |files: &[PathBuf]| opened(&folder, files, Table::of, progress);
    let train = tables(&train)?;
    let (word, test) = tested(&tests, tables, |table| table.said().most.is_some())?;
    let names = class_names(&folder, &train, &test)?;
    let (train, test): (Arc<[Table]>, Arc<[Table]>) = (train.into(), test.into());
    let window = Some(window(&train));
    let (train, test) = match test.is_empty() {
        true => held_out(&folder, train, &mut notes)?,
        false => {
            let [files, test_files] = [&train, &test].map(|tables| tables.len());
            notes.push(format!(
                "trained on the files of train ({files}), tested on {word} ({test_files})"
            ));
            let all = |tables| ParquetDataset::new(tables, &|_, _| true);
            (all(train), all(test))
        }
    };
    notes.extend(unlabelled([&train, &test].map(ParquetDataset::unlabelled), &names));
    Ok(Splits { notes, window, ..Splits::new(Arc::new(train), Arc::new(test), names) })
}

fn class_names(folder: &Path, train: &[Table], test: &[Table]) -> Result<Vec<String>> {
    let all = || train.iter().chain(test);
    let Some(named) = all().find(|table| !table.names.is_empty()) else {
        let said = |tables: &[Table]| tables.iter().map(|t| t.said().most).max().flatten();
        let path = folder.join("*.parquet");
        let said = [said(train), said(test)].map(|most| Said { shard: &path, names: &[], most });
        return Ok(Classes::of(folder, &said[..1], &said[1..])?.names);
    };
    let is_other = |table: &&Table| !table.names.is_empty() && table.names != named.names;
    if let Some(other) = all().find(is_other) {
        let reason = format!("names other classes than {}", named.path.display());
        return Err(Error::data(&other.path, reason));
    }
    let classes = named.names.len();
    let beyond = |table: &&Table| table.said().most.is_some_and(|most| most as usize >= classes);
    if let Some(table) = all().find(beyond) {
        let reason = format!("has labels beyond the {classes} classes that it names");
        return Err(Error::data(&table.path, reason));
    }
    Ok(named.names.clone())
}

/// Holds out about a tenth of the rows, chosen by their numbers, and at least one.
fn held_out(
    folder: &Path,
    tables: Arc<[Table]>,
    notes: &mut Vec<String>,
) -> Result<(ParquetDataset, ParquetDataset)> {
    let all: usize = tables.iter().map(|table| table.labels.len()).sum();
    if all < 2 {
        let reason =
            format!("holds {all} images; at least one to train on and one to test on are needed");
        return Err(Error::data(folder, reason));
    }
    let is_drawn = |table: &Table, row: usize| {
        let name = table.path.file_name().unwrap_or_default();
        let hash = Md5::new().chain_update("held out").chain_update(name.as_encoded_bytes());
        let digest = hash.chain_update((row as u64).to_le_bytes()).finalize();
        u64::from_be_bytes(std::array::from_fn(|at| digest[at])) < u64::MAX / 10
    };
    let test = ParquetDataset::new(tables.clone(), &is_drawn);
    // Where chance leaves one side empty, it gets the first row of a file.
    let (test, train) = match test.len() {
        held if held == 0 || held == all => {
            let first = tables.iter().find(|table| !table.labels.is_empty());
            let path = first.map(|table| table.path.clone());
            let is_first = move |table: &Table, row| row == 0 && Some(&table.path) == path.as_ref();
            let train = ParquetDataset::new(tables.clone(), &|table, row| !is_first(table, row));
            (ParquetDataset::new(tables, &is_first), train)
        }
        _ => (test, ParquetDataset::new(tables.clone(), &|table, row| !is_drawn(table, row))),
    };
    let held = test.len();
    notes.push(format!("no test split: {held} of {all} images are held out, chosen by their rows"));
    Ok((train, test))
}
