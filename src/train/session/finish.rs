//! The end of an epoch: validation, a checkpoint, and then the report.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Session;
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::task::{PretextTask, check_scalar};
use crate::train::collapse::Embeddings;
use crate::train::history::{RunningMean, first_few};
use crate::train::{EpochMetrics, History, Watch, weights_sha256};

/// What a validation came to.
struct Validated {
    /// The mean loss.
    loss: f64,
    /// The task's other metrics.
    metrics: BTreeMap<String, f64>,
    /// Names of embeddings.
    collapsed: Vec<String>,
}

impl<T: PretextTask> Session<'_, T> {
    /// Trains to the end of the epoch and validates, or until somebody asks to stop. The report is
    /// written while the checkpoint is. Steps that were done before a fault of the data are saved too.
    pub(super) fn advance<C: Collate<Batch = T::Batch>>(
        &mut self,
        train: &Loader<C>,
        valid: &Loader<C>,
        watch: &mut impl Watch<T>,
    ) -> Result<()> {
        let (known, batch) = (self.snapshot.history.epochs.len(), self.snapshot.batch);
        let trained = self.epoch(train).and_then(|()| {
            let ends = self.snapshot.batch == self.batches || self.has_all_steps();
            if ends { self.finish_epoch(valid, watch) } else { Ok(()) }
        });
        match trained {
            Err(Error::Diverged { loss, step, epoch, .. }) => {
                // The one that is being written is whole, unless it meets a fault.
                let _ = self.finish_saving();
                return Err(Error::Diverged { loss, step, epoch, saved: self.saved.clone() });
            }
            Err(error) => {
                self.reporter.finish();
                if self.snapshot.batch > batch {
                    // The first fault is the one to report. All processes wait until it is saved.
                    let _ = self.save().and_then(|()| self.finish_saving());
                }
                return Err(error);
            }
            Ok(()) if self.is_save_due_at_end() => self.save()?,
            Ok(()) => {}
        }
        if self.snapshot.history.epochs.len() > known {
            let plan = self.plan;
            plan.ranks.first(|| self.report(watch))?;
        }
        Ok(())
    }

    /// Writes and tells the figures of the epoch that has ended.
    fn report(&mut self, watch: &mut impl Watch<T>) -> Result<()> {
        self.write_metrics()?;
        // Somebody may have removed the folder; what is saved there again must be a whole run.
        if !self.plan.folder.path().join("config.json").exists() {
            self.plan.write_config()?;
        }
        if let Some(metrics) = self.snapshot.history.last() {
            let epochs = self.length.epochs(self.steps_per_epoch()).ceil() as usize;
            self.reporter.epoch(metrics, epochs);
            if let Some(told) = metrics.collapse() {
                self.reporter.note(&format!("warning: {told}"));
            }
        }
        watch.after_epoch(&self.validated(), &self.snapshot.history)
    }

    /// Validates at the end of an epoch, or of a run that ends within one: such a run keeps the place
    /// in the epoch, from which a longer run goes on.
    fn finish_epoch<C: Collate<Batch = T::Batch>>(
        &mut self,
        valid: &Loader<C>,
        watch: &mut impl Watch<T>,
    ) -> Result<()> {
        let (plan, epoch) = (self.plan, self.snapshot.epoch + 1);
        let measured = plan.ranks.first(|| self.measure(epoch, valid, watch))?;
        self.leave_out(valid)?;
        self.snapshot.history.epochs.push(measured);
        if self.snapshot.batch == self.batches {
            self.snapshot.begin_epoch(epoch);
        }
        let history = &self.snapshot.history;
        if history.best() == history.last() {
            self.best_step = Some(self.snapshot.step);
        }
        self.log_epoch();
        Ok(())
    }

    /// The figures of epoch `epoch`, which ends.
    fn measure<C: Collate<Batch = T::Batch>>(
        &mut self,
        epoch: usize,
        valid: &Loader<C>,
        watch: &mut impl Watch<T>,
    ) -> Result<EpochMetrics> {
        let task = self.validated();
        let Validated { loss: valid_loss, metrics: mut valid_metrics, collapsed } =
            self.validate(&task, valid)?;
        valid_metrics.extend(watch.probe(&task, epoch)?);
        self.account();
        let spent = self.snapshot.spent;
        Ok(EpochMetrics {
            epoch,
            train_loss: self.snapshot.running.mean(),
            valid_loss,
            valid_metrics,
            collapsed,
            learning_rate: self.schedule.at(self.scheduled(self.snapshot.step - 1)),
            images_per_second: spent.images as f64 / spent.training.max(1e-9),
            seconds: spent.seconds,
        })
    }

    /// The task as it is validated: on a plain device, with averaged weights if the recipe keeps
    /// them.
    pub(super) fn validated(&self) -> T {
        self.average.clone().unwrap_or_else(|| self.task().valid())
    }

    /// The means over the validation samples.
    fn validate<C: Collate<Batch = T::Batch>>(
        &self,
        task: &T,
        valid: &Loader<C>,
    ) -> Result<Validated> {
        let mut mean = RunningMean::default();
        let mut metrics = BTreeMap::<_, RunningMean>::new();
        let mut embeddings = Embeddings::default();
        let mut batches = valid.epoch(0, 0);
        while let Some(batch) = batches.next() {
            let measured = task.measure(batch?);
            check_scalar("loss", &measured.loss)?;
            let count = batches.samples();
            let loss: f32 = measured.loss.try_into_scalar().map_err(Error::device)?;
            if !loss.is_finite() {
                return Err(self.diverged(loss, self.snapshot.step));
            }
            mean.add(loss, count);
            for (name, value) in measured.metrics {
                check_scalar(name, &value)?;
                let value = value.try_into_scalar().map_err(Error::device)?;
                metrics.entry(name.to_string()).or_default().add(value, count);
            }
            embeddings.add(measured.embeddings)?;
        }
        let means = metrics.into_iter().map(|(name, mean)| (name, mean.mean()));
        let (mut metrics, collapsed) = embeddings.judge();
        metrics.extend(means);
        Ok(Validated { loss: mean.mean(), metrics, collapsed })
    }

    pub(super) fn write_metrics(&self) -> Result<()> {
        self.plan.folder.write_json("metrics.json", &self.metrics())
    }

    fn metrics(&self) -> Value {
        let History { trivial_loss, epochs, skipped } = &self.snapshot.history;
        let seconds: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
        let images = |epoch: &EpochMetrics| {
            let whole = epoch.epoch <= self.snapshot.epoch;
            let batches = if whole { self.batches } else { self.snapshot.batch };
            (batches * self.batch_size) as f64
        };
        let train_seconds: f64 =
            epochs.iter().map(|epoch| images(epoch) / epoch.images_per_second).sum();
        let images: f64 = epochs.iter().map(images).sum();
        json!({
            "config": self.plan.config,
            "recipe": self.plan.recipe,
            "budget": self.plan.settled,
            "seed": self.plan.seed,
            "parameters": self.parameters.total,
            "trained_parameters": self.parameters.trained,
            "unreached_parameters": self.snapshot.unreached,
            "weights_sha256": weights_sha256(self.task()),
            "batch_size": self.batch_size,
            "trivial_loss": trivial_loss,
            "skipped_images": { "count": skipped.len(), "first": first_few(skipped) },
            "epochs": epochs,
            "images_per_second": images / train_seconds,
            "wall_seconds": seconds,
        })
    }
}
