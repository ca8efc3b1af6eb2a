//! A run's folder: checkpoints that are whole or absent, configuration and metrics.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::history::{History, RunningMean};
use crate::error::{Error, Result};
use crate::file::{check_holds, read_json, temporary_beside, write_json};

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const AVERAGE: &str = "average.bpk";
const STATE: &str = "state.json";

/// The folder of one run:
///
/// ```text
/// config.json                            what was trained, on what
/// metrics.json                           losses, speed, seconds
/// checkpoints/step-00001200/model.bpk    weights (burn's format)
///                          /optimizer.bpk  moments
///                          /average.bpk    averaged weights, if the recipe keeps them
///                          /state.json     epoch, batch, step, seed, history
/// ```
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// Where in a run a checkpoint was taken, and what the run had measured by then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What must be the same for a resumed run to equal an uninterrupted one: configuration,
    /// recipe, seed, batch size and batches per epoch.
    pub fingerprint: serde_json::Value,
    /// Finished epochs.
    pub epoch: usize,
    /// Finished batches of the epoch under way.
    pub batch: usize,
    /// Finished optimizer steps.
    pub step: usize,
    /// Finished epochs' figures.
    pub history: History,
    pub(super) running: RunningMean,
}

impl RunFolder {
    /// The run at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest checkpoint's folder, if there is one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.checkpoints()?.pop())
    }

    /// The newest checkpoint's folder.
    ///
    /// # Errors
    ///
    /// When there is none, or the folder cannot be listed.
    pub fn require_latest(&self) -> Result<PathBuf> {
        let none = || Error::checkpoint(&self.path, "this run has no checkpoint");
        self.latest()?.ok_or_else(none)
    }

    /// What a run says of itself: the `config.json` written when it started.
    ///
    /// # Errors
    ///
    /// When the file is missing or is not a `C`.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C> {
        read_json(&self.path.join("config.json"))
    }

    /// `model` with the weights of the newest checkpoint: the averaged ones where the run kept
    /// them.
    ///
    /// # Errors
    ///
    /// When there is no checkpoint, or it is not of such a model.
    pub fn load<M: Module>(&self, model: M) -> Result<M> {
        let checkpoint = self.require_latest()?;
        let average = checkpoint.join(AVERAGE);
        load_module(model, if average.exists() { average } else { checkpoint.join(MODEL) })
    }

    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path.join(name);
        fs::create_dir_all(&self.path).map_err(|error| Error::checkpoint(&self.path, error))?;
        write_json(&path, value)
    }

    /// Moves an earlier run's checkpoints out of the way of one that starts anew; says where to.
    pub(super) fn set_aside(&self) -> Result<Option<PathBuf>> {
        if self.latest()?.is_none() {
            return Ok(None);
        }
        let free = (1..).map(|n| self.path.join(format!("checkpoints.{n}")));
        let aside = free.into_iter().find(|path| !path.exists()).expect("numbers do not end");
        fs::rename(self.folder(), &aside).map_err(|error| Error::checkpoint(&aside, error))?;
        Ok(Some(aside))
    }

    /// Writes a checkpoint under a temporary name and renames it, then removes those that are
    /// neither among the newest `keep` nor `best`.
    pub(super) fn save<M: Module>(
        &self,
        snapshot: &Snapshot,
        model: &M,
        average: Option<&M>,
        optimizer: &ModuleOptimizer,
    ) -> Result<PathBuf> {
        let checkpoint = self.checkpoint(snapshot.step);
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(|error| Error::checkpoint(&folder, error))?;
        let fault = |error: io::Error| Error::checkpoint(&checkpoint, error);
        let partial = temporary_beside(&checkpoint).map_err(fault)?;
        fs::create_dir(&partial).map_err(fault)?;
        let written = write_parts(&partial, snapshot, model, average, optimizer);
        let renamed = written.and_then(|()| {
            if checkpoint.exists() {
                remove(&checkpoint)?;
            }
            fs::rename(&partial, &checkpoint).map_err(fault)
        });
        if renamed.is_err() {
            // The first fault is the one to report.
            let _ = fs::remove_dir_all(&partial);
        }
        renamed.map(|()| checkpoint)
    }

    /// Removes the checkpoints before the newest `keep`, but for that of step `best`, and what an
    /// earlier process left half-written.
    pub(super) fn prune(&self, keep: usize, best: Option<usize>) -> Result<()> {
        let best = best.map(|step| self.checkpoint(step));
        let checkpoints = self.checkpoints()?;
        let old = checkpoints.len().saturating_sub(keep.max(1));
        for checkpoint in &checkpoints[..old] {
            if Some(checkpoint) != best.as_ref() {
                remove(checkpoint)?;
            }
        }
        let is_partial = |path: &PathBuf| path.extension().is_some_and(|end| end == "partial");
        self.entries()?.iter().filter(|path| is_partial(path)).try_for_each(|path| remove(path))
    }

    fn folder(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    fn checkpoint(&self, step: usize) -> PathBuf {
        self.folder().join(format!("step-{step:08}"))
    }

    /// Whole checkpoints, oldest first.
    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let mut found = self.entries()?;
        found.retain(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-"))
        });
        found.sort();
        Ok(found)
    }

    fn entries(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(Error::checkpoint(&folder, error)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        io::Result::<Vec<_>>::map_err(paths, |error| Error::checkpoint(&folder, error))
    }
}

impl Snapshot {
    /// The state kept in the folder of one checkpoint.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn load(checkpoint: &Path) -> Result<Self> {
        read_json(&checkpoint.join(STATE))
    }

    /// Refuses to go on with a run of other numbers; names the first that differs.
    pub(super) fn check(&self, fingerprint: &serde_json::Value, checkpoint: &Path) -> Result<()> {
        let fields = |value: &serde_json::Value| value.as_object().cloned().unwrap_or_default();
        let (saved, now) = (fields(&self.fingerprint), fields(fingerprint));
        for (name, value) in &now {
            let was = saved.get(name).unwrap_or(&serde_json::Value::Null);
            if was != value {
                return Err(Error::checkpoint(
                    checkpoint,
                    format!("this run has {name} {was}, and cannot be resumed with {value}"),
                ));
            }
        }
        Ok(())
    }
}

fn write_parts<M: Module>(
    folder: &Path,
    snapshot: &Snapshot,
    model: &M,
    average: Option<&M>,
    optimizer: &ModuleOptimizer,
) -> Result<()> {
    let save = |name: &str, model: &M| {
        let path = folder.join(name);
        let saved = model.clone().into_record().save(&path);
        saved.map_err(|error| Error::checkpoint(&path, error))
    };
    save(MODEL, model)?;
    average.map_or(Ok(()), |average| save(AVERAGE, average))?;
    let path = folder.join(OPTIMIZER);
    optimizer.save(&path).map_err(|error| Error::checkpoint(&path, error))?;
    write_json(&folder.join(STATE), snapshot)
}

/// `model`, and `average` if one is kept, with the weights of a checkpoint.
pub(super) fn restore_weights<M: Module>(
    checkpoint: &Path,
    model: M,
    average: Option<M>,
) -> Result<(M, Option<M>)> {
    let model = load_module(model, checkpoint.join(MODEL))?;
    let average = average.map(|m| load_module(m, checkpoint.join(AVERAGE))).transpose()?;
    Ok((model, average))
}

/// `optimizer` with the moments of a checkpoint. Its groups must be those of the restored model.
pub(super) fn restore_optimizer(
    checkpoint: &Path,
    optimizer: ModuleOptimizer,
) -> Result<ModuleOptimizer> {
    let path = checkpoint.join(OPTIMIZER);
    let record = OptimizerRecord::load(&path).map_err(|error| Error::checkpoint(&path, error))?;
    Ok(optimizer.load_record(record))
}

fn load_module<M: Module>(model: M, path: PathBuf) -> Result<M> {
    check_holds(&path, &model)?;
    let fault = |error| Error::checkpoint(&path, error);
    model.try_load_record(ModuleRecord::load(&path).map_err(fault)?).map_err(fault)
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(|error| Error::checkpoint(folder, error))
}
