//! What a run needs of CAE.

use super::{Cae, CaeConfig, presets};
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, MimCollate};
use crate::encoder::{Stack, VitBody, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Fitted, Method, Preset, Run, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::task::Mim;
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for CaeConfig {
    const NAME: &'static str = "cae";
    const TITLE: &'static str = "CAE";
    const PATHS: &'static [&'static str] = &["/beit/tokenizer_folder"];
    type Task = Cae;
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
        presets::recipe()
    }

    fn augmentation(&self) -> Augmentation {
        presets::augmentation()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        self.beit.collate(data, augmentation)
    }

    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Cae> {
        let ChannelStatistics { mean, std } = &data.statistics;
        Ok(self.init(self.beit.blank_tokenizer(weights.device()), mean, std, weights))
    }

    fn fit(&self, task: Cae, run: &Run) -> Result<Fitted<Cae>> {
        let Fitted { task: target, resumed } = self.beit.fitted_target(run)?;
        Ok(Fitted { task: Cae { mim: Mim { target, ..task.mim }, ..task }, resumed })
    }

    fn stacks(&self) -> Vec<Stack> {
        let vit = &self.beit.encoder;
        let cells = vit.grid().cells();
        let hidden = hidden_cells(cells, self.beit.mask());
        let blocks = |depth, tokens| VitConfig { depth, ..vit.clone() }.stack(tokens);
        vec![
            vit.stack(cells - hidden),
            blocks(self.regressor_depth, cells),
            blocks(self.decoder_depth, hidden),
        ]
    }

    fn encoder(task: &Cae) -> &VitBody {
        &task.mim.encoder.body
    }

    /// BEiT's picture.
    fn picture(&self, task: &Cae, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        self.beit.sheet(&picture_title::<Self>(), &task.mim, batch, data).map(Some)
    }
}
