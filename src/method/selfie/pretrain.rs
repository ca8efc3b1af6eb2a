//! What a run needs of Selfie.

use super::{Selfie, SelfieConfig, presets, selfie_sheet};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Patchwise, ResidualNet};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for SelfieConfig {
    const NAME: &'static str = "selfie";
    const TITLE: &'static str = "Selfie";
    const PICTURE: &'static str = "choices.png";
    type Task = Selfie<ResidualNet>;
    type Collate = MimCollate;
    type Encoder = Patchwise<ResidualNet>;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.image
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        Recipe::mae()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::simmim()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        MimCollate::new(self.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Self::Task> {
        Ok(self.init(weights))
    }

    fn encoder(task: &Self::Task) -> &Self::Encoder {
        &task.encoder
    }

    fn picture(
        &self,
        task: &Self::Task,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        selfie_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }
}
