//! A run of context prediction.

use super::Run;
use crate::data::ImageData;
use crate::data::augment::Augmentation;
use crate::encoder::ResidualNet;
use crate::error::Result;
use crate::method::ContextCollate;
use crate::method::context_sheet;
use crate::method::{ContextConfig, ContextPrediction};
use crate::nn::InitialWeights;
use crate::train::{Pretrained, Recipe};

/// Rows of the picture.
const SHEET_ROWS: usize = 8;

impl Run {
    /// Trains context prediction as [`Run::train`] does, and leaves `pairs.png` beside the rest.
    ///
    /// # Errors
    ///
    /// As [`Run::train`], when the configuration is broken, and when the picture cannot be written.
    pub fn context(
        &self,
        config: ContextConfig,
        weights: &mut InitialWeights,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<ContextPrediction<ResidualNet>>> {
        config.validate()?;
        let (_lock, data) = &self.begin(data)?;
        let collate = ContextCollate::new(&config.pairs, &data.statistics)?;
        let augmented = collate.clone().with_augmentation(augmentation)?;
        let collates = [augmented, collate.clone()];
        let model = config.init(weights);
        let pretrained = self.train_probed(
            config.into(),
            model,
            data,
            augmentation,
            collates,
            recipe,
            |task| &task.encoder,
        )?;
        let batch = self.validation_batch(data, collate)?;
        let statistics = [&*data.statistics.mean, &*data.statistics.std];
        let title = "Context prediction: validation images";
        let sheet = context_sheet(title, &pretrained.task, &batch, statistics, SHEET_ROWS)?;
        sheet.save(self.out.join("pairs.png"))?;
        Ok(pretrained)
    }
}
