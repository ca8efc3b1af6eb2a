//! What a run needs of BEiT.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::{Beit, BeitConfig, presets, token_sheet};
use crate::batch::MimBatch;
use crate::data::augment::{Augmentation, Interpolation};
use crate::data::{ChannelStatistics, MimCollate};
use crate::encoder::{Encoder, Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::PredictionHead;
use crate::method::tokenizers::fitted_for;
use crate::method::{DataFacts, Fitted, Method, Preset, Run, picture_title};
use crate::nn::InitialWeights;
use crate::target::TokenTarget;
use crate::target::tokenizer::AnyTokenizer;
use crate::task::Mim;
use crate::train::Recipe;
use crate::viz::{Picture, reconstruction_sheet};

impl Method for BeitConfig {
    const NAME: &'static str = "beit";
    const TITLE: &'static str = "BEiT";
    const PATHS: &'static [&'static str] = &["/tokenizer_folder"];
    type Task = Beit;
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
        Recipe::beit()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::beit()
    }

    /// Batches whose second view is what the tokenizer reads: pixels in [0, 1].
    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        let (view, pixels) = (self.view(), ChannelStatistics::none(self.view().channels));
        MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)?
            .with_target_view(view, Interpolation::Lanczos, &pixels)
    }

    /// The model around a tokenizer that [`fit`](Method::fit) replaces.
    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Beit> {
        let ChannelStatistics { mean, std } = &data.statistics;
        Ok(self.init(self.blank_tokenizer(weights.device()), mean, std, weights))
    }

    /// The model around the tokenizer in its folder; around one that is trained first, in
    /// `tokenizer/` of the run's folder, where none is given.
    fn fit(&self, task: Beit, run: &Run) -> Result<Fitted<Beit>> {
        let Fitted { task: target, resumed } = self.fitted_target(run)?;
        Ok(Fitted { task: Beit { target, ..task }, resumed })
    }

    fn stacks(&self) -> Vec<Stack> {
        vec![self.encoder.stack(self.encoder.grid().cells())]
    }

    fn encoder(task: &Beit) -> &VitBody {
        &task.encoder.body
    }

    /// Decoded predicted tokens, or where the tokenizer does not decode to pixels, tokens as colors.
    fn picture(&self, task: &Beit, batch: MimBatch, data: &DataFacts) -> Result<Option<Picture>> {
        self.sheet(&picture_title::<Self>(), task, batch, data).map(Some)
    }
}

impl BeitConfig {
    /// A tokenizer whose weights are not drawn.
    pub(in crate::method) fn blank_tokenizer(&self, device: &Device) -> AnyTokenizer {
        self.tokenizer.init(&mut InitialWeights::new(0, device))
    }

    /// The tokens of the fitted tokenizer.
    pub(in crate::method) fn fitted_target(&self, run: &Run) -> Result<Fitted<TokenTarget>> {
        let folder = self.tokenizer_folder.as_deref().map(Path::new);
        let Fitted { task: tokenizer, resumed } = fitted_for(run, &self.tokenizer, folder)?;
        let ChannelStatistics { mean, std } = &run.data.statistics;
        Ok(Fitted { task: TokenTarget::new(tokenizer, mean, std), resumed })
    }

    /// The picture of `task`.
    pub(in crate::method) fn sheet<E, H>(
        &self,
        title: &str,
        task: &Mim<E, H, TokenTarget>,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Picture>
    where
        E: Encoder<Images = Tensor<4>>,
        H: PredictionHead<E::Features, Prediction = Tensor<3>>,
    {
        if self.tokenizer.decodes() {
            return reconstruction_sheet(title, task, &batch, &data.statistics)?.render();
        }
        token_sheet(title, task, &batch, &data.statistics)?.render()
    }
}
