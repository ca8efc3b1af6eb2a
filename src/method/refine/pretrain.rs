//! What a run needs of a refinement.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RefinableConfig, RefineCollate, RefineConfig, Refinement, presets};
use crate::data::augment::Augmentation;
use crate::encoder::Stack;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset};
use crate::nn::InitialWeights;
use crate::train::Recipe;

/// Refinement goes with every encoder that turns whole images into features.
impl<C> Method for RefineConfig<C>
where
    C: RefinableConfig + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const NAME: &'static str = "refine";
    const TITLE: &'static str = "Refinement";
    const VARIANT: &'static str = C::KIND;
    type Task = Refinement<C::Network>;
    type Collate = RefineCollate;
    type Encoder = C::Network;

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
        Recipe::refine()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::two_views()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<RefineCollate> {
        RefineCollate::new(self.encoder.image(), &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Self::Task> {
        Ok(self.init(weights))
    }

    /// The teacher of a run that begins with given weights begins with them too.
    fn begin(&self, task: Self::Task) -> Self::Task {
        task.with_teacher_of_now()
    }

    /// Both views, each an image of the batch twice as large.
    fn stacks(&self) -> Vec<Stack> {
        [self.encoder.stacks(), self.encoder.stacks()].concat()
    }

    fn encoder(task: &Self::Task) -> &C::Network {
        &task.encoder
    }
}
