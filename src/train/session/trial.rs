//! A few steps on a copy, to see how long they take.

use std::time::Instant;

use super::Session;
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::task::PretextTask;
use crate::train::budget::Length;
use crate::train::parameters::Parameters;
use crate::train::timing::Pace;
use crate::train::{Pretraining, Progress};

/// Steps before those that are timed: the first ones allocate.
const WARM_UP: usize = 2;

/// The most steps, and the most validation batches, that are timed.
const MOST: usize = 20;

impl Pretraining {
    /// Times a few steps and validation batches, for about `seconds` but at least one of each, after
    /// a warm-up. They are done on a copy of `task`, and leave no trace in it nor in the run's files.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`] when the steps cannot be done, and
    /// [`Error::Interrupted`](crate::Error::Interrupted) when somebody asked to stop.
    pub fn pace<T, C>(
        &self,
        task: &T,
        train: &Loader<C>,
        valid: &Loader<C>,
        seconds: f64,
    ) -> Result<Pace>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.recipe.validate()?;
        let device = Session::check(self, task)?;
        Parameters::of(task).check()?;
        let plan = Self { progress: Progress::Silent, ..self.clone() };
        let (batch_size, batches) = (train.batch_size(), train.batches());
        let trial = Session::fresh(&plan, task.clone(), device, batch_size, batches);
        let mut trial = self.ranks.together(trial)?;
        self.ranks.check(self.recipe.accumulation, batch_size)?;
        trial.go_on(WARM_UP, train)?;
        let one = trial.go_on(1, train)?;
        let many = self.ranks.first(|| Ok(fitting(seconds / 2.0, one)))?;
        let step = trial.go_on(many, train)? / many as f64;
        let batch = self.ranks.first(|| {
            let one = trial.try_validation(1, valid)?;
            let many = fitting(seconds / 4.0, one).min(valid.batches());
            Ok(trial.try_validation(many, valid)? / many as f64)
        })?;
        Ok(Pace { step, validation: batch * valid.batches() as f64 })
    }
}

/// How many that take `one` second each fit into `seconds`.
fn fitting(seconds: f64, one: f64) -> usize {
    ((seconds / one.max(1e-9)) as usize).clamp(1, MOST)
}

impl<T: PretextTask> Session<'_, T> {
    /// Does `steps` more steps, over the ends of epochs without validation; returns the seconds.
    fn go_on<C: Collate<Batch = T::Batch>>(
        &mut self,
        steps: usize,
        train: &Loader<C>,
    ) -> Result<f64> {
        let started = Instant::now();
        self.length = Length::Steps(self.snapshot.step + steps);
        while !self.has_all_steps() {
            if self.is_asked_to_stop() {
                return Err(Error::Interrupted);
            }
            if self.snapshot.batch == self.batches {
                self.snapshot.begin_epoch(self.snapshot.epoch + 1);
            }
            self.train(train)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Measures the task on the first `count` batches of `valid`; returns the seconds.
    fn try_validation<C: Collate<Batch = T::Batch>>(
        &self,
        count: usize,
        valid: &Loader<C>,
    ) -> Result<f64> {
        let (started, task) = (Instant::now(), self.validated());
        for batch in valid.epoch(0, 0).take(count) {
            let _: f32 = task.measure(batch?).loss.try_into_scalar().map_err(Error::device)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }
}
