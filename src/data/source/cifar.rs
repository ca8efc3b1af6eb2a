//! CIFAR-10 and CIFAR-100 in their official *binary* form (Krizhevsky, "Learning Multiple Layers
//! of Features from Tiny Images", 2009; <https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! A file is a sequence of records: the label bytes, then 3 planes (red, green, blue) of 32×32
//! bytes, row-major.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::data::source::archive;
use crate::data::source::cache::cache_folder;
use crate::data::source::cifar_classes::{CIFAR_10_CLASSES, CIFAR_100_CLASSES};
use crate::data::source::download::Limits;
use crate::data::source::remote_archive::RemoteArchive;
use crate::data::source::{MemoryDataset, regular};
use crate::data::{DataOptions, ImageData, Splits};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

const SHAPE: ImageShape = ImageShape::square(3, 32);

/// The number of records in the published test file.
const TEST_RECORDS: usize = 10_000;

/// The largest size of a file of class names, in bytes.
const CLASS_FILE_BYTES: u64 = 1 << 20;

/// CIFAR-10: 32×32 color images of 10 classes, officially 50000 to train and 10000 to test on.
///
/// `path` is a folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, the
/// folder around that one (`cifar-10-batches-bin`), or the `.tar.gz` as published. `None` downloads
/// it to the user's cache folder (`$BURN_MIM_CACHE` overrides which) unless it is there already;
/// `progress` hears the bytes so far and, where known, of how many.
///
/// # Errors
///
/// When a file is missing, is not a whole number of records, or holds a label out of range; when
/// the download fails or its checksum is wrong.
pub fn cifar10(
    path: Option<&Path>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<ImageData> {
    cifar10_splits(path, progress)?.open(&DataOptions::default(), &mut |_| {})
}

/// CIFAR-100: as [`cifar10`], with 100 classes (the *fine* labels) in `train.bin` and `test.bin`
/// (`cifar-100-binary`).
///
/// # Errors
///
/// As [`cifar10`].
pub fn cifar100(
    path: Option<&Path>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<ImageData> {
    cifar100_splits(path, progress)?.open(&DataOptions::default(), &mut |_| {})
}

pub(crate) fn cifar10_splits(
    path: Option<&Path>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Splits> {
    CIFAR_10.open(path, progress)
}

pub(crate) fn cifar100_splits(
    path: Option<&Path>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Splits> {
    CIFAR_100.open(path, progress)
}

/// The differences between the two data sets.
#[derive(Debug)]
struct Layout {
    name: &'static str,
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// Bytes before the pixels; the last one is the label read.
    label_bytes: usize,
    /// The number of records in each published training file; the test file has 10000.
    train_records: usize,
    class_file: &'static str,
    classes: &'static [&'static str],
    remote: RemoteArchive<'static>,
}

static CIFAR_10: Layout = Layout {
    name: "CIFAR-10",
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    label_bytes: 1,
    train_records: 10_000,
    class_file: "batches.meta.txt",
    classes: &CIFAR_10_CLASSES,
    remote: RemoteArchive {
        base: "https://www.cs.toronto.edu/~kriz",
        name: "cifar-10-binary",
        md5: "c32a1d4ab5d03f1284b67883e8d13530",
        offline: "cifar10",
        limits: Limits::USUAL,
    },
};

static CIFAR_100: Layout = Layout {
    name: "CIFAR-100",
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: &["test.bin"],
    label_bytes: 2,
    train_records: 50_000,
    class_file: "fine_label_names.txt",
    classes: &CIFAR_100_CLASSES,
    remote: RemoteArchive {
        base: "https://www.cs.toronto.edu/~kriz",
        name: "cifar-100-binary",
        md5: "03b5dce01913d631647c71ecec9e9cb8",
        offline: "cifar100",
        limits: Limits::USUAL,
    },
};

impl Layout {
    fn open(
        &self,
        path: Option<&Path>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Splits> {
        match path {
            None => self.read_cached(&self.remote.unpacked(&cache_folder()?, progress)?),
            Some(path) if path.is_dir() => self.read_folder(path),
            Some(path) if path.is_file() => self.read_archive(path),
            Some(path) => {
                let reason = format!("is neither a folder nor a .tar.gz with {}", self.name);
                Err(Error::data(path, reason))
            }
        }
    }

    /// Opens the data in the folder of a download, which must have the published sizes.
    fn read_cached(&self, folder: &Path) -> Result<Splits> {
        let advice = format!(
            "this copy in the cache is damaged: delete {} and it is downloaded again",
            folder.display()
        );
        let splits = self.read_folder(folder).map_err(|error| match error {
            Error::Data { path, reason } => Error::data(path, format!("{reason}; {advice}")),
            other => other,
        })?;
        match self.unlike_published(&splits) {
            Some(unlike) => Err(Error::data(folder, format!("{unlike}; {advice}"))),
            None => Ok(splits),
        }
    }

    /// A note about splits that do not have the published sizes.
    fn unlike_published(&self, splits: &Splits) -> Option<String> {
        let (train, test) = (splits.train.len(), splits.test.len());
        let published = [self.train.len() * self.train_records, TEST_RECORDS];
        ([train, test] != published).then(|| {
            let [all, all_test] = published;
            let name = self.name;
            format!(
                "{train} images to train and {test} to test on are here, {name} was published with \
                 {all} and {all_test}"
            )
        })
    }

    fn read_archive(&self, archive: &Path) -> Result<Splits> {
        let scratch = tempfile::tempdir().map_err(|error| {
            Error::data(archive, format!("no temporary folder to unpack it in: {error}"))
        })?;
        archive::extract(archive, scratch.path())?;
        self.read_folder(scratch.path()).map_err(|error| match error {
            Error::Data { path, reason } => {
                let inner = path.strip_prefix(scratch.path()).unwrap_or(&path);
                Error::data(archive.join(inner), reason)
            }
            other => other,
        })
    }

    fn read_folder(&self, folder: &Path) -> Result<Splits> {
        let nested = folder.join(self.folder);
        let folder = if nested.is_dir() { nested } else { folder.to_path_buf() };
        let train = self.read_split(&folder, self.train, self.train_records)?;
        let test = self.read_split(&folder, self.test, TEST_RECORDS)?;
        let mut splits = Splits::new(Arc::new(train), Arc::new(test), self.class_names(&folder)?);
        splits.notes.extend(self.unlike_published(&splits));
        Ok(splits)
    }

    fn read_split(&self, folder: &Path, files: &[&str], records: usize) -> Result<MemoryDataset> {
        let record = (self.label_bytes + SHAPE.values()) as u64;
        let mut sizes = 0;
        for file in files {
            let path = folder.join(file);
            if !path.is_file() {
                return Err(Error::data(&path, self.missing(folder)));
            }
            let size = regular::open(&path)?.1;
            if size > records as u64 * record {
                let reason = format!(
                    "holds {size} bytes; {records} records of {record} bytes, as published, are \
                     the most ({})",
                    self.name
                );
                return Err(Error::data(&path, reason));
            }
            sizes += size as usize;
        }
        let (mut pixels, mut labels) = (Vec::with_capacity(sizes), Vec::new());
        for file in files {
            let path = folder.join(file);
            self.read_records(&path, &regular::read(&path)?, &mut pixels, &mut labels)?;
        }
        MemoryDataset::new(SHAPE, pixels, Some(labels))
    }

    fn read_records(
        &self,
        path: &Path,
        bytes: &[u8],
        pixels: &mut Vec<u8>,
        labels: &mut Vec<usize>,
    ) -> Result<()> {
        let record = self.label_bytes + SHAPE.values();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let reason = format!(
                "holds {} bytes, expected one or more whole records of {record} bytes ({})",
                bytes.len(),
                self.name
            );
            return Err(Error::data(path, reason));
        }
        for (number, record) in bytes.chunks_exact(record).enumerate() {
            let (label, image) = record.split_at(self.label_bytes);
            let label = usize::from(label[self.label_bytes - 1]);
            if label >= self.classes.len() {
                let classes = self.classes.len();
                let reason = format!("record {number} has label {label}, expected 0..{classes}");
                return Err(Error::data(path, reason));
            }
            labels.push(label);
            pixels.extend_from_slice(image);
        }
        Ok(())
    }

    /// The names in the class file if there is one, else the built-in names.
    fn class_names(&self, folder: &Path) -> Result<Vec<String>> {
        let path = folder.join(self.class_file);
        if !path.exists() {
            return Ok(self.classes.iter().map(ToString::to_string).collect());
        }
        let (file, _) = regular::open(&path)?;
        let mut text = String::new();
        file.take(CLASS_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| Error::data(&path, error))?;
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect();
        if names.len() != self.classes.len() {
            let expected = self.classes.len();
            let reason = format!("names {} classes, expected {expected}, one a line", names.len());
            return Err(Error::data(&path, reason));
        }
        Ok(names)
    }

    fn missing(&self, folder: &Path) -> String {
        let python =
            self.train.iter().any(|file| folder.join(file.trim_end_matches(".bin")).exists());
        let hint = if python { "; this folder holds the Python form" } else { "" };
        format!(
            "is missing; the binary form of {} ({}, {}) is expected here or in {}{hint}",
            self.name,
            self.train.join(", "),
            self.test.join(", "),
            self.folder
        )
    }
}

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
