//! The training loop of every pretext task.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Session;
use crate::data::{Collate, Loader};
use crate::error::Result;
use crate::task::PretextTask;
use crate::train::{History, Pretraining};

/// The result of a run.
#[derive(Debug)]
pub struct Pretrained<T> {
    /// The task with its trained weights (averaged ones where the recipe keeps them), on a plain
    /// device.
    pub task: T,
    /// Losses and speed.
    pub history: History,
    /// The checkpoint that the run went on from, if it was resumed.
    pub resumed_from: Option<PathBuf>,
    /// Whether the run was asked to stop before its end; resuming it goes on.
    pub interrupted: bool,
}

impl Pretraining {
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
    /// Whatever was saved stays whole, an earlier run in the folder is left alone unless this one
    /// can start, and a fault of the data costs no finished step.
    pub fn run<T, C>(self, task: T, train: &Loader<C>, valid: &Loader<C>) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.run_with_probe(task, train, valid, |_, _| Ok(BTreeMap::new()))
    }

    /// Trains as [`Pretraining::run`] does, and calls `probe` after every epoch for further
    /// metrics: named numbers that join the validation metrics of the epoch. The probe gets the
    /// task as it is validated (on a plain device, with averaged weights if the recipe keeps them)
    /// and the epoch, counted from 1.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when the probe fails.
    pub fn run_with_probe<T, C>(
        mut self,
        task: T,
        train: &Loader<C>,
        valid: &Loader<C>,
        mut probe: impl FnMut(&T, usize) -> Result<BTreeMap<String, f64>>,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.settle_budget(&task, train, valid)?;
        let mut run = Session::start(&self, task, train, valid)?;
        let mut interrupted = false;
        while !run.is_done() && !interrupted {
            run.advance(train, valid, &mut probe)?;
            interrupted = !run.is_done() && self.interrupt.is_requested();
        }
        run.reporter.finish();
        let history = run.snapshot.history.clone();
        let resumed_from = run.resumed_from.take();
        let task = run.validated();
        Ok(Pretrained { task, history, resumed_from, interrupted })
    }
}
