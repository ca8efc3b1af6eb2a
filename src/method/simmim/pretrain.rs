//! What a run needs of SimMIM.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{SimMim, SimMimConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{EncoderConfig, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

/// SimMIM goes with every encoder that sees hidden patches as a mask token.
impl<C> Method for SimMimConfig<C>
where
    C: EncoderConfig<Encoder: Clone> + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const NAME: &'static str = "simmim";
    const TITLE: &'static str = "SimMIM";
    const VARIANT: &'static str = C::KIND;
    type Task = SimMim<C::Encoder>;
    type Collate = MimCollate;
    type Encoder = C::Encoder;

    fn presets() -> Vec<Preset<Self>> {
        presets::of_encoder()
    }

    fn image(&self) -> ImageShape {
        self.encoder.image()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        Recipe::simmim()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::simmim()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        MimCollate::new(self.encoder.image(), &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Self::Task> {
        Ok(self.init(weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        self.encoder.stacks()
    }

    fn encoder(task: &Self::Task) -> &C::Encoder {
        &task.encoder
    }

    fn picture(
        &self,
        task: &Self::Task,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: Self::Task) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task)))
    }
}
