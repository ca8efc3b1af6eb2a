//! What a run needs of EVA.

use super::{Eva, EvaConfig, presets};
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Fitted, Method, Preset, Run};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for EvaConfig {
    const NAME: &'static str = "eva";
    const TITLE: &'static str = "EVA";
    const PATHS: &'static [&'static str] = &["/teacher/folder"];
    type Task = Eva;
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
        presets::recipe()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::mae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        self.teacher.collate(self.encoder.image, self.mask()?, augmentation, data)
    }

    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Eva> {
        Ok(self.init(&data.statistics, weights))
    }

    /// The model with the teacher in its folder, or with one that is trained first.
    fn fit(&self, task: Eva, run: &Run) -> Result<Fitted<Eva>> {
        let Fitted { task: target, resumed } = self.teacher.fitted_target(self.features, run)?;
        Ok(Fitted { task: Eva { target, ..task }, resumed })
    }

    fn stacks(&self) -> Vec<Stack> {
        vec![self.encoder.stack(self.encoder.grid().cells())]
    }

    fn encoder(task: &Eva) -> &VitBody {
        &task.encoder.body
    }
}
