//! What a run's `config.json` says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::augment::{Augmentation, Interpolation};
use crate::data::{ChannelStatistics, DataOptions, DataSpec, MimCollate};
use crate::error::{Error, Result};
use crate::method::TaskConfig;

/// Everything needed to build the model of a run again and feed it the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The method and its parts.
    pub task: TaskConfig,
    /// Where the images came from.
    pub data: DataSpec,
    /// How they were opened: their channels, what became of damaged ones, and how many were used.
    #[serde(default)]
    pub data_options: DataOptions,
    /// How they were normalized.
    pub statistics: ChannelStatistics,
    /// What was done to them in training.
    pub augmentation: Augmentation,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
}

impl RunConfig {
    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.task.validate()?;
        self.augmentation.validate()?;
        self.statistics.check(self.task.image())
    }

    /// What of it decides a run's bits: all but where the images lie, and what would become of
    /// damaged ones.
    pub(super) fn identity(&self) -> Result<Value> {
        let json = serde_json::to_value(self);
        let mut json = json.map_err(|error| Error::config(error.to_string()))?;
        if let Some(config) = json.as_object_mut() {
            config.remove("data");
            let options = config.get_mut("data_options").and_then(Value::as_object_mut);
            options.map(|options| options.remove("on_bad_image"));
        }
        Ok(json)
    }

    /// How a run on masked images made the batches it was trained on.
    ///
    /// # Errors
    ///
    /// When the method hides nothing, or the parts do not fit together.
    pub fn training_collate(&self) -> Result<MimCollate> {
        mim_collate(&self.task, &self.statistics)?.with_augmentation(self.augmentation)
    }
}

/// Masked images, and what else the target of `task` reads, without augmentation.
pub(super) fn mim_collate(task: &TaskConfig, statistics: &ChannelStatistics) -> Result<MimCollate> {
    let collate = MimCollate::new(task.image(), statistics, task.mask()?.into())?;
    match task.target_view() {
        Some(view) => {
            let pixels = ChannelStatistics::none(view.channels);
            collate.with_target_view(view, Interpolation::Lanczos, &pixels)
        }
        None => Ok(collate),
    }
}
