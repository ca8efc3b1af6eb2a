//! What a run needs of BEiT v2.

use super::{BeitV2, BeitV2Config, presets};
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, MimCollate};
use crate::encoder::VitBody;
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Fitted, Method, Preset, Run, picture_title};
use crate::nn::InitialWeights;
use crate::target::Both;
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for BeitV2Config {
    const NAME: &'static str = "beit_v2";
    const TITLE: &'static str = "BEiT v2";
    const PATHS: &'static [&'static str] = &["/beit/tokenizer_folder"];
    type Task = BeitV2;
    type Collate = MimCollate;
    type Encoder = VitBody;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.beit.encoder.image
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        Recipe::beit()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::beit()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        self.beit.collate(data, augmentation)
    }

    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<BeitV2> {
        let ChannelStatistics { mean, std } = &data.statistics;
        Ok(self.init(self.beit.blank_tokenizer(weights.device()), mean, std, weights))
    }

    fn fit(&self, task: BeitV2, run: &Run) -> Result<Fitted<BeitV2>> {
        let Fitted { task: target, resumed } = self.beit.fitted_target(run)?;
        Ok(Fitted { task: BeitV2 { target: Both { target }, ..task }, resumed })
    }

    fn encoder(task: &BeitV2) -> &VitBody {
        &task.encoder.vit.body
    }

    /// The predictions after the last block.
    fn picture(&self, task: &BeitV2, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        let beit = task.clone().without_condenser();
        self.beit.sheet(&picture_title::<Self>(), &beit, batch, data).map(Some)
    }
}
