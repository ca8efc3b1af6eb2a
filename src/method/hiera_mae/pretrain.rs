//! What a run needs of MAE on Hiera.

use super::{HieraMae, HieraMaeConfig, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Hiera, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

impl Method for HieraMaeConfig {
    const NAME: &'static str = "hiera_mae";
    const TITLE: &'static str = "MAE on Hiera";
    type Task = HieraMae;
    type Collate = MimCollate;
    type Encoder = Hiera;

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

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<HieraMae> {
        Ok(self.init(weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        let (encoder, decoder) = (&self.encoder, &self.decoder);
        let units = self.units().cells();
        let mut stacks = encoder.stacks(units - hidden_cells(units, self.mask()));
        stacks.push(Stack {
            tokens: encoder.stage_grid(encoder.pools).cells(),
            width: decoder.width,
            mlp_width: decoder.fusion_transformer(encoder).mlp_width,
            blocks: decoder.depth,
        });
        stacks
    }

    fn encoder(task: &HieraMae) -> &Hiera {
        &task.encoder
    }

    fn picture(
        &self,
        task: &HieraMae,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, task, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: HieraMae) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task)))
    }
}
