//! When a run saves checkpoints.

use std::time::Duration;

use crate::error::{Result, ensure};

/// When a run saves checkpoints, beside its start, its end, and where it is asked to stop. Whichever of
/// the three comes first is a reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saves {
    /// After every so many epochs, at least 1. Default: 1
    pub epochs: usize,
    /// After every so many steps; 0 for none. Default: 0
    pub steps: usize,
    /// After the first step that ends so many minutes after the last checkpoint; 0 for none. Default: 0
    pub minutes: f64,
}

impl Default for Saves {
    fn default() -> Self {
        Self { epochs: 1, steps: 0, minutes: 0.0 }
    }
}

impl Saves {
    /// Checks the rules that the numbers must keep.
    ///
    /// # Errors
    ///
    /// When there is no epoch, or the minutes are below 0 or not finite.
    pub fn validate(&self) -> Result<()> {
        ensure!(self.epochs > 0, "a run saves after at least every so many epochs, got 0");
        ensure!(
            self.minutes.is_finite() && self.minutes >= 0.0,
            "the minutes between two checkpoints must be a finite number of at least 0, got {}",
            self.minutes
        );
        Ok(())
    }

    /// Whether a checkpoint is due when `epoch` epochs are done.
    pub(super) fn after_epoch(&self, epoch: usize) -> bool {
        epoch.is_multiple_of(self.epochs)
    }

    /// Whether one is due when `step` steps are done.
    pub(super) fn after_step(&self, step: usize) -> bool {
        self.steps > 0 && step.is_multiple_of(self.steps)
    }

    /// Whether one is due so long after the last one.
    pub(super) fn after(&self, passed: Duration) -> bool {
        self.minutes > 0.0 && passed.as_secs_f64() >= 60.0 * self.minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_due_first_is_a_reason_to_save() {
        let saves = Saves { epochs: 3, steps: 10, minutes: 0.5 };
        saves.validate().unwrap();
        assert_eq!([2, 3, 6].map(|epoch| saves.after_epoch(epoch)), [false, true, true]);
        assert_eq!([9, 10, 20].map(|step| saves.after_step(step)), [false, true, true]);
        assert_eq!(
            [29, 30].map(|seconds| saves.after(Duration::from_secs(seconds))),
            [false, true]
        );
        let default = Saves::default();
        assert!(default.after_epoch(1) && !default.after_step(10));
        assert!(!default.after(Duration::from_secs(1 << 40)));
    }

    #[test]
    fn numbers_that_say_nothing_are_refused() {
        for saves in [
            Saves { epochs: 0, ..Saves::default() },
            Saves { minutes: -1.0, ..Saves::default() },
            Saves { minutes: f64::NAN, ..Saves::default() },
        ] {
            assert!(saves.validate().is_err(), "{saves:?}");
        }
    }
}
