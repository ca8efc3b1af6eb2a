//! A run under way: steps, epochs, validation and checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand::Rng;
use serde_json::{Value, json};

use super::history::{RunningMean, first_few};
use super::layer_rates::LayerRates;
use super::progress::Reporter;
use super::run_folder::{restore_optimizer, restore_weights};
use super::{EpochMetrics, History, Pretraining, Schedule, Snapshot, adamw, ema, gradients};
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};
use crate::task::{PretextTask, StepEnd, TaskOutput};

/// Validation batches the trivial predictor is measured on.
const TRIVIAL_BATCHES: usize = 8;

/// A run under way.
pub(super) struct Session<'a, T> {
    plan: &'a Pretraining,
    device: Device,
    schedule: Schedule,
    /// Always there, but while the optimizer holds it: it updates a tensor in place only if
    /// nobody else refers to it.
    task: Option<T>,
    pub(super) average: Option<T>,
    optimizer: ModuleOptimizer,
    rates: LayerRates,
    pub(super) snapshot: Snapshot,
    saved: PathBuf,
    best_step: Option<usize>,
    pub(super) reporter: Reporter,
    batch_size: usize,
    batches: usize,
}

impl<'a, T: PretextTask> Session<'a, T> {
    pub(super) fn start<C: Collate>(
        plan: &'a Pretraining,
        task: T,
        train: &Loader<C>,
    ) -> Result<Self> {
        let (batch_size, batches) = (train.batch_size(), train.batches());
        let Some(device) = task.devices().into_iter().next().filter(Device::is_autodiff) else {
            return Err(Error::config(
                "a task to be trained needs parameters on an autodiff device: build it with \
                 Weights::new(seed, &device.autodiff())",
            ));
        };
        plan.precision.check(&device)?;
        let fingerprint = json!({
            "recipe": plan.recipe, "seed": plan.seed, "config": plan.config,
            "precision": plan.precision, "batch_size": batch_size, "batches": batches,
        });
        let recipe = &plan.recipe;
        let steps_per_epoch = batches.div_ceil(recipe.accumulation);
        let (history, running) = (History::default(), RunningMean::default());
        let mut run = Self {
            plan,
            schedule: Schedule::new(recipe, batch_size, steps_per_epoch),
            average: recipe.ema.map(|_| task.valid()),
            optimizer: adamw(&task, recipe),
            rates: LayerRates::new(&task, recipe.layer_decay),
            task: Some(task),
            device,
            snapshot: Snapshot { fingerprint, epoch: 0, batch: 0, step: 0, history, running },
            saved: PathBuf::new(),
            best_step: None,
            reporter: Reporter::new(plan.progress, 0, 0),
            batch_size,
            batches,
        };
        match plan.folder.latest()?.filter(|_| plan.resume) {
            Some(checkpoint) => run = run.resumed(&checkpoint)?,
            None => {
                if let Some(aside) = plan.folder.set_aside()? {
                    run.reporter.note(&format!(
                        "the folder holds another run: its checkpoints are now in {}",
                        aside.display()
                    ));
                }
                run.save()?;
            }
        }
        plan.folder.write_json("config.json", &plan.config)?;
        let epoch = batches * batch_size;
        let done = run.snapshot.epoch * epoch + run.snapshot.batch * batch_size;
        run.reporter = Reporter::new(plan.progress, recipe.epochs * epoch, done);
        Ok(run)
    }

    pub(super) fn task(&self) -> &T {
        self.task.as_ref().expect("the task is there between steps")
    }

    fn resumed(mut self, checkpoint: &Path) -> Result<Self> {
        let snapshot = Snapshot::load(checkpoint)?;
        snapshot.check(&self.snapshot.fingerprint, checkpoint)?;
        let task = self.task.take().expect("the task is there between steps");
        let (task, average) = restore_weights(checkpoint, task, self.average)?;
        // The restored parameters have the ids they were saved with: group those.
        self.optimizer = restore_optimizer(checkpoint, adamw(&task, &self.plan.recipe))?;
        self.rates = LayerRates::new(&task, self.plan.recipe.layer_decay);
        (self.task, self.average) = (Some(task), average);
        let steps_per_epoch = self.batches.div_ceil(self.plan.recipe.accumulation);
        self.best_step = snapshot.history.best().map(|best| best.epoch * steps_per_epoch);
        self.snapshot = snapshot;
        self.saved = checkpoint.to_path_buf();
        Ok(self)
    }

    /// Says what is about to happen, and what a loss must be compared with.
    pub(super) fn introduce<C: Collate<Batch = T::Batch>>(
        &mut self,
        valid: &Loader<C>,
    ) -> Result<()> {
        let Pretraining { recipe, .. } = self.plan;
        let (batch_size, batches) = (self.batch_size, self.batches);
        self.reporter.note(&format!(
            "{:.2} M parameters, {batches} batches of {batch_size} an epoch, {} epochs",
            Module::num_params(self.task()) as f64 / 1e6,
            recipe.epochs,
        ));
        self.reporter.note(&format!(
            "effective batch {}, peak learning rate {:.2e} (base {:.2e} × {}/{})",
            recipe.effective_batch(batch_size),
            recipe.base_lr * recipe.lr_scale(batch_size),
            recipe.base_lr,
            recipe.effective_batch(batch_size),
            recipe.lr_batch,
        ));
        for warning in recipe.warnings(batch_size, batches) {
            self.reporter.note(&format!("warning: {warning}"));
        }
        if self.snapshot.step > 0 {
            self.reporter.note(&format!("resumed from {}", self.saved.display()));
        }
        if self.snapshot.history.trivial_loss.is_none() {
            self.snapshot.history.trivial_loss = self.trivial_loss(valid)?;
        }
        if let Some(loss) = self.snapshot.history.trivial_loss {
            self.reporter.note(&format!(
                "a predictor that does not look at the images has a loss of {loss:.4}"
            ));
        }
        Ok(())
    }

    fn trivial_loss<C>(&self, valid: &Loader<C>) -> Result<Option<f64>>
    where
        C: Collate<Batch = T::Batch>,
    {
        let task = self.task().valid();
        let mut mean = RunningMean::default();
        for batch in valid.epoch(0, 0).take(TRIVIAL_BATCHES) {
            let Some(loss) = task.trivial_loss(&batch?) else { return Ok(None) };
            mean.add(loss.into_scalar(), 1);
        }
        Ok(Some(mean.mean()))
    }

    /// Trains on the rest of the epoch under way, or until somebody asks to stop; returns how many
    /// images it was.
    pub(super) fn epoch<C: Collate<Batch = T::Batch>>(
        &mut self,
        train: &Loader<C>,
    ) -> Result<usize> {
        let mut accumulator = GradientsAccumulator::new();
        let mut accumulated = 0;
        let mut observed = Vec::new();
        let mut unread = None;
        let mut images = 0;
        let mut batches = train.epoch(self.snapshot.epoch as u64, self.snapshot.batch);
        while let Some(batch) = batches.next() {
            // Every batch has its own stream, so a resumed run drops the same paths.
            self.device.seed(self.device_seed(batches.position()));
            let TaskOutput { loss, observed: seen, .. } = self.forward(batch?)?;
            images += batches.samples();
            observed.extend(seen);
            accumulator.accumulate(self.task(), self.gradients(&loss));
            accumulated += 1;
            // The loss before this one is ready by now: reading it does not make the device wait.
            self.read(unread.replace((self.snapshot.step, loss.without_autodiff())))?;
            let last = batches.position() == self.batches;
            if accumulated == self.plan.recipe.accumulation || last {
                self.step(accumulator.grads(), accumulated, std::mem::take(&mut observed));
                accumulated = 0;
                self.snapshot.batch = batches.position();
                if self.plan.interrupt.is_requested() {
                    break;
                }
            }
        }
        self.read(unread)?;
        self.leave_out(train);
        Ok(images)
    }

    /// The loss of a batch, computed in the plan's precision.
    fn forward(&self, batch: T::Batch) -> Result<TaskOutput> {
        match self.plan.precision.dtype() {
            None => Ok(self.task().loss(batch)),
            Some(dtype) => self.task().loss_in(batch, dtype),
        }
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
    fn read(&mut self, unread: Option<(usize, Tensor<1>)>) -> Result<()> {
        let Some((step, loss)) = unread else { return Ok(()) };
        let loss = loss.into_scalar::<f32>();
        if !loss.is_finite() {
            return Err(self.diverged(loss, step));
        }
        self.snapshot.running.add(loss, 1);
        let lr = self.schedule.at(step);
        self.reporter.step(self.batch_size, self.snapshot.epoch + 1, Some(loss), lr);
        Ok(())
    }

    fn diverged(&self, loss: f32, step: usize) -> Error {
        self.reporter.finish();
        let epoch = self.snapshot.epoch + 1;
        Error::Diverged { loss, step, epoch, saved: self.saved.clone() }
    }

    /// Moves the weights by the mean of `count` batches' gradients, each scaled as the losses were,
    /// then what moves without them.
    fn step(&mut self, gradients: GradientsParams, count: usize, observed: Vec<Tensor<2>>) {
        let recipe = &self.plan.recipe;
        let mean = 1.0 / (count as f64 * self.plan.precision.loss_scale());
        let gradients = gradients::scale_and_clip(self.task(), gradients, mean, recipe.clip_norm);
        let lr = self.rates.at(self.schedule.at(self.snapshot.step));
        let optimizer = &mut self.optimizer;
        let steps = self.batches.div_ceil(recipe.accumulation) * recipe.epochs;
        let end = StepEnd { progress: (self.snapshot.step + 1) as f64 / steps as f64, observed };
        let stepped = self.task.take().map(|task| optimizer.step(lr, task, gradients));
        self.task = stepped.map(|task| task.after_step(end));
        if let (Some(average), Some(decay)) = (self.average.take(), recipe.ema) {
            self.average = Some(ema::updated(average, self.task(), decay));
        }
        self.snapshot.step += 1;
    }

    pub(super) fn finish_epoch<C: Collate<Batch = T::Batch>>(
        &mut self,
        valid: &Loader<C>,
        started: Instant,
        images: usize,
        probe: &mut impl FnMut(&T, usize) -> Result<BTreeMap<String, f64>>,
    ) -> Result<()> {
        let train_seconds = started.elapsed().as_secs_f64();
        let (epoch, task) = (self.snapshot.epoch + 1, self.validated());
        let (valid_loss, mut valid_metrics) = self.validate(&task, valid)?;
        self.leave_out(valid);
        valid_metrics.extend(probe(&task, epoch)?);
        let metrics = EpochMetrics {
            epoch,
            train_loss: std::mem::take(&mut self.snapshot.running).mean(),
            valid_loss,
            valid_metrics,
            learning_rate: self.schedule.at(self.snapshot.step - 1),
            images_per_second: images as f64 / train_seconds,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.reporter.epoch(&metrics, self.plan.recipe.epochs);
        self.snapshot.history.epochs.push(metrics);
        self.snapshot.epoch += 1;
        self.snapshot.batch = 0;
        let history = &self.snapshot.history;
        if history.best() == history.last() {
            self.best_step = Some(self.snapshot.step);
        }
        self.plan.folder.write_json("metrics.json", &self.metrics())
    }

    /// Notes which images `loader` has left out.
    fn leave_out<C: Collate>(&mut self, loader: &Loader<C>) {
        if let Some(note) = self.snapshot.history.leave_out(loader.skipped()) {
            self.reporter.note(&note);
        }
    }

    /// The task as it is validated.
    pub(super) fn validated(&self) -> T {
        self.average.clone().unwrap_or_else(|| self.task().valid())
    }

    /// The mean loss of the validation samples, and the means of what else the task reports.
    fn validate<C: Collate<Batch = T::Batch>>(
        &self,
        task: &T,
        valid: &Loader<C>,
    ) -> Result<(f64, BTreeMap<String, f64>)> {
        let mut mean = RunningMean::default();
        let mut metrics = BTreeMap::<_, RunningMean>::new();
        let mut batches = valid.epoch(0, 0);
        while let Some(batch) = batches.next() {
            let output = task.loss(batch?);
            let count = batches.samples();
            let loss: f32 = output.loss.into_scalar();
            if !loss.is_finite() {
                return Err(self.diverged(loss, self.snapshot.step));
            }
            mean.add(loss, count);
            for (name, value) in output.metrics {
                metrics.entry(name.to_string()).or_default().add(value.into_scalar(), count);
            }
        }
        let metrics = metrics.into_iter().map(|(name, mean)| (name, mean.mean())).collect();
        Ok((mean.mean(), metrics))
    }

    fn metrics(&self) -> Value {
        let History { trivial_loss, epochs, skipped } = &self.snapshot.history;
        let seconds: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
        let images = epochs.len() * self.batches * self.batch_size;
        let train_seconds: f64 = epochs
            .iter()
            .map(|epoch| (self.batches * self.batch_size) as f64 / epoch.images_per_second)
            .sum();
        json!({
            "config": self.plan.config,
            "recipe": self.plan.recipe,
            "seed": self.plan.seed,
            "parameters": Module::num_params(self.task()),
            "batch_size": self.batch_size,
            "trivial_loss": trivial_loss,
            "skipped_images": { "count": skipped.len(), "first": first_few(skipped) },
            "epochs": epochs,
            "images_per_second": images as f64 / train_seconds,
            "wall_seconds": seconds,
        })
    }

    pub(super) fn save(&mut self) -> Result<()> {
        let Pretraining { folder, keep, .. } = self.plan;
        let average = self.average.as_ref();
        self.saved = folder.save(&self.snapshot, self.task(), average, &self.optimizer)?;
        folder.prune(*keep, self.best_step)
    }
}
