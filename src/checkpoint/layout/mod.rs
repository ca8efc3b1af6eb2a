//! The tensors of a file that make up each parameter of a model.

mod entry;
mod locate;
mod resize;

use std::collections::{BTreeSet, HashMap};

use burn::module::Module;
use burn::tensor::Device;

use super::parameters;
use super::report::{LoadOptions, LoadReport};
use super::weights_file::{HostTensor, WeightsFile};
use crate::error::{Error, Result};
use crate::grid::Grid;

pub(super) use entry::Entry;
use locate::{Place, places};
use resize::Fit;
pub(super) use resize::grid_of;

/// How many values a model may have that its file lacks, such as a decoder that is to be trained
/// anew.
const NEW_NUMBERS: usize = 1 << 26;

/// A file, and the facts about it that a load needs.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a WeightsFile,
    /// The name of the layout in the report.
    pub(super) form: &'a str,
    /// The grid of the file's position tables, if it is known.
    pub(super) grid: Option<Grid>,
    /// The device to compute on.
    pub(super) device: Device,
}

impl Source<'_> {
    /// The grid of which each cell is as many rows and columns of the file's.
    fn pooled_grid(&self, [rows, cols]: [usize; 2]) -> Option<Grid> {
        self.grid.map(|grid| Grid::new(grid.rows / rows, grid.cols / cols))
    }
}

/// Makes a model by `make`, and loads the tensors that `entries` find in `source` into it.
///
/// Nothing is read and no model is made until all shapes are known to fit. `buffers` are endings of
/// keys without weights, which the report leaves out.
pub(super) fn load<M: Module>(
    make: impl FnOnce() -> M,
    entries: &[Entry],
    source: &Source,
    buffers: &[&str],
    options: LoadOptions,
) -> Result<(M, LoadReport)> {
    let file = source.file;
    let keys: BTreeSet<&str> = file.keys().collect();
    let [encoder, others] = places(entries, &keys);
    let mut report = LoadReport { form: form(source.form, &encoder), ..LoadReport::default() };
    let mut found = Vec::new();
    let (mut used, mut new) = (BTreeSet::new(), 0usize);
    for entry in entries {
        let place = if entry.ours.starts_with("head.") { &others } else { &encoder };
        let theirs: Vec<_> = entry.theirs.iter().map(|key| place.of(key)).collect();
        let missing: Vec<_> = theirs.iter().filter(|key| !keys.contains(key.as_str())).collect();
        if missing.is_empty() {
            for key in &theirs {
                if entry.fit(key, source, options)? == Fit::Resized {
                    let was = file.shape(key).unwrap_or_default();
                    report.reshaped.push(format!("{key} {was:?} -> {:?}", entry.shape));
                }
            }
            report.matched.extend(theirs.iter().cloned());
            used.extend(theirs.iter().cloned());
            found.push((entry, theirs));
            continue;
        }
        new = new.saturating_add(entry.numbers());
        if entry.is_encoders() {
            report.encoder_missing.extend(missing.iter().map(ToString::to_string));
        }
        report.missing.extend(missing.iter().map(ToString::to_string));
        used.extend(theirs);
    }
    let is_buffer = |key: &str| buffers.iter().any(|ending| key.ends_with(ending));
    let is_empty = |key: &str| file.shape(key).is_some_and(|shape| shape.contains(&0));
    let is_unused = |key: &str| !used.contains(key) && !is_buffer(key) && !is_empty(key);
    let unused = keys.iter().filter(|key| is_unused(key));
    report.unused.extend(unused.map(ToString::to_string));
    report.check(options, file.path())?;
    check_size(&report, new, file)?;
    let model = read(make(), &found, source, options)?;
    let loaded: BTreeSet<&str> = found.iter().map(|(entry, _)| entry.ours.as_str()).collect();
    let paths = parameters::shapes(&model).into_keys();
    report.fresh = paths.filter(|path| !loaded.contains(path.as_str())).collect();
    Ok((model, report))
}

/// Reads the tensors that were found.
fn read<M: Module>(
    model: M,
    found: &[(&Entry, Vec<String>)],
    source: &Source,
    options: LoadOptions,
) -> Result<M> {
    let shapes = parameters::shapes(&model);
    let mut values = HashMap::new();
    for (entry, keys) in found {
        let read = entry.read(keys, source, options)?;
        let shape = shapes[&entry.ours].clone();
        values.insert(entry.ours.clone(), HostTensor { shape, values: read });
    }
    Ok(parameters::replaced(model, values))
}

/// Refuses a model that would take memory out of all proportion to the file.
fn check_size(report: &LoadReport, new: usize, file: &WeightsFile) -> Result<()> {
    file.check_claims(&report.matched)?;
    if new <= NEW_NUMBERS.max(4 * file.bytes() as usize) {
        return Ok(());
    }
    let missing = report.missing.len();
    let reason = format!(
        "the configuration asks for {new} numbers in {missing} tensors that the weights do not have"
    );
    Err(Error::checkpoint(file.path(), reason))
}

/// The name of the layout whose keys were read, and their prefix.
fn form(names: &str, place: &Place) -> String {
    let mut form = names.to_string();
    if !place.prefix.is_empty() {
        form += &format!(", keys below {:?}", place.prefix);
    }
    if !place.beside.is_empty() {
        form += &format!(", not those below {:?}", place.beside);
    }
    form
}

/// The tensors that a file keeps for every parameter of `model`.
pub(super) fn save<M: Module>(model: &M, entries: &[Entry]) -> Vec<(String, HostTensor)> {
    let mut values = parameters::values(model);
    let written = |entry: &Entry| {
        let value = values.remove(&entry.ours);
        entry.written(value.expect("an entry names a parameter of its model, once"))
    };
    entries.iter().flat_map(written).collect()
}
