//! A run under way: steps and epochs.

mod finish;
mod log;
mod run;
mod save;
mod shared;
mod start;
mod trial;

use std::path::PathBuf;
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand::Rng;

use self::log::Meter;
use self::save::Saving;
pub use run::{Pretrained, Watch};

use super::budget::Length;
use super::exchange::Tree;
use super::history::RunningMean;
use super::layer_rates::LayerRates;
use super::parameters::{Parameters, unreached_warning};
use super::progress::Reporter;
use super::run_folder::Log;
use super::{Pretraining, Schedule, Snapshot, gradients};
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::file::FileLock;
use crate::nn::follow;
use crate::rng::{Purpose, stream};
use crate::task::{PretextTask, StepEnd, TaskOutput, check_scalar};

/// A run under way.
struct Session<'a, T> {
    plan: &'a Pretraining,
    /// Before the lock, so that it is written while nobody else may write.
    saving: Saving,
    /// That of the folder, where this process writes.
    _lock: Option<FileLock>,
    device: Device,
    schedule: Schedule,
    length: Length,
    /// The task, which is absent only while the optimizer holds it: the optimizer updates a tensor
    /// in place only if nobody else refers to it.
    task: Option<T>,
    average: Option<T>,
    optimizer: ModuleOptimizer,
    rates: LayerRates,
    parameters: Parameters,
    snapshot: Snapshot,
    /// The losses of the batches that went into a finished step.
    stepped: RunningMean,
    /// The losses of the batches since then.
    step_loss: RunningMean,
    /// The log, once the run has started.
    log: Option<Log>,
    meter: Meter,
    /// The newest checkpoint that is written.
    saved: PathBuf,
    resumed_from: Option<PathBuf>,
    best_step: Option<usize>,
    /// When the last checkpoint was begun.
    last_save: Instant,
    /// The moment up to which time is accounted for in the snapshot.
    clock: Instant,
    /// The same of training's time, while it trains.
    training_since: Option<Instant>,
    reporter: Reporter,
    batch_size: usize,
    batches: usize,
    /// Whether any of several processes was asked to stop before the last step ended.
    all_stop: bool,
    /// Whether the first of several says that a checkpoint is due.
    all_save: bool,
}

/// A loss that was not read yet, because reading it makes the host wait for the device.
struct Unread {
    loss: Tensor<1>,
    /// The step that the batch of this loss belongs to.
    step: usize,
    /// Whether the batch was the last one of its step.
    ends_step: bool,
    /// The norm of the step's gradients, where clipping needed it.
    norm: Option<Tensor<1>>,
}

impl<T: PretextTask> Session<'_, T> {
    fn task(&self) -> &T {
        self.task.as_ref().expect("the task is there between steps")
    }

    /// Trains on the rest of the epoch under way, or until somebody asks to stop. After a fault of
    /// the data the snapshot describes the last whole step.
    fn epoch<C: Collate<Batch = T::Batch>>(&mut self, train: &Loader<C>) -> Result<()> {
        self.training_since = Some(Instant::now());
        let trained = self.train(train);
        self.account();
        self.training_since = None;
        let left_out = self.leave_out(train);
        trained.and(left_out)
    }

    fn train<C: Collate<Batch = T::Batch>>(&mut self, train: &Loader<C>) -> Result<()> {
        if self.has_all_steps() {
            return Ok(());
        }
        (self.stepped, self.step_loss) = (self.snapshot.running, RunningMean::default());
        self.meter = Meter::new();
        if self.plan.ranks.ranks() > 1 {
            return self.train_shared(train);
        }
        let mut sum = Tree::new(self.parts(self.snapshot.batch));
        let mut observed = Vec::new();
        let mut images = 0;
        let mut unread: Option<Unread> = None;
        let mut batches = train.epoch(self.snapshot.epoch as u64, self.snapshot.batch);
        while let Some(batch) = batches.next() {
            let TaskOutput { loss, observed: seen } = match self.forward(batch, batches.position())
            {
                Ok(output) => output,
                Err(error) => return self.broken_off(unread, error),
            };
            observed.push(seen);
            images += batches.samples();
            sum.give(self.gradients(&loss), |a, b| gradients::added(self.task(), a, b));
            let ends_step = sum.is_complete();
            let loss = loss.without_autodiff();
            let new = Unread { loss, step: self.snapshot.step, ends_step, norm: None };
            // The loss before this one is ready by now: reading it does not make the device wait.
            self.read(unread.replace(new))?;
            if ends_step {
                let next = Tree::new(self.parts(batches.position()));
                let gradients = std::mem::replace(&mut sum, next).sum().unwrap_or_default();
                let norm = self.step(gradients, observed.len(), std::mem::take(&mut observed));
                unread.iter_mut().for_each(|unread| unread.norm = norm.clone());
                self.count(batches.position(), std::mem::take(&mut images));
                if self.has_all_steps() || self.is_asked_to_stop() {
                    break;
                }
                if self.is_save_due() {
                    self.read(unread.take())?;
                    self.save()?;
                }
            }
        }
        self.read(unread)
    }

    /// How many micro-batches the step has that begins with batch `batch` of the epoch.
    fn parts(&self, batch: usize) -> usize {
        self.plan.recipe.accumulation.min(self.batches - batch)
    }

    /// Counts what a step was made of, up to batch `batch` of the epoch.
    fn count(&mut self, batch: usize, images: usize) {
        self.snapshot.spent.images += images;
        self.meter.add(images);
        self.snapshot.batch = batch;
    }

    /// Whether somebody asked the run to stop: of several processes one was before the last step
    /// ended, so that none of them waits for one that stopped.
    fn is_asked_to_stop(&self) -> bool {
        match self.plan.ranks.ranks() {
            1 => self.plan.interrupt.is_requested(),
            _ => self.all_stop,
        }
    }

    /// Whether a run of so many steps has done them all.
    fn has_all_steps(&self) -> bool {
        matches!(self.length, Length::Steps(steps) if self.snapshot.step >= steps)
    }

    /// Whether the run is at its end, its last validation done.
    fn is_done(&self) -> bool {
        match self.length {
            Length::Epochs(epochs) => self.snapshot.epoch >= epochs,
            Length::Steps(_) => self.has_all_steps() && self.snapshot.is_validated(),
        }
    }

    fn steps_per_epoch(&self) -> usize {
        self.batches.div_ceil(self.plan.recipe.accumulation)
    }

    /// Records the images that `loader` has left out on any process.
    fn leave_out<C: Collate>(&mut self, loader: &Loader<C>) -> Result<()> {
        let faults = self.plan.ranks.all(loader.skipped())?;
        if let Some(note) = self.snapshot.history.leave_out(faults) {
            self.reporter.note(&note);
        }
        Ok(())
    }

    /// Goes back to the end of the last step: what was computed since is lost.
    fn broken_off(&mut self, unread: Option<Unread>, error: Error) -> Result<()> {
        self.read(unread.filter(|unread| unread.ends_step))?;
        self.snapshot.running = self.stepped;
        Err(error)
    }

    /// The loss of batch `number` of the epoch, computed in the plan's precision. Every batch has its
    /// own stream, so a resumed run drops the same paths.
    fn forward(&self, batch: Result<T::Batch>, number: usize) -> Result<TaskOutput<T::Observed>> {
        self.device.seed(self.device_seed(number));
        loss_of(self.task(), batch?, self.plan.precision)
    }

    /// The gradients of all parameters, times the precision's loss scale.
    fn gradients(&self, loss: &Tensor<1>) -> GradientsParams {
        let scaled = loss.clone() * self.plan.precision.loss_scale();
        GradientsParams::from_grads(scaled.backward(), self.task())
    }

    fn device_seed(&self, batch: usize) -> u64 {
        let epoch = self.snapshot.epoch as u64;
        stream(self.plan.seed, Purpose::Device, epoch, batch as u64).next_u64()
    }

    /// Reads the loss of a batch that went into a step.
    fn read(&mut self, unread: Option<Unread>) -> Result<()> {
        let Some(Unread { loss, step, ends_step, norm }) = unread else { return Ok(()) };
        let is_logged = ends_step && self.logs(step);
        let norm = norm.filter(|norm| is_logged && norm.dtype() == loss.dtype());
        // One read, whether or not there is a norm: each waits for the device.
        let numbers = match norm {
            Some(norm) => Tensor::cat(vec![loss, norm], 0),
            None => loss,
        };
        let numbers = numbers.try_into_data().map_err(Error::device)?;
        let mut numbers = numbers.iter::<f32>();
        let (loss, norm) = (numbers.next().unwrap_or(f32::NAN), numbers.next());
        self.record(loss, norm, step, ends_step)
    }

    /// Records the loss of a batch that went into the step `step`, and with the last one of a step the
    /// norm of its gradients, where that is to be logged.
    fn record(&mut self, loss: f32, norm: Option<f32>, step: usize, ends_step: bool) -> Result<()> {
        if !loss.is_finite() {
            return Err(self.diverged(loss, step));
        }
        self.snapshot.running.add(loss, 1);
        self.step_loss.add(loss, 1);
        let lr = self.schedule.at(self.scheduled(step));
        if ends_step {
            self.stepped = self.snapshot.running;
            let loss = std::mem::take(&mut self.step_loss).mean() as f32;
            if self.logs(step) {
                self.log_step(step, loss, lr, norm);
            }
        }
        self.reporter.step(self.batch_size, self.snapshot.epoch + 1, Some(loss), lr);
        Ok(())
    }

    fn diverged(&self, loss: f32, step: usize) -> Error {
        self.reporter.finish();
        let epoch = self.snapshot.epoch + 1;
        Error::Diverged { loss, step, epoch, saved: self.saved.clone() }
    }

    /// The step of the schedule for the run's step `step`. The two differ only in a run of whole
    /// epochs that was resumed on other images.
    fn scheduled(&self, step: usize) -> usize {
        match self.length {
            Length::Epochs(_) => step.saturating_add_signed(-self.snapshot.offset as isize),
            Length::Steps(_) => step,
        }
    }

    /// Moves the weights by the mean of the gradients of `count` batches, then lets the task move
    /// what no gradient moves. Returns the norm of that mean where it had to be known.
    fn step(
        &mut self,
        gradients: GradientsParams,
        count: usize,
        observed: Vec<T::Observed>,
    ) -> Option<Tensor<1>> {
        let recipe = &self.plan.recipe;
        let mean = 1.0 / (count as f64 * self.plan.precision.loss_scale());
        let (gradients, norm) =
            gradients::scale_and_clip(self.task(), gradients, mean, recipe.clip_norm);
        let unreached =
            self.task.as_ref().and_then(|task| self.parameters.first_step(task, &gradients));
        if let Some(unreached) = unreached {
            if let Some(warning) = unreached_warning(&unreached) {
                self.reporter.note(&format!("warning: {warning}"));
            }
            self.snapshot.unreached.get_or_insert(unreached);
        }
        let scheduled = self.scheduled(self.snapshot.step);
        let lr = self.rates.at(self.schedule.at(scheduled));
        let steps = self.length.steps(self.steps_per_epoch());
        let optimizer = &mut self.optimizer;
        let end = StepEnd { progress: (scheduled + 1) as f64 / steps as f64, observed };
        let stepped = self.task.take().map(|task| optimizer.step(lr, task, gradients));
        self.task = stepped.map(|task| task.after_step(end));
        if let (Some(average), Some(decay)) = (self.average.take(), recipe.ema) {
            self.average = Some(follow(average, self.task(), decay));
        }
        self.snapshot.step += 1;
        norm
    }
}

/// The loss of a batch, computed in `precision`.
fn loss_of<T: PretextTask>(
    task: &T,
    batch: T::Batch,
    precision: super::Precision,
) -> Result<TaskOutput<T::Observed>> {
    let output = match precision.dtype() {
        None => task.loss(batch),
        Some(dtype) => task.loss_in(batch, dtype)?,
    };
    check_scalar("loss", &output.loss)?;
    Ok(output)
}
