//! A run's folder: checkpoints that are whole or absent, configuration and metrics.

mod aside;
mod checkpoint;
#[cfg(feature = "tensorboard")]
mod events;
mod log;
mod log_line;
mod manifest;
mod room;
mod snapshot;

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use checkpoint::Checkpoint;
pub(super) use checkpoint::Unsaved;
pub(super) use log::Log;
pub use log_line::LogLine;
pub(crate) use manifest::{Manifest, sha256};
pub use snapshot::Snapshot;

use super::resume;
use crate::error::{Error, Result};
use crate::file::{
    FileLock, create_folder, read_json, sync_folder, temporary_beside, write_json, write_whole,
};

const CHECKPOINTS: &str = "checkpoints";
const CONFIG: &str = "config.json";
const LOCK: &str = ".lock";
const STATE: &str = "state.json";

/// The folder of one run:
///
/// ```text
/// config.json                            what was trained, on what
/// config.toml                            the document that repeats it, where the run has one
/// metrics.json                           losses, speed, seconds
/// log.jsonl                              the same as it goes, a line a step or an epoch
/// tensorboard                            the same for TensorBoard, with the feature `tensorboard`
/// checkpoints/step-00001200/model.bpk    weights (burn's format)
///                          /optimizer.bpk  moments
///                          /average.bpk    averaged weights, if the recipe keeps them
///                          /state.json     epoch, batch, step, seed, history
///                          /manifest.json  sizes and SHA-256 sums of these files
/// earlier.1                              the files of a run that was here before, whole
/// .lock                                  locked while a run writes here; need not be removed
/// ```
///
/// The folder of one checkpoint is accepted too, as a run that has this checkpoint alone.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// The one checkpoint that was named, if any.
    chosen: Option<PathBuf>,
}

impl RunFolder {
    /// The run at `path`, which need not exist yet, or the run and the one checkpoint of it at
    /// `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let parent = path.parent().filter(|parent| parent.ends_with(CHECKPOINTS));
        match parent.and_then(Path::parent).filter(|_| step_of(&path).is_some()) {
            Some(run) => Self { path: run.to_path_buf(), chosen: Some(path) },
            None => Self { path, chosen: None },
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest whole checkpoint, if there is any: one that is damaged is passed over.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, and when no checkpoint is whole except the one from before
    /// the first step.
    pub fn latest(&self) -> Result<Option<Checkpoint>> {
        Ok(self.latest_and_damaged()?.map(|(checkpoint, _)| checkpoint))
    }

    /// Whether there is a checkpoint, which may be damaged.
    pub(crate) fn has_checkpoints(&self) -> Result<bool> {
        Ok(!self.checkpoints()?.is_empty())
    }

    /// As [`latest`](Self::latest), with the faults of the later checkpoints that were passed over.
    fn latest_and_damaged(&self) -> Result<Option<(Checkpoint, Vec<Error>)>> {
        match self.newest_whole()? {
            Some((checkpoint, mut damaged))
                if checkpoint.snapshot().step == 0 && !damaged.is_empty() =>
            {
                Err(damaged.remove(0))
            }
            found => Ok(found),
        }
    }

    /// The newest whole checkpoint.
    ///
    /// # Errors
    ///
    /// When there is none, or the folder cannot be listed.
    pub fn require_latest(&self) -> Result<Checkpoint> {
        Ok(self.require_latest_and_damaged()?.0)
    }

    /// As [`require_latest`](Self::require_latest), with the faults of the later checkpoints that
    /// were passed over.
    pub(crate) fn require_latest_and_damaged(&self) -> Result<(Checkpoint, Vec<Error>)> {
        let none = || Error::checkpoint(&self.path, "this run has no checkpoint");
        self.latest_and_damaged()?.ok_or_else(none)
    }

    /// The checkpoint of the epoch with the smallest validation loss (the earliest one if several
    /// are equal), if a checkpoint was made at the end of an epoch.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, and when that checkpoint is damaged.
    pub fn best(&self) -> Result<Option<Checkpoint>> {
        self.best_path()?.map(Checkpoint::open).transpose()
    }

    /// The checkpoint after `step` optimizer steps.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged.
    pub fn at_step(&self, step: usize) -> Result<Checkpoint> {
        let path = self.checkpoint(step);
        if path.is_dir() {
            return Checkpoint::open(path);
        }
        let steps: Vec<_> = self
            .checkpoints()?
            .iter()
            .filter_map(|path| step_of(path))
            .map(|s| s.to_string())
            .collect();
        let there = if steps.is_empty() { "none".into() } else { steps.join(", ") };
        Err(Error::checkpoint(
            path,
            format!("there is no such checkpoint; the run has the steps: {there}"),
        ))
    }

    /// The configuration of the run, from the `config.json` that was written when it started.
    ///
    /// # Errors
    ///
    /// When the file is missing, does not hold a `C`, or differs from the configuration in the
    /// newest checkpoint.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C> {
        self.config_beside(self.latest()?.as_ref())
    }

    /// As [`config`](Self::config), where the newest checkpoint is open already.
    pub(crate) fn config_beside<C: DeserializeOwned>(
        &self,
        newest: Option<&Checkpoint>,
    ) -> Result<C> {
        let path = self.path.join(CONFIG);
        if let Some(checkpoint) = newest {
            let said: Value = read_json(&path)?;
            let saved = &checkpoint.snapshot().fingerprint["config"];
            if let Some(difference) = resume::difference("", &said, saved) {
                return Err(Error::checkpoint(
                    &path,
                    format!(
                        "differs from the configuration in the run's newest checkpoint: {difference}"
                    ),
                ));
            }
        }
        read_json(&path)
    }

    /// `model` with the weights of the newest checkpoint: the averaged ones where the run kept
    /// them.
    ///
    /// # Errors
    ///
    /// When there is no checkpoint, or it is not of such a model.
    pub fn load_into<M: Module>(&self, model: M) -> Result<M> {
        self.require_latest()?.load(model)
    }

    /// Locks the folder, which is made if it is missing, so that no other process writes into it.
    pub(crate) fn lock(&self) -> Result<FileLock> {
        create_folder(&self.path)?;
        let taken = FileLock::take(&self.path.join(LOCK));
        taken.map_err(|error| Error::checkpoint(&self.path, error))
    }

    /// The newest whole checkpoint, with the faults of the later ones that were passed over.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, and when none of its checkpoints is whole.
    pub fn newest_whole(&self) -> Result<Option<(Checkpoint, Vec<Error>)>> {
        let mut damaged = Vec::new();
        for path in self.checkpoints()?.into_iter().rev() {
            match Checkpoint::open(path) {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(error) => damaged.push(error),
            }
        }
        match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Every checkpoint, oldest first, or its fault.
    pub(crate) fn all(&self) -> Result<Vec<(PathBuf, Result<Checkpoint>)>> {
        let paths = self.checkpoints()?.into_iter();
        Ok(paths.map(|path| (path.clone(), Checkpoint::open(path))).collect())
    }

    /// The path of the best checkpoint, by their states.
    pub(super) fn best_path(&self) -> Result<Option<PathBuf>> {
        let loss = |path: &PathBuf| {
            let state = Snapshot::load(path).ok().filter(Snapshot::is_validated)?;
            state.history.last().map(|epoch| epoch.valid_loss)
        };
        let found = self.checkpoints()?.into_iter().filter_map(|path| Some((loss(&path)?, path)));
        let smaller = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or(Ordering::Equal);
        Ok(found.min_by(|(a, _), (b, _)| smaller(a, b)).map(|(_, path)| path))
    }

    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_json(&self.path.join(name), value)
    }

    pub(super) fn write_text(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        write_whole(&path, text.as_bytes()).map_err(|error| Error::checkpoint(path, error))
    }

    /// Writes a checkpoint under a temporary name and renames it.
    pub(super) fn save(&self, unsaved: Unsaved) -> Result<PathBuf> {
        let checkpoint = self.checkpoint(unsaved.step());
        let folder = self.folder();
        create_folder(&folder)?;
        let fault = |error: io::Error| Error::checkpoint(&checkpoint, error);
        let partial = temporary_beside(&checkpoint).map_err(fault)?;
        fs::create_dir(&partial).map_err(fault)?;
        let renamed = unsaved.write(&partial).and_then(|()| {
            if checkpoint.exists() {
                self.remove(&checkpoint)?;
            }
            fs::rename(&partial, &checkpoint).and_then(|()| sync_folder(&folder)).map_err(fault)
        });
        if renamed.is_err() {
            // The first fault is the one to report.
            let _ = fs::remove_dir_all(&partial);
        }
        renamed.map(|()| checkpoint)
    }

    /// Removes all checkpoints except the newest `keep` and the one of step `best`.
    pub(super) fn prune(&self, keep: usize, best: Option<usize>) -> Result<()> {
        let best = best.map(|step| self.checkpoint(step));
        let checkpoints = self.checkpoints()?;
        let old = checkpoints.len().saturating_sub(keep.max(1));
        let pruned = checkpoints[..old].iter().filter(|path| Some(*path) != best.as_ref());
        pruned.into_iter().try_for_each(|path| self.remove(path))
    }

    /// Renames a checkpoint before its files are removed, so that a folder with the name of a
    /// checkpoint is always whole.
    fn remove(&self, checkpoint: &Path) -> Result<()> {
        let fault = |error| Error::checkpoint(checkpoint, error);
        let partial = temporary_beside(checkpoint).map_err(fault)?;
        fs::rename(checkpoint, &partial).map_err(fault)?;
        fs::remove_dir_all(&partial).map_err(fault)
    }

    fn folder(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    fn checkpoint(&self, step: usize) -> PathBuf {
        self.folder().join(format!("step-{step:08}"))
    }

    /// The folders of checkpoints, oldest first; or the one that was named.
    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        if let Some(chosen) = &self.chosen {
            return Ok(vec![chosen.clone()]);
        }
        let mut found = self.entries()?;
        found.retain(|path| step_of(path).is_some() && path.is_dir());
        found.sort_by_key(|path| step_of(path));
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

/// The step in the name of a checkpoint's folder.
fn step_of(path: &Path) -> Option<usize> {
    let digits = path.file_name()?.to_str()?.strip_prefix("step-")?;
    let plain = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
