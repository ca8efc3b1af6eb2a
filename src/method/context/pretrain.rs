//! What a run needs of context prediction.

use super::{
    ContextBatch, ContextCollate, ContextConfig, ContextPrediction, context_sheet, presets,
};
use crate::data::augment::Augmentation;
use crate::encoder::ResidualNet;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for ContextConfig {
    const NAME: &'static str = "context";
    const TITLE: &'static str = "Context prediction";
    const PICTURE: &'static str = "pairs.png";
    type Task = ContextPrediction<ResidualNet>;
    type Collate = ContextCollate;
    type Encoder = ResidualNet;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.pairs.image
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    /// A recipe for transformers: the paper's, of 2015, has no learning rates that decay.
    fn recipe(&self) -> Recipe {
        Recipe::mae()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::simmim()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<ContextCollate> {
        ContextCollate::new(&self.pairs, &data.statistics, augmentation)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Self::Task> {
        Ok(self.init(weights))
    }

    fn encoder(task: &Self::Task) -> &ResidualNet {
        &task.encoder
    }

    fn picture(
        &self,
        task: &Self::Task,
        batch: ContextBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        context_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }
}
