//! What a run needs of MaskFeat.

use super::{MaskFeat, MaskFeatConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, depiction_sheet};

impl Method for MaskFeatConfig {
    const NAME: &'static str = "maskfeat";
    const TITLE: &'static str = "MaskFeat";
    type Task = MaskFeat;
    type Collate = MimCollate;
    type Encoder = VitBody;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.encoder.image
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        Recipe::maskfeat()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::maskfeat()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<MaskFeat> {
        Ok(self.init(weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        vec![self.encoder.stack(self.encoder.grid().cells())]
    }

    fn encoder(task: &MaskFeat) -> &VitBody {
        &task.encoder.body
    }

    fn picture(
        &self,
        task: &MaskFeat,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        depiction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }
}
