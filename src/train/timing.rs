//! How long the steps of a run take, measured before it starts.

use super::budget::Settled;
use super::{Budget, Pretraining, Snapshot};
use crate::data::{Collate, Loader};
use crate::error::Result;
use crate::task::PretextTask;

/// The seconds that the parts of a run take on this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Pace {
    /// One step of the optimizer, with the wait for its batches.
    pub step: f64,
    /// One validation.
    pub validation: f64,
}

impl Pace {
    /// The seconds of `steps` steps with the validations between and after them.
    pub fn seconds(&self, steps: usize, steps_per_epoch: usize) -> f64 {
        let validations = steps.div_ceil(steps_per_epoch.max(1));
        steps as f64 * self.step + validations as f64 * self.validation
    }

    /// The largest number of steps that take at most `seconds`, at least 1.
    pub fn steps_in(&self, seconds: f64, steps_per_epoch: usize) -> usize {
        let each = self.step + self.validation / steps_per_epoch.max(1) as f64;
        // The last epoch, of which there may be a part, has a validation too.
        let steps = (seconds - self.validation) / each.max(1e-9);
        (steps as usize).max(1)
    }
}

impl Pretraining {
    /// Finds how many steps a budget in minutes is worth, by timing a few on a copy of `task`, and
    /// returns the budget that the run keeps to. A run that is resumed keeps the number that was
    /// found first; at a larger budget it goes on at the speed that was measured then. Other budgets
    /// are returned as they are. [`Pretraining::run`] does this itself; call it before to know the
    /// number.
    ///
    /// # Errors
    ///
    /// When the recipe or the budget is broken, and as [`Pretraining::pace`].
    pub fn settle_budget<T, C>(
        &mut self,
        task: &T,
        train: &Loader<C>,
        valid: &Loader<C>,
    ) -> Result<Option<Budget>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        self.recipe.validate()?;
        let Some(budget) = self.budget else { return Ok(None) };
        budget.validate()?;
        let settled = match (self.settled, budget) {
            (Some(settled), _) => settled,
            (None, Budget::Minutes(minutes)) => {
                let known = self.saved()?;
                let known =
                    known.and_then(|saved| Settled::of(&saved.fingerprint).steps_of(minutes));
                let steps = match known {
                    Some(steps) => steps,
                    None => {
                        let steps = self.steps_in(minutes, task, train, valid)?;
                        self.ranks.first(|| Ok(steps))?
                    }
                };
                Settled::new(budget, Some(steps))
            }
            (None, _) => Settled::new(budget, None),
        };
        self.settled = Some(settled);
        Ok(Some(settled.budget().unwrap_or(budget)))
    }

    /// Where the checkpoint is that the run goes on from, if it does.
    fn saved(&self) -> Result<Option<Snapshot>> {
        let newest = if self.resume { self.folder.newest_whole()? } else { None };
        Ok(newest.map(|(checkpoint, _)| checkpoint.snapshot().clone()))
    }

    fn steps_in<T, C>(
        &self,
        minutes: f64,
        task: &T,
        train: &Loader<C>,
        valid: &Loader<C>,
    ) -> Result<usize>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        let started = std::time::Instant::now();
        let seconds = minutes * 60.0;
        let pace = self.pace(task, train, valid, seconds / 30.0)?;
        let left = seconds - started.elapsed().as_secs_f64();
        let steps = pace.steps_in(left, train.batches().div_ceil(self.recipe.accumulation));
        self.own_progress().note(&format!(
            "{minutes} minutes are worth {steps} steps: a step takes {:.3} s, a validation {:.1} s",
            pace.step, pace.validation
        ));
        Ok(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_as_fit_with_their_validations() {
        let pace = Pace { step: 2.0, validation: 10.0 };
        // Ten steps and a validation an epoch are 30 seconds.
        assert_eq!(pace.seconds(10, 10), 30.0);
        assert_eq!(pace.seconds(11, 10), 42.0);
        for seconds in [12.0, 30.0, 42.0, 95.0, 600.0] {
            let steps = pace.steps_in(seconds, 10);
            assert!(pace.seconds(steps, 10) <= seconds, "{steps} in {seconds}");
            // The rule is cautious by at most the steps that one more validation takes.
            assert!(pace.seconds(steps + 6, 10) > seconds, "{steps} in {seconds}");
        }
        assert_eq!(pace.steps_in(0.5, 10), 1);
    }
}
