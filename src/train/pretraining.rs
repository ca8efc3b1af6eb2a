//! What a pre-training run does, where it is kept, and how it reports.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::budget::Settled;
use super::{Budget, Interrupt, Precision, Progress, Ranks, Recipe, RunFolder, Saves};
use crate::error::{Error, Result};

/// Steps between two lines of a log: a run of a hundred thousand leaves two megabytes.
const LOG_EVERY: usize = 10;

/// A pre-training run: what to do, where to keep it, and how to report.
///
/// The loop is our own, on burn's optimizers, records and data loaders: burn's trainer clips each
/// tensor by itself, sums accumulated gradients, and keeps neither the best metric nor a
/// half-finished epoch across a restart. [`BurnTask`](super::BurnTask) runs the same tasks on it.
#[derive(Debug, Clone)]
pub struct Pretraining {
    pub(super) folder: RunFolder,
    pub(super) recipe: Recipe,
    pub(super) budget: Option<Budget>,
    /// The budget with its minutes as steps, once these are known.
    pub(super) settled: Option<Settled>,
    pub(super) config: Value,
    pub(super) identity: Option<Value>,
    pub(super) document: Option<String>,
    pub(super) origin: Option<Value>,
    pub(super) notes: Vec<String>,
    pub(super) images: Value,
    pub(super) seed: u64,
    pub(super) precision: Precision,
    pub(super) resume: bool,
    pub(super) accept_changed_data: bool,
    pub(super) keep: usize,
    pub(super) saves: Saves,
    pub(super) log_every: usize,
    pub(super) progress: Progress,
    pub(super) interrupt: Interrupt,
    pub(super) ranks: Ranks,
}

impl Pretraining {
    /// A run in `folder` by `recipe`, in f32 with seed 0, that starts anew, keeps the last two
    /// checkpoints beside the best, and says nothing.
    pub fn new(folder: impl Into<PathBuf>, recipe: Recipe) -> Self {
        Self {
            folder: RunFolder::new(folder),
            recipe,
            budget: None,
            settled: None,
            config: Value::Null,
            identity: None,
            document: None,
            origin: None,
            notes: Vec::new(),
            images: Value::Null,
            seed: 0,
            precision: Precision::F32,
            resume: false,
            accept_changed_data: false,
            keep: 2,
            saves: Saves::default(),
            log_every: LOG_EVERY,
            progress: Progress::default(),
            interrupt: Interrupt::default(),
            ranks: Ranks::default(),
        }
    }

    /// Seeds what a task draws on the device (drop path); masks and crops have the loader's seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long the run is. Without this call it has the epochs of its recipe.
    pub fn budget(mut self, budget: impl Into<Option<Budget>>) -> Self {
        (self.budget, self.settled) = (budget.into(), None);
        self
    }

    /// The floating-point type that a step computes in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Goes on from the newest whole checkpoint in the folder; it is an error if there is none.
    /// Without this a run starts anew, and the files of an earlier one there are moved aside.
    ///
    /// Everything that decides the result must be the same as in the checkpoint: configuration,
    /// images, recipe, seed, precision and batch size. A longer run is allowed: the schedule changes
    /// from here on, and steps that are already done keep their learning rates.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Allows a resumed run to use other images than the checkpoint's run did, for example after a
    /// damaged file was removed. The number of steps per epoch then follows from the new images.
    pub fn accept_changed_data(mut self, accept: bool) -> Self {
        self.accept_changed_data = accept;
        self
    }

    /// Keeps the last `keep` checkpoints, at least 1, beside the best.
    pub fn keep(mut self, keep: usize) -> Self {
        self.keep = keep;
        self
    }

    /// When checkpoints are saved. Without this call they are after every epoch.
    ///
    /// A thread writes them while training goes on: a run that is killed just after an epoch may have
    /// the epoch's figures without its checkpoint, and goes on from the one before.
    pub fn saves(mut self, saves: Saves) -> Self {
        self.saves = saves;
        self
    }

    /// Writes a line into `log.jsonl` for the first step and for every so many steps, with 0 for
    /// epochs alone. Without this call it is every tenth step.
    pub fn log_every(mut self, steps: usize) -> Self {
        self.log_every = steps;
        self
    }

    /// How the run reports its progress.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// The flag by which others can stop the run.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// The processes that do the run together, all of which make the same calls with the same arguments.
    /// Without this call it is this one alone. A step's micro-batches, which are batches of the loader,
    /// are shared out, and so there must be at least as many ([`Recipe::accumulation`]); the run ends at
    /// the same bits by any number of processes. The first process validates, writes all files and
    /// reports.
    pub fn ranks(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// The configuration of the model, for `config.json` and `metrics.json`: everything a reader of
    /// the run needs to build the model again.
    ///
    /// # Errors
    ///
    /// When `config` cannot be written as JSON.
    pub fn config(mut self, config: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_value(config);
        self.config = json.map_err(|error| Error::config(error.to_string()))?;
        Ok(self)
    }

    /// The part of the configuration that decides the result, which a resumed run compares with the
    /// checkpoint. Without this call it is the whole configuration; leave out what may differ, such
    /// as paths.
    ///
    /// # Errors
    ///
    /// When `identity` cannot be written as JSON.
    pub fn identity(mut self, identity: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_value(identity);
        self.identity = Some(json.map_err(|error| Error::config(error.to_string()))?);
        Ok(self)
    }

    /// The document that repeats the run, in TOML, for `config.toml`; the budget is added to it.
    pub fn document(mut self, document: impl Into<String>) -> Self {
        self.document = Some(document.into());
        self
    }

    /// What became of weights that the run begins with, for `init_from.json` in its folder, and notes
    /// about them for the report of its progress.
    pub(crate) fn origin(mut self, begun: Option<(Value, Vec<String>)>) -> Self {
        if let Some((origin, notes)) = begun {
            (self.origin, self.notes) = (Some(origin), notes);
        }
        self
    }

    /// Describes the images of both splits, which a resumed run compares with the checkpoint: the
    /// sizes of the splits and [`ImageData::identity`](crate::data::ImageData::identity), or
    /// anything else that tells one data set from another.
    pub fn images(mut self, train: usize, test: usize, identity: impl Into<String>) -> Self {
        self.images = json!({ "train": train, "test": test, "identity": identity.into() });
        self
    }

    /// How this process reports.
    pub(super) fn own_progress(&self) -> Progress {
        if self.ranks.is_first() { self.progress } else { Progress::Silent }
    }

    /// Writes `config.json`, and `config.toml` where there is a document: with the budget, whose
    /// minutes are steps by now.
    pub(super) fn write_config(&self) -> Result<()> {
        if let Some(document) = &self.document {
            let budget = match self.settled.and_then(|settled| settled.budget()) {
                Some(Budget::Steps(steps)) => format!("\n[budget]\nsteps = {steps}\n"),
                Some(Budget::Epochs(epochs)) => format!("\n[budget]\nepochs = {epochs}\n"),
                _ => String::new(),
            };
            self.folder.write_text("config.toml", &format!("{document}{budget}"))?;
        }
        self.folder.write_json("config.json", &self.config)
    }
}
