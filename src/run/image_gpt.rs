//! A run of Image GPT.

use burn::tensor::Tensor;

use super::Run;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, ImageData};
use crate::error::Result;
use crate::method::ImageGptCollate;
use crate::method::completion_sheet;
use crate::method::{ImageGpt, ImageGptConfig, Sampling};
use crate::nn::InitialWeights;
use crate::target::tokenizer::PaletteConfig;
use crate::train::{Pretrained, Recipe};

/// Images that k-means sees, about.
const PALETTE_IMAGES: usize = 1024;

/// Rows of the picture.
const SHEET_ROWS: usize = 8;

/// Completions of each of its images.
const COMPLETIONS: usize = 4;

impl Run {
    /// Finds a palette, trains Image GPT on it as [`Run::train`] does, and leaves, for the
    /// autoregressive objective, `completion.png` beside the rest.
    ///
    /// Images are not normalized: the palette holds colors in [0, 1].
    ///
    /// # Errors
    ///
    /// As [`Run::train`], when the configuration is broken, when the images have fewer colors than
    /// the palette, and when the picture cannot be written.
    pub fn image_gpt(
        &self,
        config: ImageGptConfig,
        weights: &mut InitialWeights,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<ImageGpt>> {
        let (_lock, data) = &self.begin(data)?;
        let collate = ImageGptCollate::new(&config)?;
        let statistics = ChannelStatistics::none(config.encoder.image.channels);
        let data = ImageData { statistics, ..data.clone() };
        let model = config.init(Some(self.colors(&config, &data)?), weights);
        let augmented = collate.clone().with_augmentation(augmentation)?;
        let collates = [augmented, collate.clone()];
        let causal = config.encoder.causal;
        let pretrained = self.train_probed(
            config.into(),
            model,
            &data,
            augmentation,
            collates,
            recipe,
            |task| &task.encoder,
        )?;
        if causal {
            let images = self.validation_batch(&data, collate)?.images;
            let rows = SHEET_ROWS.min(images.dims()[0]);
            let (images, sampling) =
                (images.narrow(0, 0, rows), Sampling::new().with_seed(self.seed));
            let title = "Image GPT: validation images, the lower half drawn";
            let sheet = completion_sheet(title, &pretrained.task, images, &sampling, COMPLETIONS)?;
            sheet.save(self.out.join("completion.png"))?;
        }
        Ok(pretrained)
    }

    /// The colors of a palette for `config`, by k-means over training images.
    fn colors(&self, config: &ImageGptConfig, data: &ImageData) -> Result<Tensor<2>> {
        let loader = self.loader(&data.train, ImageGptCollate::new(config)?, true)?;
        let batches = loader.epoch(0, 0).take(PALETTE_IMAGES.div_ceil(loader.batch_size()));
        let images: Result<Vec<_>> = batches.map(|batch| Ok(batch?.images)).collect();
        let palette =
            PaletteConfig::new(config.encoder.image).with_vocabulary(config.encoder.colors);
        Ok(palette.fit(Tensor::cat(images?, 0), self.seed)?.colors.val())
    }
}
