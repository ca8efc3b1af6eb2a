//! What a run needs of Image GPT.

use burn::tensor::Tensor;

use super::{
    ImageGpt, ImageGptBatch, ImageGptCollate, ImageGptConfig, Sampling, completion_sheet, presets,
};
use crate::data::ChannelStatistics;
use crate::data::augment::Augmentation;
use crate::encoder::{GptConfig, PixelGpt, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Fitted, Method, Preset, Run};
use crate::nn::InitialWeights;
use crate::target::tokenizer::PaletteConfig;
use crate::train::Recipe;
use crate::viz::Picture;

/// Images that k-means sees, about.
const PALETTE_IMAGES: usize = 1024;

/// Completions of each image of the picture.
const COMPLETIONS: usize = 4;

impl Method for ImageGptConfig {
    const NAME: &'static str = "image_gpt";
    const TITLE: &'static str = "Image GPT";
    const PICTURE: &'static str = "completion.png";
    type Task = ImageGpt;
    type Collate = ImageGptCollate;
    type Encoder = PixelGpt;

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
        Augmentation::simmim()
    }

    /// Images are not normalized: the palette holds colors in [0, 1].
    fn normalization(&self, _measured: ChannelStatistics) -> ChannelStatistics {
        ChannelStatistics::none(self.encoder.image.channels)
    }

    fn collate(&self, _data: &DataFacts, augmentation: Augmentation) -> Result<ImageGptCollate> {
        ImageGptCollate::new(self, augmentation)
    }

    /// The model with a black palette, which [`fit`](Method::fit) replaces.
    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<ImageGpt> {
        self.validate()?;
        let GptConfig { colors, image, .. } = self.encoder;
        let palette = Tensor::zeros([colors, image.channels], weights.device());
        Ok(self.init(Some(palette), weights))
    }

    /// The model on a palette that k-means finds in training images.
    fn fit(&self, task: ImageGpt, run: &Run) -> Result<Fitted<ImageGpt>> {
        let collate = ImageGptCollate::new(self, Augmentation::none())?;
        let loader = run.loader(&run.data.train, collate, true)?;
        let batches = loader.epoch(0, 0).take(PALETTE_IMAGES.div_ceil(loader.batch_size()));
        let images: Result<Vec<_>> = batches.map(|batch| Ok(batch?.images)).collect();
        let palette = PaletteConfig::new(self.encoder.image).with_vocabulary(self.encoder.colors);
        let palette = palette.fit(Tensor::cat(images?, 0), run.seed)?.colors.val();
        Ok(ImageGpt { encoder: task.encoder.with_palette(palette), head: task.head }.into())
    }

    fn stacks(&self) -> Vec<Stack> {
        let gpt = &self.encoder;
        let (tokens, mlp_width) = (gpt.grid().cells(), gpt.mlp_width());
        vec![Stack { tokens, width: gpt.width, mlp_width, blocks: gpt.depth }]
    }

    fn encoder(task: &ImageGpt) -> &PixelGpt {
        &task.encoder
    }

    /// A fresh transformer on the palette of `trained`.
    fn untrained(
        &self,
        trained: &PixelGpt,
        _data: &DataFacts,
        weights: &mut InitialWeights,
    ) -> Result<PixelGpt> {
        let palette = trained.palette.as_ref().map(|palette| palette.val());
        Ok(PixelGpt::new(self.encoder.init(weights), palette).at_layer(trained.layer))
    }

    /// Images whose lower half is drawn, where the objective is autoregressive.
    fn picture(
        &self,
        task: &ImageGpt,
        batch: ImageGptBatch,
        _data: &DataFacts,
    ) -> Result<Option<Picture>> {
        if !self.encoder.causal {
            return Ok(None);
        }
        let title = "Image GPT: validation images, the lower half drawn";
        let sheet = completion_sheet(title, task, batch.images, &Sampling::new(), COMPLETIONS)?;
        sheet.render().map(Some)
    }
}
