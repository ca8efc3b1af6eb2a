//! The training loop of every pretext task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use super::{History, Interrupt, Precision, Progress, Recipe, RunFolder};
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::task::PretextTask;

/// A pre-training run: what to do, where to keep it, and how to report.
///
/// The loop is our own, on burn's optimizers, records and data loaders: burn's trainer clips each
/// tensor by itself, sums accumulated gradients, and keeps neither the best metric nor a
/// half-finished epoch across a restart. [`BurnTask`](super::BurnTask) runs the same tasks on it.
#[derive(Debug, Clone)]
pub struct Pretraining {
    pub(super) folder: RunFolder,
    pub(super) recipe: Recipe,
    pub(super) config: Value,
    pub(super) seed: u64,
    pub(super) precision: Precision,
    pub(super) resume: bool,
    pub(super) keep: usize,
    pub(super) progress: Progress,
    pub(super) interrupt: Interrupt,
}

/// What a run ends with.
#[derive(Debug)]
pub struct Pretrained<T> {
    /// The task with its trained weights (averaged ones where the recipe keeps them), on a plain
    /// device.
    pub task: T,
    /// Losses and speed.
    pub history: History,
    /// Whether the run was asked to stop before its last epoch; resuming it goes on.
    pub interrupted: bool,
}

impl Pretraining {
    /// A run in `folder` by `recipe`, in f32 with seed 0, that starts anew, keeps the last two
    /// checkpoints beside the best, and reports on the terminal.
    pub fn new(folder: impl Into<PathBuf>, recipe: Recipe) -> Self {
        Self {
            folder: RunFolder::new(folder),
            recipe,
            config: Value::Null,
            seed: 0,
            precision: Precision::F32,
            resume: false,
            keep: 2,
            progress: Progress::Auto,
            interrupt: Interrupt::default(),
        }
    }

    /// Seeds what a task draws on the device (drop path); masks and crops have the loader's seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What a step computes in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Goes on from the newest checkpoint in the folder, if there is one.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Keeps the last `keep` checkpoints, at least 1, beside the best.
    pub fn keep(mut self, keep: usize) -> Self {
        self.keep = keep;
        self
    }

    /// How to report.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Who may stop the run.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// What is trained, for `config.json` and `metrics.json`: whatever a reader of the run needs to
    /// build the model again.
    ///
    /// # Errors
    ///
    /// When `config` cannot be written as JSON.
    pub fn config(mut self, config: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_value(config);
        self.config = json.map_err(|error| Error::config(error.to_string()))?;
        Ok(self)
    }

    /// Trains `task`, whose parameters must be on an autodiff device, on batches of `train`, and
    /// measures it on `valid` after every epoch.
    ///
    /// The same seed and loaders give the same bits; so does a run that was stopped anywhere, even
    /// killed, and resumed.
    ///
    /// # Errors
    ///
    /// When the recipe is broken, the task or its device cannot compute in the run's precision, a
    /// batch cannot be made, the loss is not finite, or the folder cannot be read or written.
    /// Whatever was saved stays whole.
    pub fn run<T, C>(self, task: T, train: &Loader<C>, valid: &Loader<C>) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.run_with_probe(task, train, valid, |_, _| Ok(BTreeMap::new()))
    }

    /// As [`Pretraining::run`], and asks `probe` after every epoch what else to say of the task:
    /// named numbers that join the epoch's validation metrics. It gets the task as it is validated,
    /// on a plain device and with averaged weights where the recipe keeps them, and the epoch,
    /// counted from 1.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when the probe fails.
    pub fn run_with_probe<T, C>(
        self,
        task: T,
        train: &Loader<C>,
        valid: &Loader<C>,
        mut probe: impl FnMut(&T, usize) -> Result<BTreeMap<String, f64>>,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.recipe.validate()?;
        let mut run = Session::start(&self, task, train)?;
        run.introduce(valid)?;
        let mut interrupted = false;
        while run.snapshot.epoch < self.recipe.epochs && !interrupted {
            let started = Instant::now();
            let images = run.epoch(train)?;
            if run.snapshot.batch == train.batches() {
                run.finish_epoch(valid, started, images, &mut probe)?;
            }
            run.save()?;
            let unfinished = run.snapshot.epoch < self.recipe.epochs;
            interrupted = unfinished && self.interrupt.is_requested();
        }
        run.reporter.finish();
        let history = run.snapshot.history.clone();
        let task = run.validated();
        Ok(Pretrained { task, history, interrupted })
    }
}
