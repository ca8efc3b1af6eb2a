//! What a run needs of restoration.

use super::{
    Restoration, RestorationCollate, RestorationConfig, RestorationEncoder, presets, report,
};
use crate::data::augment::Augmentation;
use crate::encoder::Stack;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, Run};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for RestorationConfig {
    const NAME: &'static str = "restoration";
    const TITLE: &'static str = "Restoration";
    type Task = Restoration;
    type Collate = RestorationCollate;
    type Encoder = RestorationEncoder;

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
        Recipe::restoration()
    }

    /// Mirrored images alone: crops are resized, which blurs.
    fn augmentation(&self) -> Augmentation {
        Augmentation { flip: true, ..Augmentation::none() }
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<RestorationCollate> {
        let corruptions = self.corruptions.iter().map(|corruption| corruption.build()).collect();
        RestorationCollate::new(self.encoder.image, &data.statistics, augmentation, corruptions)
    }

    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Restoration> {
        Ok(self.init(&data.statistics.mean, &data.statistics.std, weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        vec![self.encoder.stack(self.encoder.grid().cells())]
    }

    fn encoder(task: &Restoration) -> &RestorationEncoder {
        &task.encoder
    }

    /// Leaves `restoration.json` and `reconstruction.png`: how good test images are before and
    /// after, for each corruption by name.
    fn finish(&self, task: &Restoration, run: &Run) -> Result<()> {
        report::leave(self, task, run)
    }
}
