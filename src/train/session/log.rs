//! What a run writes into its log.

use std::time::Instant;

use super::Session;
use crate::task::PretextTask;
use crate::train::memory::resident_memory;
use crate::train::run_folder::LogLine;

/// The images since a moment.
#[derive(Debug)]
pub(super) struct Meter {
    images: usize,
    since: Instant,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { images: 0, since: Instant::now() }
    }

    pub(super) fn add(&mut self, images: usize) {
        self.images += images;
    }

    /// Images per second; the meter begins anew.
    fn take(&mut self) -> f64 {
        let Self { images, since } = std::mem::replace(self, Self::new());
        images as f64 / since.elapsed().as_secs_f64().max(1e-9)
    }
}

impl<T: PretextTask> Session<'_, T> {
    /// Whether the log has a line for the run's step `step`, counted from 0: every so many steps,
    /// and for the first.
    pub(super) fn logs(&self, step: usize) -> bool {
        let every = self.plan.log_every;
        let due = |every| step == 0 || (step + 1).is_multiple_of(every);
        self.log.is_some() && every > 0 && due(every)
    }

    /// Writes the line of the run's step `step`, counted from 0.
    pub(super) fn log_step(&mut self, step: usize, loss: f32, rate: f64, norm: Option<f32>) {
        let images_per_second = self.meter.take();
        self.write_log(LogLine::Step {
            step: step + 1,
            epoch: self.snapshot.epoch + 1,
            loss,
            rate,
            gradient_norm: norm.filter(|norm| norm.is_finite()),
            images_per_second,
            seconds: self.seconds(),
            memory: resident_memory(),
        });
    }

    /// Writes the line of the epoch that has just been validated.
    pub(super) fn log_epoch(&mut self) {
        let Some(last) = self.snapshot.history.last().cloned() else { return };
        self.write_log(LogLine::Epoch {
            epoch: last.epoch,
            step: self.snapshot.step,
            train_loss: last.train_loss,
            valid_loss: last.valid_loss,
            metrics: last.valid_metrics,
            rate: last.learning_rate,
            images_per_second: last.images_per_second,
            seconds: self.seconds(),
            memory: resident_memory(),
        });
    }

    /// A line that cannot be written ends the log, and not the run: a full disk is the fault of the
    /// next checkpoint.
    fn write_log(&mut self, line: LogLine) {
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.write(&line) {
            self.reporter.note(&format!("warning: the log ends here: {error}"));
            self.log = None;
        }
    }

    /// Wall time since the run began, that of earlier processes included.
    fn seconds(&self) -> f64 {
        let history = &self.snapshot.history.epochs;
        let whole = history.iter().filter(|epoch| epoch.epoch <= self.snapshot.epoch);
        let before: f64 = whole.map(|epoch| epoch.seconds).sum();
        before + self.snapshot.spent.seconds + self.clock.elapsed().as_secs_f64()
    }
}
