//! Where in a run a checkpoint was taken.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::STATE;
use crate::error::{Error, Result};
use crate::file::read_json;
use crate::train::budget::{Length, length_in};
use crate::train::history::{History, RunningMean};

/// Where in a run a checkpoint was taken, and what the run had measured by then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What must be the same for a resumed run to equal an uninterrupted one: configuration,
    /// recipe, images, seed, precision, batch size and batches per epoch.
    pub fingerprint: Value,
    /// Finished epochs.
    pub epoch: usize,
    /// Finished batches of the epoch under way.
    pub batch: usize,
    /// Finished optimizer steps.
    pub step: usize,
    /// Finished epochs' figures.
    pub history: History,
    pub(in crate::train) running: RunningMean,
    /// The losses of the epoch under way.
    #[serde(default)]
    pub(in crate::train) spent: Spent,
    /// How many more steps the run has done than its epochs have now. It is not 0 only in a run
    /// that was resumed on other images than it began with.
    #[serde(default)]
    pub(in crate::train) offset: i64,
    /// The parameters that the run's first step did not reach; `None` before it, and of runs that began
    /// before this was known.
    #[serde(default)]
    pub(in crate::train) unreached: Option<Vec<String>>,
    /// Whether the checkpoint was written with checksums beside it.
    #[serde(default)]
    pub(in crate::train) checksums: bool,
}

/// The time and the images that an epoch has taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct Spent {
    /// Wall time.
    pub seconds: f64,
    /// Wall time of training alone.
    pub training: f64,
    /// Images trained on.
    pub images: usize,
}

impl Snapshot {
    /// Reads the state in the folder of one checkpoint.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its numbers contradict each other.
    pub fn load(checkpoint: &Path) -> Result<Self> {
        let path = checkpoint.join(STATE);
        let read: Self = read_json(&path)?;
        match read.contradiction() {
            Some(fault) => Err(Error::checkpoint(&path, format!("is damaged: {fault}"))),
            None => Ok(read),
        }
    }

    /// The number of optimizer steps that the epochs and batches so far take with the run's present
    /// steps per epoch.
    pub(in crate::train) fn place(&self, steps_per_epoch: usize, accumulation: usize) -> usize {
        self.epoch * steps_per_epoch + self.batch.div_ceil(accumulation)
    }

    /// Whether it is the end of a run that ended within an epoch: the history has that epoch too.
    pub(in crate::train) fn ends_within_an_epoch(&self) -> bool {
        self.batch > 0 && self.history.epochs.len() > self.epoch
    }

    /// Whether it was taken right after a validation.
    pub(in crate::train) fn is_validated(&self) -> bool {
        self.batch == 0 || self.ends_within_an_epoch()
    }

    /// Goes on to the next epoch, after `finished` epochs.
    pub(in crate::train) fn begin_epoch(&mut self, finished: usize) {
        (self.epoch, self.batch) = (finished, 0);
        (self.running, self.spent) = Default::default();
    }

    /// Names the first number that contradicts the others, if any does.
    fn contradiction(&self) -> Option<String> {
        let Self { epoch, batch, step, history, running, offset, .. } = self;
        let number = |field: &Value| field.as_u64().map(u128::from);
        let recipe = &self.fingerprint["recipe"];
        let batches = number(&self.fingerprint["batches"]);
        let accumulation = number(&recipe["accumulation"]).filter(|&count| count > 0);
        let (Some(batches), Some(accumulation)) = (batches, accumulation) else {
            return Some("it does not say how many batches an epoch has".into());
        };
        match length_in(&self.fingerprint) {
            Some(Length::Epochs(epochs)) if *epoch <= epochs => {}
            Some(Length::Steps(steps)) if *step <= steps => {}
            Some(Length::Steps(_)) => return Some(format!("step {step} is past the run's last")),
            _ => return Some(format!("epoch {epoch} is past the run's last")),
        }
        if *batch as u128 > batches {
            return Some(format!("batch {batch} is past the epoch's {batches}"));
        }
        let steps = *epoch as u128 * batches.div_ceil(accumulation);
        let steps = steps + (*batch as u128).div_ceil(accumulation);
        if steps as i128 + i128::from(*offset) != *step as i128 {
            return Some(format!("step {step} does not belong to epoch {epoch}, batch {batch}"));
        }
        let counted = history.epochs.iter().map(|metrics| metrics.epoch);
        let ended = usize::from(self.ends_within_an_epoch());
        if ended > 0 && length_in(&self.fingerprint) != Some(Length::Steps(*step)) {
            return Some(format!("step {step} is not the run's last, and was validated as such"));
        }
        if !counted.eq(1..=*epoch + ended) {
            let known = history.epochs.len();
            return Some(format!("its history has {known} epochs, and {epoch} are done"));
        }
        if running.count() != *batch {
            let losses = running.count();
            return Some(format!("it has the losses of {losses} batches, and {batch} are done"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot() -> Snapshot {
        let mut running = RunningMean::default();
        (0..3).for_each(|_| running.add(0.5, 1));
        Snapshot {
            fingerprint: json!({ "batches": 5, "recipe": { "accumulation": 2, "epochs": 3 } }),
            epoch: 0,
            batch: 3,
            step: 2,
            history: History::default(),
            running,
            spent: Spent::default(),
            offset: 0,
            unreached: None,
            checksums: false,
        }
    }

    #[test]
    fn numbers_that_contradict_each_other_are_told() {
        assert_eq!(snapshot().contradiction(), None);
        let fault = |edit: fn(&mut Snapshot)| {
            let mut edited = snapshot();
            edit(&mut edited);
            edited.contradiction().expect("it contradicts itself")
        };
        assert_eq!(fault(|s| s.batch = 17), "batch 17 is past the epoch's 5");
        assert_eq!(
            fault(|s| s.epoch = usize::MAX),
            format!("epoch {} is past the run's last", usize::MAX)
        );
        assert_eq!(fault(|s| s.step = 3), "step 3 does not belong to epoch 0, batch 3");
        assert_eq!(
            fault(|s| s.step = usize::MAX),
            format!("step {} does not belong to epoch 0, batch 3", usize::MAX)
        );
        assert_eq!(
            fault(|s| (s.epoch, s.step) = (1, 5)),
            "its history has 0 epochs, and 1 are done"
        );
        let fewer = fault(|s| (s.batch, s.step) = (1, 1));
        assert_eq!(fewer, "it has the losses of 3 batches, and 1 are done");
        assert!(fault(|s| s.fingerprint = json!(null)).contains("how many batches"));
    }
}
