//! What a run measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One epoch's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training batches, while the weights moved.
    pub train_loss: f64,
    /// Mean loss over the validation samples, at the epoch's end.
    pub valid_loss: f64,
    /// Means over the validation samples of what else the task reports, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub valid_metrics: BTreeMap<String, f64>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training speed, validation not counted.
    pub images_per_second: f64,
    /// Wall time of training and validation.
    pub seconds: f64,
}

/// All epochs so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The loss of the best prediction that does not look at the images, on validation batches.
    pub trivial_loss: Option<f64>,
    /// In order.
    pub epochs: Vec<EpochMetrics>,
}

impl History {
    /// The epoch with the smallest validation loss, the first of equals.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss))
    }

    /// The last epoch.
    pub fn last(&self) -> Option<&EpochMetrics> {
        self.epochs.last()
    }
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

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_weighs_batches_by_their_size() {
        let mut mean = RunningMean::default();
        mean.add(1.0, 3);
        mean.add(5.0, 1);
        assert_eq!(mean.mean(), 2.0);
    }
}
