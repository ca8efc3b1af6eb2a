//! The losses and speeds that a run measured.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::collapse;

/// The figures of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training batches, while the weights moved.
    pub train_loss: f64,
    /// Mean loss over the validation samples, at the epoch's end.
    pub valid_loss: f64,
    /// The task's other metrics by name, each a mean over the validation samples.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub valid_metrics: BTreeMap<String, f64>,
    /// Of the task's [embeddings](crate::Measured::embeddings) those that have collapsed, by name:
    /// nearly the same for all validation samples, with a spread below 0.05.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collapsed: Vec<String>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training speed, validation not counted.
    pub images_per_second: f64,
    /// Wall time of training and validation.
    pub seconds: f64,
}

impl EpochMetrics {
    /// What to tell of a collapse, with its spreads; `None` where there is none.
    pub fn collapse(&self) -> Option<String> {
        collapse::told(&self.collapsed, &self.valid_metrics)
    }
}

/// All epochs so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The loss of the best prediction that does not look at the images, on validation batches.
    pub trivial_loss: Option<f64>,
    /// The finished epochs, in order.
    pub epochs: Vec<EpochMetrics>,
    /// The error messages of the images that were left out so far, in a data set that allows
    /// leaving images out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<String>,
}

impl History {
    /// The epoch with the smallest validation loss; the earliest one if several are equal.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss))
    }

    /// Adds the error messages of images that were left out. Returns a note if there are new ones.
    pub(super) fn leave_out(&mut self, faults: Vec<String>) -> Option<String> {
        let before = self.skipped.len();
        self.skipped.extend(faults);
        let (count, first) = (self.skipped.len(), self.skipped.first()?);
        (count > before)
            .then(|| format!("{count} images cannot be read and were left out, among them {first}"))
    }

    /// The last epoch.
    pub fn last(&self) -> Option<&EpochMetrics> {
        self.epochs.last()
    }
}

/// The first error messages, at most 20.
pub(super) fn first_few(faults: &BTreeSet<String>) -> Vec<&String> {
    faults.iter().take(20).collect()
}

/// A mean that grows by one batch at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunningMean {
    sum: f64,
    count: usize,
}

impl RunningMean {
    pub(super) fn add(&mut self, mean: f32, count: usize) {
        self.sum += f64::from(mean) * count as f64;
        self.count += count;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Keeps the mean, and reduces its number of values to at most `count`.
    pub(super) fn limit(&mut self, count: usize) {
        if self.count > count {
            *self = Self { sum: self.mean() * count as f64, count };
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_are_left_out_are_told_once() {
        let mut history = History::default();
        assert_eq!(history.leave_out(vec![]), None);
        let note = history.leave_out(vec!["b: is cut".into(), "a: is cut".into()]).unwrap();
        assert_eq!(note, "2 images cannot be read and were left out, among them a: is cut");
        assert_eq!(history.leave_out(vec!["a: is cut".into()]), None);
        assert_eq!(first_few(&history.skipped).len(), 2);
    }

    #[test]
    fn a_mean_weighs_batches_by_their_size() {
        let mut mean = RunningMean::default();
        mean.add(1.0, 3);
        mean.add(5.0, 1);
        assert_eq!(mean.mean(), 2.0);
    }
}
