//! One Parquet file: what is read of it when it is opened, and the images of its row groups.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::columns::{class_names, columns};
use crate::data::source::regular;
use crate::data::source::shards::classes::Said;
use crate::data::source::shards::label::Label;
use crate::error::{Error, Result};

/// The largest size of the images of a row group, in bytes: it is read whole.
const MOST_BYTES: u64 = 4 << 30;
/// The label of a row that has none.
pub(super) const NONE: u32 = u32::MAX;

/// A Parquet file and what was read of it when it was opened: everything but its images.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    /// The leaf column with the bytes of the images.
    images: usize,
    /// The sizes of its row groups, decoded, and how many rows they have.
    pub(super) groups: Vec<(u64, usize)>,
    /// The labels of all rows.
    pub(super) labels: Vec<u32>,
    /// The names that labels stand for, if the file has them.
    pub(super) names: Vec<String>,
    /// The size of the file.
    pub(super) bytes: u64,
}

impl Table {
    /// Opens the file `path`.
    ///
    /// # Errors
    ///
    /// When it is no Parquet file, is cut short, or has no column of images.
    pub(super) fn of(path: PathBuf) -> Result<Self> {
        caught(&path, || Self::read(path.clone()))
    }

    fn read(path: PathBuf) -> Result<Self> {
        let (file, bytes) = regular::open(&path)?;
        let reader = reading(&path, || SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        let names = class_names(metadata);
        let (images, label) = columns(metadata).ok_or_else(|| {
            let reason = "has no column of images: a group `image` with a binary column `bytes` in it, \
                          or one that its metadata calls an Image";
            Error::data(&path, reason)
        })?;
        let mut table = Self { path, images, groups: Vec::new(), labels: Vec::new(), names, bytes };
        for number in 0..reader.num_row_groups() {
            let group = table.group(reader.metadata().row_group(number), number)?;
            let labels = match label {
                None => vec![None; group.1],
                Some(column) => table.reading_group(number, || {
                    let reader = reader.get_row_group(number)?.get_column_reader(column)?;
                    integers(reader, group.1)
                })?,
            };
            for label in labels {
                let label = label.map_or(Ok(Label::None), Label::of_number);
                let label = label.map_err(|why| Error::data(&table.path, why))?;
                table.labels.push(match label {
                    Label::Number(number) => number,
                    Label::None | Label::Name(_) => NONE,
                });
            }
            table.groups.push(group);
        }
        Ok(table)
    }

    /// The size of a row group's images, and its rows.
    fn group(&self, group: &RowGroupMetaData, number: usize) -> Result<(u64, usize)> {
        let fault =
            |reason: String| Error::data(&self.path, format!("row group {number}: {reason}"));
        let rows = usize::try_from(group.num_rows()).ok().filter(|rows| *rows <= u32::MAX as usize);
        let rows = rows.ok_or_else(|| fault(format!("has {} rows", group.num_rows())))?;
        for column in group.columns() {
            let (start, bytes) = column.byte_range();
            if start.checked_add(bytes).is_none_or(|end| end > self.bytes) {
                return Err(fault("reaches beyond the end of the file".into()));
            }
        }
        let column = group.columns().get(self.images);
        let size = column.and_then(|column| u64::try_from(column.uncompressed_size()).ok());
        let size = size.ok_or_else(|| fault("has no images".into()))?;
        if size > MOST_BYTES {
            let reason = "its images take more than 4 GB; write the file with smaller row groups";
            return Err(fault(reason.into()));
        }
        // Every image takes four bytes besides its own, and compression has its limits.
        if rows as u64 > self.bytes.saturating_mul(256) || size > self.bytes.saturating_mul(1024) {
            let bytes = self.bytes;
            return Err(fault(format!("{rows} rows of {size} bytes are not in {bytes} bytes")));
        }
        Ok((size, rows))
    }

    /// What it says of classes.
    pub(super) fn said(&self) -> Said<'_> {
        let most = self.labels.iter().copied().filter(|label| *label != NONE).max();
        Said { shard: &self.path, names: &[], most }
    }

    fn reading_group<T>(
        &self,
        group: usize,
        read: impl FnOnce() -> parquet::errors::Result<T>,
    ) -> Result<T> {
        reading(&self.path, read).map_err(|error| match error {
            Error::Data { path, reason } => {
                Error::data(path, format!("row group {group}: {reason}"))
            }
            other => other,
        })
    }

    /// The files of the images of a row group; `None` where a row has none.
    pub(super) fn images(&self, group: usize) -> Result<Vec<Option<ByteArray>>> {
        // Every reader of a file moves its place, so each has a file of its own.
        let file = File::open(&self.path).map_err(|error| Error::data(&self.path, error))?;
        let rows = self.groups[group].1;
        self.reading_group(group, || {
            let reader = SerializedFileReader::new(file)?;
            match reader.get_row_group(group)?.get_column_reader(self.images)? {
                ColumnReader::ByteArrayColumnReader(reader) => values(reader, rows),
                _ => Err(ParquetError::General("the images are not binary".into())),
            }
        })
    }
}

/// What `read` reads, with the library's error as one of the file.
fn reading<T>(path: &Path, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    let fault = |error| Error::data(path, format!("cannot be read as Parquet: {error}"));
    caught(path, || read().map_err(fault))
}

/// What `read` reads. The library panics on some damaged files; that is a fault of the file.
fn caught<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::data(path, "cannot be read as Parquet: it is damaged")))
}

/// The numbers in a column of a row group.
fn integers(reader: ColumnReader, rows: usize) -> parquet::errors::Result<Vec<Option<i64>>> {
    Ok(match reader {
        ColumnReader::Int64ColumnReader(reader) => values::<Int64Type>(reader, rows)?,
        ColumnReader::Int32ColumnReader(reader) => {
            let all = values::<Int32Type>(reader, rows)?;
            all.into_iter().map(|label| label.map(i64::from)).collect()
        }
        _ => return Err(ParquetError::General("the labels are no whole numbers".into())),
    })
}

/// All values of a column in a row group of `rows` rows, without those that are null.
fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
) -> parquet::errors::Result<Vec<Option<T::T>>> {
    let (mut levels, mut found) = (Vec::new(), Vec::new());
    while levels.len() < rows {
        let (records, ..) =
            reader.read_records(rows - levels.len(), Some(&mut levels), None, &mut found)?;
        if records == 0 {
            break;
        }
    }
    let most = levels.iter().max().copied().unwrap_or(0);
    // A column that cannot be null has no levels.
    if levels.is_empty() || found.len() == levels.len() {
        let count = found.len();
        return match count == rows {
            true => Ok(found.into_iter().map(Some).collect()),
            false => Err(ParquetError::General(format!("{count} of {rows} values are there"))),
        };
    }
    let mut found = found.into_iter();
    let all: Vec<_> =
        levels.iter().map(|level| if *level == most { found.next() } else { None }).collect();
    match all.len() == rows && found.next().is_none() {
        true => Ok(all),
        false => Err(ParquetError::General(format!("{} of {rows} rows are there", all.len()))),
    }
}
