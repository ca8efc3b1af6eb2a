//! How long a run is, and where that makes it end.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Recipe;
use crate::error::{Result, ensure};
use crate::limits;

/// How long a run is, in place of the epochs of its recipe. The recipe's schedule is stretched or
/// shrunk to it: the warm-up and the milestones of a decay keep their shares of the run.
///
/// In files one of `{ epochs = 12 }`, `{ steps = 5000 }` and `{ minutes = 15 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Budget {
    /// Passes over the training images.
    Epochs(usize),
    /// Steps of the optimizer. The run ends after exactly so many, within an epoch too, with a
    /// validation and a checkpoint.
    Steps(usize),
    /// About so many minutes on this machine: a few steps are timed before the start, and the run
    /// is given the number of steps that fit. That number is written to the run's files, and a
    /// resumed run keeps it.
    Minutes(f64),
}

impl Budget {
    /// Checks that the number is one that a run can have.
    ///
    /// # Errors
    ///
    /// Names the unit and the number.
    pub fn validate(&self) -> Result<()> {
        let (name, count, limit) = match *self {
            Self::Epochs(count) => ("budget.epochs", count, limits::EPOCHS),
            Self::Steps(count) => ("budget.steps", count, limits::STEPS),
            Self::Minutes(minutes) => {
                let possible = minutes > 0.0 && minutes <= limits::MINUTES;
                let most = limits::MINUTES;
                ensure!(
                    possible,
                    "budget.minutes must be above 0 and at most {most}, got {minutes:?}"
                );
                return Ok(());
            }
        };
        limits::counts(name, count, limit)
    }
}

/// Where a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Epochs(usize),
    Steps(usize),
}

impl Length {
    /// The epochs, of which the last may be a part.
    pub(super) fn epochs(self, steps_per_epoch: usize) -> f64 {
        match self {
            Self::Epochs(epochs) => epochs as f64,
            Self::Steps(steps) => steps as f64 / steps_per_epoch.max(1) as f64,
        }
    }

    pub(super) fn steps(self, steps_per_epoch: usize) -> usize {
        match self {
            Self::Epochs(epochs) => epochs.saturating_mul(steps_per_epoch),
            Self::Steps(steps) => steps,
        }
    }

    /// The batches of `accumulation` to a step, `batches` of them an epoch.
    pub(super) fn batches(self, batches: usize, accumulation: usize) -> usize {
        let steps_per_epoch = batches.div_ceil(accumulation).max(1);
        let steps = self.steps(steps_per_epoch);
        let within = (steps % steps_per_epoch * accumulation).min(batches);
        (steps / steps_per_epoch).saturating_mul(batches).saturating_add(within)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(1) => f.write_str("1 epoch"),
            Self::Epochs(epochs) => write!(f, "{epochs} epochs"),
            Self::Steps(1) => f.write_str("1 step"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
        }
    }
}

/// A budget as a run's files keep it: minutes with the steps that were found to fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Settled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epochs: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minutes: Option<f64>,
}

impl Settled {
    /// `budget`, with the `measured` number of steps of one in minutes.
    pub(super) fn new(budget: Budget, measured: Option<usize>) -> Self {
        match budget {
            Budget::Epochs(epochs) => Self { epochs: Some(epochs), ..Self::default() },
            Budget::Steps(steps) => Self { steps: Some(steps), ..Self::default() },
            Budget::Minutes(minutes) => {
                Self { steps: measured, minutes: Some(minutes), ..Self::default() }
            }
        }
    }

    /// What a fingerprint says.
    pub(super) fn of(fingerprint: &Value) -> Self {
        serde_json::from_value(fingerprint["budget"].clone()).unwrap_or_default()
    }

    /// The steps of `minutes`, at the speed that was measured when these were settled.
    pub(super) fn steps_of(&self, minutes: f64) -> Option<usize> {
        let (steps, known) = (self.steps?, self.minutes?);
        Some(if minutes == known {
            steps
        } else {
            (steps as f64 * minutes / known).round() as usize
        })
    }

    /// The budget that a repeated run needs: steps in place of minutes.
    pub(super) fn budget(&self) -> Option<Budget> {
        self.steps.map(Budget::Steps).or(self.epochs.map(Budget::Epochs))
    }

    /// Where a run with this budget ends, if it has one.
    pub(super) fn length(&self) -> Option<Length> {
        self.steps.map(Length::Steps).or(self.epochs.map(Length::Epochs))
    }
}

/// Where the run of a fingerprint ends.
pub(super) fn length_in(fingerprint: &Value) -> Option<Length> {
    let epochs = || fingerprint["recipe"]["epochs"].as_u64();
    Settled::of(fingerprint)
        .length()
        .or_else(|| epochs().map(|epochs| Length::Epochs(epochs as usize)))
}

/// The steps between two epochs of a fingerprint's run.
pub(super) fn steps_per_epoch_in(fingerprint: &Value) -> Option<usize> {
    let batches = fingerprint["batches"].as_u64()? as usize;
    let accumulation = fingerprint["recipe"]["accumulation"].as_u64().unwrap_or(1) as usize;
    Some(batches.div_ceil(accumulation.max(1)).max(1))
}

/// Where a run by `recipe` with this budget ends.
pub(super) fn length(recipe: &Recipe, budget: Option<Settled>) -> Length {
    budget.and_then(|budget| budget.length()).unwrap_or(Length::Epochs(recipe.epochs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_budget_reads_as_it_is_written_and_no_other_unit_does() {
        let budgets = [Budget::Epochs(12), Budget::Steps(5000), Budget::Minutes(15.0)];
        let texts = [json!({ "epochs": 12 }), json!({ "steps": 5000 }), json!({ "minutes": 15.0 })];
        for (budget, text) in budgets.into_iter().zip(texts) {
            assert_eq!(serde_json::to_value(budget).unwrap(), text);
            assert_eq!(from_value::<Budget>(text).unwrap(), budget);
        }
        assert_eq!(from_value::<Budget>(json!({ "minutes": 15 })).unwrap(), Budget::Minutes(15.0));
        assert!(from_value::<Budget>(json!({ "hours": 1 })).is_err());
        assert!(from_value::<Budget>(json!({ "epochs": 1, "steps": 2 })).is_err());
    }

    #[test]
    fn a_budget_of_nothing_or_beyond_reason_is_named() {
        let message = |budget: Budget| budget.validate().unwrap_err().to_string();
        assert!(message(Budget::Epochs(0)).contains("budget.epochs must be at least 1, got 0"));
        assert!(message(Budget::Steps(0)).contains("budget.steps must be at least 1, got 0"));
        assert!(message(Budget::Steps(usize::MAX)).contains("budget.steps"));
        for minutes in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(Budget::Minutes(minutes)).contains("budget.minutes must be above 0"));
        }
        Budget::Minutes(0.1).validate().unwrap();
    }

    #[test]
    fn steps_end_within_an_epoch() {
        // Seven batches an epoch, three to a step: steps of 3, 3 and 1 batches.
        assert_eq!(Length::Steps(3).batches(7, 3), 7);
        assert_eq!(Length::Steps(5).batches(7, 3), 13);
        assert_eq!(Length::Epochs(2).batches(7, 3), 14);
        assert_eq!(Length::Steps(5).epochs(3), 5.0 / 3.0);
    }

    #[test]
    fn more_minutes_go_on_at_the_speed_that_was_measured() {
        let settled = Settled::new(Budget::Minutes(15.0), Some(3000));
        assert_eq!(settled.steps_of(15.0), Some(3000));
        assert_eq!(settled.steps_of(30.0), Some(6000));
        assert_eq!(Settled::new(Budget::Steps(7), None).steps_of(15.0), None);
        let kept = serde_json::to_value(settled).unwrap();
        assert_eq!(kept, json!({ "steps": 3000, "minutes": 15.0 }));
        assert_eq!(Settled::of(&json!({ "budget": kept })), settled);
    }
}
