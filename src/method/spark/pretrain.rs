//! What a run needs of SparK.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Spark, SparkConfig, SparkEncoderConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

/// SparK goes with every hierarchy of convolutions.
impl<C> Method for SparkConfig<C>
where
    C: SparkEncoderConfig + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const NAME: &'static str = "spark";
    const TITLE: &'static str = "SparK";
    const VARIANT: &'static str = C::KIND;
    type Task = Spark<C::Encoder>;
    type Collate = MimCollate;
    type Encoder = C::Encoder;

    fn presets() -> Vec<Preset<Self>> {
        presets::of_encoder()
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

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Spark<C::Encoder>> {
        Ok(self.init(weights))
    }

    fn encoder(task: &Spark<C::Encoder>) -> &C::Encoder {
        &task.encoder
    }

    fn picture(
        &self,
        task: &Spark<C::Encoder>,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: Spark<C::Encoder>) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task)))
    }
}
