//! A line of `log.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A line of a run's `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogLine {
    /// A step of the optimizer.
    #[non_exhaustive]
    Step {
        /// Steps done, this one included.
        step: usize,
        /// The epoch it belongs to, counted from 1.
        epoch: usize,
        /// The mean loss of the step's batches.
        loss: f32,
        /// The learning rate.
        rate: f64,
        /// The norm of all gradients together before they were clipped; `null` in a run that does
        /// not clip them, which need not know it.
        gradient_norm: Option<f32>,
        /// Training speed since the line before, or since the epoch began.
        images_per_second: f64,
        /// Wall time since the run began, that of earlier processes included.
        seconds: f64,
        /// The main memory that the process takes up, in bytes; `null` where the system does not
        /// tell.
        memory: Option<u64>,
    },
    /// The end of an epoch, or of a run that ends within one.
    #[non_exhaustive]
    Epoch {
        /// Counted from 1.
        epoch: usize,
        /// Steps done.
        step: usize,
        /// Mean loss over the epoch's training batches.
        train_loss: f64,
        /// Mean loss over the validation samples.
        valid_loss: f64,
        /// The task's other metrics on the validation samples, and those of probes.
        metrics: BTreeMap<String, f64>,
        /// Learning rate of the epoch's last step.
        rate: f64,
        /// Training speed of the epoch.
        images_per_second: f64,
        /// As in a step's line.
        seconds: f64,
        /// As in a step's line.
        memory: Option<u64>,
    },
}
