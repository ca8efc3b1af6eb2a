//! The samples of Parquet files, whose row groups are kept while they are needed.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::data::dataset::{Dataset, DatasetError};
use md5::{Digest, Md5};
use parquet::data_type::ByteArray;

use super::table::{NONE, Table};
use crate::data::sample::{ImageDataset, Sample, SampleFile};
use crate::data::source::decode::decoded;
use crate::data::source::depth::Depth;
use crate::error::{Error, Result};
use crate::file::hex;

/// Bytes of row groups that a data set keeps; of larger ones it keeps two.
const KEPT: u64 = 512 << 20;

/// The files of the images of a row group, or the fault of reading it.
type Group = OnceLock<Result<Vec<Option<ByteArray>>, String>>;

/// The samples of Parquet files, in the order of the files and their rows.
///
/// A row group is read whole when one of its images is asked for, and kept until it is the one that
/// was not asked for the longest: about 512 MB of them, or two. Each sample takes 8 bytes of memory
/// besides.
#[derive(Debug)]
pub struct ParquetDataset {
    tables: Arc<[Table]>,
    /// The table of each row group, and its number in there.
    groups: Vec<(usize, usize)>,
    /// After each row group, how many samples there are so far.
    ends: Vec<usize>,
    /// The row of each sample in its group, and its class.
    rows: Vec<(u32, u32)>,
    kept: Mutex<VecDeque<(usize, Arc<Group>)>>,
    most_kept: usize,
    identity: String,
    depth: Depth,
}

impl ParquetDataset {
    /// The samples of `tables` that are of `part`, which is asked by table and row.
    pub(super) fn new(tables: Arc<[Table]>, part: &dyn Fn(&Table, usize) -> bool) -> Self {
        let (mut groups, mut ends) = (Vec::new(), Vec::new());
        let mut rows: Vec<(u32, u32)> = Vec::new();
        let mut hash = Md5::new();
        for (number, table) in tables.iter().enumerate() {
            hash.update(table.bytes.to_le_bytes());
            let mut first = 0;
            for (group, (_, count)) in table.groups.iter().enumerate() {
                let labels = table.labels[first..first + count].iter().zip(0..);
                let of_part = labels.filter(|(_, row)| part(table, first + *row as usize));
                rows.extend(of_part.map(|(label, row)| (row, *label)));
                groups.push((number, group));
                ends.push(rows.len());
                first += count;
            }
        }
        for (row, label) in &rows {
            hash.update(row.to_le_bytes());
            hash.update(label.to_le_bytes());
        }
        let (most_kept, identity) = (most_kept(&tables), hex(&hash.finalize()));
        let (kept, depth) = Default::default();
        Self { tables, groups, ends, rows, kept, most_kept, identity, depth }
    }

    /// How many samples have no label.
    pub(super) fn unlabelled(&self) -> usize {
        self.rows.iter().filter(|(_, label)| *label == NONE).count()
    }

    /// The path that a sample has in messages.
    fn path(&self, index: usize) -> PathBuf {
        let (table, group) = self.groups[self.group(index)];
        let table = &self.tables[table];
        let before: usize = table.groups[..group].iter().map(|(_, rows)| rows).sum();
        table.path.join(format!("row {}", before + self.rows[index].0 as usize))
    }

    fn group(&self, index: usize) -> usize {
        self.ends.partition_point(|end| *end <= index)
    }

    /// The file of an image.
    fn bytes(&self, index: usize) -> Result<ByteArray> {
        let number = self.group(index);
        let (table, group) = self.groups[number];
        let table = &self.tables[table];
        let kept = self.kept_group(number);
        // Whoever else wants it waits; others are read beside it.
        let images = kept.get_or_init(|| {
            table.images(group).map_err(|error| match error {
                Error::Data { reason, .. } => reason,
                other => other.to_string(),
            })
        });
        let images = images.as_ref().map_err(|reason| Error::data(&table.path, reason))?;
        let image = images[self.rows[index].0 as usize].clone();
        image.ok_or_else(|| Error::data(self.path(index), "has no image in it, only its name"))
    }

    fn kept_group(&self, number: usize) -> Arc<Group> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(other, _)| *other == number);
        let group = found.and_then(|at| kept.remove(at)).unwrap_or((number, Arc::default()));
        kept.push_front(group.clone());
        kept.truncate(self.most_kept);
        group.1
    }
}

/// How many row groups are kept.
fn most_kept(tables: &[Table]) -> usize {
    let sizes = tables.iter().flat_map(|table| &table.groups).map(|(bytes, _)| *bytes);
    let largest = sizes.max().unwrap_or(0).max(1);
    usize::try_from(KEPT / largest).unwrap_or(usize::MAX).clamp(2, 256)
}

/// How many row groups are shuffled together: half of those that are kept, so that those of the next
/// ones are not in the way of the last batches.
pub(super) fn window(tables: &[Table]) -> usize {
    (most_kept(tables) / 2).min(16)
}

impl Dataset<Sample> for ParquetDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let bytes = self.bytes(index).map_err(DatasetError::new)?;
        let (image, most) = decoded(&self.path(index), bytes.data()).map_err(DatasetError::new)?;
        self.depth.note(index, most);
        Ok(Sample { image, label: self.class(index) })
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

impl ParquetDataset {
    fn class(&self, index: usize) -> Option<usize> {
        let class = self.rows[index].1;
        (class != NONE).then_some(class as usize)
    }
}

impl ImageDataset for ParquetDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.class(index))
    }

    fn file(&self, index: usize) -> Result<Option<SampleFile>> {
        let bytes = self.bytes(index)?.data().to_vec();
        let format = image::guess_format(&bytes).ok();
        let ending = format.and_then(|format| format.extensions_str().first().copied());
        let ending =
            ending.ok_or_else(|| Error::data(self.path(index), "is no image of a known format"))?;
        Ok(Some(SampleFile { ending: ending.into(), bytes }))
    }

    fn shards(&self) -> Option<Vec<usize>> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        Some(self.ends.iter().zip(starts).map(|(end, start)| end - start).collect())
    }

    fn name(&self, index: usize) -> String {
        self.path(index).display().to_string()
    }

    fn notes(&self) -> Vec<String> {
        self.depth.warning(|index| self.path(index)).into_iter().collect()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}
