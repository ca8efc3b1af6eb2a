//! A run under way: steps and epochs.

mod finish;
mod log;
mod run;
mod start;
mod trial;

use std::path::PathBuf;
use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand::Rng;

use self::log::Meter;
pub use run::{Pretrained, Watch};

use super::budget::Length;
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
    _lock: FileLock,
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
    saved: PathBuf,
    resumed_from: Option<PathBuf>,
    best_step: Option<usize>,
    /// The moment up to which time is accounted for in the snapshot.
    clock: Instant,
    reporter: Reporter,
    batch_size: usize,
    batches: usize,
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
        let started = Instant::now();
        let trained = self.train(train);
        self.snapshot.spent.training += started.elapsed().as_secs_f64();
        self.leave_out(train);
        trained
    }

    fn train<C: Collate<Batch = T::Batch>>(&mut self, train: &Loader<C>) -> Result<()> {
        if self.has_all_steps() {
            return Ok(());
        }
        let mut accumulator = GradientsAccumulator::new();
        let mut accumulated = 0;
        let mut observed = Vec::new();
        let mut images = 0;
        let mut unread: Option<Unread> = None;
        (self.stepped, self.step_loss) = (self.snapshot.running, RunningMean::default());
        self.meter = Meter::new();
        let mut batches = train.epoch(self.snapshot.epoch as u64, self.snapshot.batch);
        while let Some(batch) = batches.next() {
            // Every batch has its own stream, so a resumed run drops the same paths.
            self.device.seed(self.device_seed(batches.position()));
            let output = batch.and_then(|batch| self.forward(batch));
            let TaskOutput { loss, observed: seen } = match output {
                Ok(output) => output,
                Err(error) => return self.broken_off(unread, error),
            };
            observed.push(seen);
            images += batches.samples();
            accumulator.accumulate(self.task(), self.gradients(&loss));
            accumulated += 1;
            let last = batches.position() == self.batches;
            let ends_step = accumulated == self.plan.recipe.accumulation || last;
            let loss = loss.without_autodiff();
            let new = Unread { loss, step: self.snapshot.step, ends_step, norm: None };
            // The loss before this one is ready by now: reading it does not make the device wait.
            self.read(unread.replace(new))?;
            if ends_step {
                let seen = std::mem::take(&mut observed);
                let norm = self.step(accumulator.grads(), accumulated, seen);
                unread.iter_mut().for_each(|unread| unread.norm = norm.clone());
                accumulated = 0;
                self.snapshot.spent.images += images;
                self.meter.add(std::mem::take(&mut images));
                self.snapshot.batch = batches.position();
                if self.has_all_steps() || self.plan.interrupt.is_requested() {
                    break;
                }
            }
        }
        self.read(unread)
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

    /// Records the images that `loader` has left out.
    fn leave_out<C: Collate>(&mut self, loader: &Loader<C>) {
        if let Some(note) = self.snapshot.history.leave_out(loader.skipped()) {
            self.reporter.note(&note);
        }
    }

    /// Goes back to the end of the last step: what was computed since is lost.
    fn broken_off(&mut self, unread: Option<Unread>, error: Error) -> Result<()> {
        self.read(unread.filter(|unread| unread.ends_step))?;
        self.snapshot.running = self.stepped;
        Err(error)
    }

    /// The loss of a batch, computed in the plan's precision.
    fn forward(&self, batch: T::Batch) -> Result<TaskOutput<T::Observed>> {
        loss_of(self.task(), batch, self.plan.precision)
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
        let numbers = numbers.into_data();
        let mut numbers = numbers.iter::<f32>();
        let (loss, norm) = (numbers.next().unwrap_or(f32::NAN), numbers.next());
        if !loss.is_finite() {
            return Err(self.diverged(loss, step));
        }
        self.snapshot.running.add(loss, 1);
        self.step_loss.add(loss, 1);
        let lr = self.schedule.at(self.scheduled(step));
        if ends_step {
            self.stepped = self.snapshot.running;
            let loss = std::mem::take(&mut self.step_loss).mean() as f32;
            if is_logged {
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
