//! What a run needs of LeJEPA.

use super::{LeJepa, LeJepaBatch, LeJepaCollate, LeJepaConfig, presets};
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, hidden_cells};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for LeJepaConfig {
    const NAME: &'static str = "lejepa";
    const TITLE: &'static str = "LeJEPA";
    type Task = LeJepa;
    type Collate = LeJepaCollate;
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
        Augmentation::lejepa()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<LeJepaCollate> {
        let (image, mask) = (self.encoder.image, self.mask()?);
        let images = MimCollate::new(image, &data.statistics, augmentation, mask)?;
        let images = images.with_masks(self.masks)?;
        Ok(LeJepaCollate::new(images, self.embedding, self.sigreg.slices))
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<LeJepa> {
        Ok(self.init(weights))
    }

    /// The encoder's for each view.
    fn stacks(&self) -> Vec<Stack> {
        let cells = self.encoder.grid().cells();
        let view = self.encoder.stack(cells - hidden_cells(cells, self.mask()));
        vec![Stack { tokens: view.tokens * self.masks * LeJepaBatch::CROPS, ..view }]
    }

    fn encoder(task: &LeJepa) -> &VitBody {
        &task.encoder.body
    }
}
