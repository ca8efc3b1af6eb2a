//! A run of Selfie.

use std::sync::Arc;

use super::Run;
use crate::data::augment::Augmentation;
use crate::data::{ImageData, MimCollate};
use crate::encoder::ResidualNet;
use crate::error::Result;
use crate::method::selfie_sheet;
use crate::method::{Selfie, SelfieConfig};
use crate::nn::InitialWeights;
use crate::train::{Pretrained, Recipe};

/// Rows of the picture.
const SHEET_ROWS: usize = 8;

impl Run {
    /// Trains Selfie as [`Run::train`] does, and leaves `choices.png` beside the rest.
    ///
    /// # Errors
    ///
    /// As [`Run::train`], when the configuration is broken, and when the picture cannot be written.
    pub fn selfie(
        &self,
        config: SelfieConfig,
        weights: &mut InitialWeights,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<Selfie<ResidualNet>>> {
        config.validate()?;
        let (_lock, data) = &self.begin(data)?;
        let collate = MimCollate::new(config.image, &data.statistics, Arc::new(config.mask()?))?;
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
        let batch = self.validation_batch(data, collate)?.first(SHEET_ROWS)?;
        let statistics = [&*data.statistics.mean, &*data.statistics.std];
        let title = "Selfie: validation images";
        selfie_sheet(title, &pretrained.task, &batch, statistics)?
            .save(self.out.join("choices.png"))?;
        Ok(pretrained)
    }
}
