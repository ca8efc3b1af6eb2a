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

/// What is done after every epoch of a run, beside its validation; of several processes by the first
/// ([`Ranks`](crate::train::Ranks)).
pub trait Watch<T> {
    /// Further metrics: named numbers that join the validation metrics of the epoch, which is
    /// counted from 1. Default: none
    ///
    /// `task` is as it is validated: on a plain device, with averaged weights if the recipe keeps
    /// them.
    ///
    /// # Errors
    ///
    /// When they cannot be measured; the run stops.
    fn probe(&mut self, task: &T, epoch: usize) -> Result<BTreeMap<String, f64>> {
        let _ = (task, epoch);
        Ok(BTreeMap::new())
    }

    /// Called when the epoch's figures are written, the last of `history`, with the task as in
    /// [`probe`](Self::probe); its checkpoint may still be being written. Default: nothing is done
    ///
    /// # Errors
    ///
    /// When it fails; the run stops, and can be resumed from that checkpoint.
    fn after_epoch(&mut self, task: &T, history: &History) -> Result<()> {
        let _ = (task, history);
        Ok(())
    }
}

/// A closure that measures further metrics.
struct Probe<F>(F);

impl<T, F: FnMut(&T, usize) -> Result<BTreeMap<String, f64>>> Watch<T> for Probe<F> {
    fn probe(&mut self, task: &T, epoch: usize) -> Result<BTreeMap<String, f64>> {
        self.0(task, epoch)
    }
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
    /// metrics, as [`Watch::probe`].
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when the probe fails.
    pub fn run_with_probe<T, C>(
        self,
        task: T,
        train: &Loader<C>,
        valid: &Loader<C>,
        probe: impl FnMut(&T, usize) -> Result<BTreeMap<String, f64>>,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.run_watched(task, train, valid, &mut Probe(probe))
    }

    /// Trains as [`Pretraining::run`] does, with `watch` looking on.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when `watch` fails.
    pub fn run_watched<T, C>(
        mut self,
        task: T,
        train: &Loader<C>,
        valid: &Loader<C>,
        watch: &mut impl Watch<T>,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.settle_budget(&task, train, valid)?;
        let mut run = Session::start(&self, task, train, valid)?;
        let mut interrupted = false;
        while !run.is_done() && !interrupted {
            run.advance(train, valid, watch)?;
            interrupted = !run.is_done() && run.is_asked_to_stop();
        }
        run.finish_saving()?;
        run.reporter.finish();
        let history = run.snapshot.history.clone();
        let resumed_from = run.resumed_from.take();
        let task = run.validated();
        Ok(Pretrained { task, history, resumed_from, interrupted })
    }
}
