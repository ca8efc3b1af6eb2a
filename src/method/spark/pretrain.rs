//! What a run needs of SparK.

use super::{Spark, SparkConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::ResidualNet;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

impl Method for SparkConfig {
    const NAME: &'static str = "spark";
    const TITLE: &'static str = "SparK";
    type Task = Spark;
    type Collate = MimCollate;
    type Encoder = ResidualNet;

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
        presets::recipe()
    }

    fn augmentation(&self) -> Augmentation {
        presets::augmentation()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        MimCollate::new(self.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Spark> {
        Ok(self.init(weights))
    }

    fn encoder(task: &Spark) -> &ResidualNet {
        &task.encoder
    }

    fn picture(&self, task: &Spark, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: Spark) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task)))
    }
}
