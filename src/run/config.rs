//! What a run's `config.json` says.

use serde::{Deserialize, Serialize};

use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, DataSpec};
use crate::task::TaskConfig;

/// Everything needed to build the model of a run again and feed it the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The method and its parts.
    pub task: TaskConfig,
    /// Where the images came from.
    pub data: DataSpec,
    /// How they were normalised.
    pub statistics: ChannelStatistics,
    /// What was done to them in training.
    pub augmentation: Augmentation,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
}
