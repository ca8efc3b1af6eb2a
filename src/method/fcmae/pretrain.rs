//! What a run needs of FCMAE.

use super::{FcMae, FcMaeConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{ConvNextV2, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

impl Method for FcMaeConfig {
    const NAME: &'static str = "fcmae";
    const TITLE: &'static str = "FCMAE";
    type Task = FcMae;
    type Collate = MimCollate;
    type Encoder = ConvNextV2;

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
        MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<FcMae> {
        Ok(self.init(weights))
    }

    /// The encoder's visible cells, and all cells in the decoder.
    fn stacks(&self) -> Vec<Stack> {
        let visible = |stack: Stack| {
            let hidden = hidden_cells(stack.tokens, self.mask());
            Stack { tokens: stack.tokens - hidden, ..stack }
        };
        let (width, blocks) = (self.decoder.width, self.decoder.depth);
        let tokens = self.encoder.grid(self.encoder.depths.len() - 1).cells();
        let decoder = Stack { tokens, width, mlp_width: 4 * width, blocks };
        self.encoder.stacks().into_iter().map(visible).chain([decoder]).collect()
    }

    fn encoder(task: &FcMae) -> &ConvNextV2 {
        &task.encoder
    }

    fn picture(&self, task: &FcMae, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: FcMae) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task)))
    }
}
