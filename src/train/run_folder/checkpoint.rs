//! One checkpoint: its files, written and read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;

use super::{Manifest, STATE, Snapshot};
use crate::error::{Error, Result};
use crate::file::{load_weights, sync_folder, write_json};

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const AVERAGE: &str = "average.bpk";
const MANIFEST: &str = "manifest.json";

/// A checkpoint whose files were compared with their checksums.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    path: PathBuf,
    snapshot: Snapshot,
    has_checksums: bool,
}

impl Checkpoint {
    /// Opens the checkpoint in the folder `path`. The files of a checkpoint that was written before
    /// there were checksums are not compared with anything.
    ///
    /// # Errors
    ///
    /// When a file is missing or differs from what was written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let manifest = Manifest::read(&path, MANIFEST)?;
        if let Some(manifest) = &manifest {
            manifest.check(&path)?;
        }
        let snapshot = Snapshot::load(&path)?;
        let needed: &[&str] = if snapshot.checksums { &[MANIFEST] } else { &[MODEL, OPTIMIZER] };
        for name in needed {
            if !path.join(name).is_file() {
                return Err(Error::checkpoint(path.join(name), "is missing"));
            }
        }
        if path.join(AVERAGE).exists()
            && let Some(manifest) = &manifest
        {
            manifest.check_file(&path, AVERAGE)?;
        }
        Ok(Self { path, snapshot, has_checksums: manifest.is_some() })
    }

    /// The folder of the checkpoint.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where in its run it was taken.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Whether there were checksums to compare its files with; older versions wrote none.
    pub fn has_checksums(&self) -> bool {
        self.has_checksums
    }

    /// `model` with the checkpoint's weights: the averaged ones where the run kept them.
    ///
    /// # Errors
    ///
    /// When the weights do not belong to such a model.
    pub fn load<M: Module>(&self, model: M) -> Result<M> {
        load_weights(model, &self.weights())
    }

    /// The file of its weights: of the averaged ones where the run kept them.
    pub(crate) fn weights(&self) -> PathBuf {
        let average = self.path.join(AVERAGE);
        if average.exists() { average } else { self.path.join(MODEL) }
    }

    /// `model`, and `average` if one is kept, with the weights of the checkpoint.
    pub(in crate::train) fn restore_weights<M: Module>(
        &self,
        model: M,
        average: Option<M>,
    ) -> Result<(M, Option<M>)> {
        let model = load_weights(model, &self.path.join(MODEL))?;
        let average = average.map(|m| load_weights(m, &self.path.join(AVERAGE))).transpose()?;
        Ok((model, average))
    }

    /// `optimizer` with the moments of the checkpoint. Its parameter groups must have been made for
    /// the restored model, whose parameters have the ids they were saved with.
    pub(in crate::train) fn restore_optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer> {
        let path = self.path.join(OPTIMIZER);
        let record =
            OptimizerRecord::load(&path).map_err(|error| Error::checkpoint(&path, error))?;
        if self.has_checksums {
            return Ok(optimizer.load_record(record));
        }
        // burn panics at a damaged record, or leaves moments out.
        let tensors = record.len();
        let loaded = catch_unwind(AssertUnwindSafe(|| optimizer.load_record(record)));
        let whole = loaded.ok().filter(|loaded| loaded.to_record().len() == tensors);
        whole.ok_or_else(|| {
            Error::checkpoint(&path, "is damaged: its moments belong to no parameter")
        })
    }
}

/// A checkpoint in memory, which a thread can write while the run goes on.
pub(in crate::train) struct Unsaved {
    snapshot: Snapshot,
    model: ModuleRecord,
    average: Option<ModuleRecord>,
    optimizer: OptimizerRecord,
}

impl Unsaved {
    /// Everything that the files will hold, copied from the device.
    pub(in crate::train) fn new<M: Module>(
        snapshot: &Snapshot,
        model: &M,
        average: Option<&M>,
        optimizer: &ModuleOptimizer,
    ) -> Self {
        let record = |model: &M| model.clone().into_record();
        Self {
            snapshot: Snapshot { checksums: true, ..snapshot.clone() },
            model: record(model),
            average: average.map(record),
            optimizer: optimizer.to_record(),
        }
    }

    /// The steps of the run so far.
    pub(super) fn step(&self) -> usize {
        self.snapshot.step
    }

    /// Writes all files of the checkpoint into `folder`, the checksums last.
    pub(super) fn write(self, folder: &Path) -> Result<()> {
        let save = |name: &str, record: ModuleRecord| {
            let path = folder.join(name);
            record.save(&path).map_err(|error| Error::checkpoint(&path, error))
        };
        let mut names = vec![MODEL, OPTIMIZER, STATE];
        save(MODEL, self.model)?;
        if let Some(average) = self.average {
            save(AVERAGE, average)?;
            names.push(AVERAGE);
        }
        let path = folder.join(OPTIMIZER);
        self.optimizer.save(&path).map_err(|error| Error::checkpoint(&path, error))?;
        write_json(&folder.join(STATE), &self.snapshot)?;
        Manifest::write(folder, &names, MANIFEST)?;
        sync_folder(folder).map_err(|error| Error::checkpoint(folder, error))
    }
}
