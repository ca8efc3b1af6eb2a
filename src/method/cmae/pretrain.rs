//! What a run needs of CMAE.

use super::{Cmae, CmaeCollate, CmaeConfig, presets};
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Inpainting, Method, Preset, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

impl Method for CmaeConfig {
    const NAME: &'static str = "cmae";
    const TITLE: &'static str = "CMAE";
    type Task = Cmae;
    type Collate = CmaeCollate;
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
        Recipe::mae()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::cmae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<CmaeCollate> {
        let (image, mask) = (self.encoder.image, self.mask()?);
        CmaeCollate::new(image, &data.statistics, augmentation, mask, self.shift)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Cmae> {
        Ok(self.init(weights))
    }

    /// The teacher of a run that begins with given weights begins with them too.
    fn begin(&self, task: Cmae) -> Cmae {
        task.with_teacher_of_now()
    }

    fn stacks(&self) -> Vec<Stack> {
        let vit = &self.encoder;
        let cells = vit.grid().cells();
        let hidden = hidden_cells(cells, self.mask());
        let decoders = [&self.decoder, &self.feature_decoder].map(|decoder| {
            let sizes = VitConfig { width: decoder.width, depth: decoder.depth, ..vit.clone() };
            sizes.with_mlp_ratio(decoder.mlp_ratio).stack(cells)
        });
        std::iter::once(vit.stack(cells - hidden)).chain(decoders).collect()
    }

    fn encoder(task: &Cmae) -> &VitBody {
        &task.mae.encoder.body
    }

    fn picture(&self, task: &Cmae, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        reconstruction_sheet(&title, &task.mae, &batch, &data.statistics)?.render().map(Some)
    }

    fn inpainting(&self, task: Cmae) -> Result<Option<Inpainting>> {
        Ok(Some(Inpainting::new(self.mask()?.grid(), task.mae)))
    }
}
