//! Fitting a tokenizer.

use burn::module::Module;
use burn::tensor::Tensor;
use serde_json::json;

use super::report::TokenizerReport;
use super::{
    DvaeTask, PixelObjective, TeacherObjective, TokenizerCollate, TokenizerRecipe, VqObjective,
    VqTask,
};
use crate::batch::TokenizerBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Loader};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::Run;
use crate::nn::InitialWeights;
use crate::target::TokenizerConfig;
use crate::target::tokenizer::{AnyTokenizer, Dvae, PaletteConfig, Vq, VqConfig, VqOutput};
use crate::task::PretextTask;
use crate::train::{Pretraining, RunFolder};

/// Training images that a palette, or the start of a codebook, is fitted on.
const FITTED_IMAGES: usize = 512;

/// A tokenizer that is ready to be used.
#[derive(Debug)]
pub struct FittedTokenizer {
    /// Its sizes.
    pub config: TokenizerConfig,
    /// Its weights, on a plain device.
    pub tokenizer: AnyTokenizer,
    /// What it is worth on test images.
    pub report: TokenizerReport,
}

/// A network whose features a tokenizer learns to keep.
#[derive(Debug)]
pub struct Teacher<B> {
    /// The network, on a plain device.
    pub backbone: B,
    /// The images that it reads.
    pub image: ImageShape,
    /// How these are normalized; as the run's images are where it is `None`.
    pub statistics: Option<ChannelStatistics>,
    /// What it is, in a few words.
    pub title: String,
}

impl Run {
    /// Fits the tokenizer of `config` and leaves `tokenizer.json`, `tokenizer.bpk`, `metrics.json`
    /// and `reconstruction.png` in the run's folder, beside checkpoints where it is trained; `None`
    /// when it was asked to stop first, and can be resumed.
    ///
    /// Everything is written before a collapsed codebook is reported:
    /// [`CodebookUsage::check`](crate::target::tokenizer::CodebookUsage::check) is the caller's.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`]; when the configuration is broken or its tokenizer cannot be trained
    /// on images alone; when the images have too few colors for a palette.
    pub fn fit_tokenizer(
        &self,
        config: TokenizerConfig,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<FittedTokenizer>> {
        config.validate()?;
        if !config.decodes() {
            return Err(Error::config(format!(
                "a {} tokenizer without a decoder to pixels cannot be trained on images alone: one \
                 that decodes to a teacher's features needs the teacher",
                config.name()
            )));
        }
        let _lock = self.ranks.together(self.lock())?;
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let fitted = match &config {
            TokenizerConfig::Palette(palette) => Some(self.fit_palette(palette)?),
            TokenizerConfig::Vq(vq) => {
                let objective = PixelObjective { patch: vq.encoder.patch };
                self.train_vq(vq.init(weights), objective, recipe)?.map(AnyTokenizer::Vq)
            }
            TokenizerConfig::Dvae(dvae) => {
                self.train_dvae(dvae.init(weights), recipe)?.map(AnyTokenizer::Dvae)
            }
        };
        self.finish_tokenizer(config, fitted)
    }

    /// As [`Run::fit_tokenizer`], on the features of `teacher` instead of pixels (BEiT v2's VQ-KD).
    /// Of `config` the sizes are taken; what the tokenizer decodes to is the teacher's features.
    ///
    /// # Errors
    ///
    /// As [`Run::fit_tokenizer`]; when the teacher reads other images or has another grid than the
    /// tokenizer.
    pub fn distil_tokenizer<B: Backbone>(
        &self,
        config: VqConfig,
        teacher: Teacher<B>,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<FittedTokenizer>> {
        let config = config.with_output(VqOutput::Features { width: teacher.backbone.width() });
        config.validate()?;
        check_teacher(&config, &teacher)?;
        let _lock = self.ranks.together(self.lock())?;
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let statistics = teacher.statistics.as_ref().unwrap_or(&self.data.statistics).clone();
        let objective = TeacherObjective::new(teacher.backbone, &statistics.mean, &statistics.std);
        let fitted = self.train_vq(config.init(weights), objective, recipe)?;
        self.finish_tokenizer(TokenizerConfig::Vq(config), fitted.map(AnyTokenizer::Vq))
    }

    fn finish_tokenizer(
        &self,
        config: TokenizerConfig,
        fitted: Option<AnyTokenizer>,
    ) -> Result<Option<FittedTokenizer>> {
        let Some(tokenizer) = fitted else { return Ok(None) };
        let report = self.measure_tokenizer(&config, &tokenizer)?;
        let fitted = FittedTokenizer { config, tokenizer, report };
        self.ranks.first(|| self.leave_tokenizer(&fitted))?;
        Ok(Some(fitted))
    }

    /// What a tokenizer is worth on the test images.
    ///
    /// # Errors
    ///
    /// When an image cannot be read or is not of the tokenizer's channels.
    pub fn measure_tokenizer(
        &self,
        config: &TokenizerConfig,
        tokenizer: &AnyTokenizer,
    ) -> Result<TokenizerReport> {
        let collate = TokenizerCollate::new(config.image(), Augmentation::none())?;
        let images = self.loader(&self.data.test, collate, false)?;
        TokenizerReport::of(tokenizer, config.grid()?, &images)
    }

    fn fit_palette(&self, config: &PaletteConfig) -> Result<AnyTokenizer> {
        let collate = TokenizerCollate::new(config.image, Augmentation::none())?;
        let images = first_images(&self.loader(&self.data.train, collate, true)?)?;
        let palette = config.fit(images, self.seed)?;
        let aside = self.ranks.first(|| RunFolder::new(&self.out).set_aside())?;
        if let Some(aside) = aside.filter(|_| self.ranks.is_first()) {
            let aside = aside.display();
            self.progress
                .note(&format!("the folder held another run: its files are now in {aside}"));
        }
        Ok(AnyTokenizer::Palette(palette))
    }

    fn train_vq<O: VqObjective>(
        &self,
        vq: Vq,
        objective: O,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<Vq>> {
        let config = TokenizerConfig::Vq(vq.config().clone());
        let collate = |augmentation| TokenizerCollate::new(config.image(), augmentation);
        let train = collate(recipe.augmentation)?;
        let train = self.loader(&self.data.train, train, true)?;
        let latents = vq.valid().latents(first_images(&train)?);
        let vq = vq.with_codes_from(latents, self.seed)?;
        let valid = self.loader(&self.data.test, collate(Augmentation::none())?, false)?;
        let task = self.train_tokenizer(
            &config,
            VqTask { tokenizer: vq, objective },
            [&train, &valid],
            recipe,
        )?;
        Ok(task.map(|task| task.tokenizer))
    }

    fn train_dvae(&self, dvae: Dvae, recipe: &TokenizerRecipe) -> Result<Option<Dvae>> {
        recipe.schedule.validate()?;
        let config = TokenizerConfig::Dvae(dvae.config().clone());
        let collate = |augmentation| TokenizerCollate::new(config.image(), augmentation);
        let train = collate(recipe.augmentation)?;
        let train = train.with_noise(config.grid()?.cells(), config.vocabulary());
        let train = self.loader(&self.data.train, train, true)?;
        let valid = self.loader(&self.data.test, collate(Augmentation::none())?, false)?;
        let features = dvae.valid().features(first_images(&train)?);
        let dvae = dvae.with_tokens_from(features, self.seed)?;
        let task = DvaeTask::new(dvae, recipe.schedule.clone());
        let task = self.train_tokenizer(&config, task, [&train, &valid], recipe)?;
        Ok(task.map(|task| task.tokenizer))
    }

    fn train_tokenizer<T>(
        &self,
        config: &TokenizerConfig,
        task: T,
        [train, valid]: [&Loader<TokenizerCollate>; 2],
        recipe: &TokenizerRecipe,
    ) -> Result<Option<T>>
    where
        T: PretextTask<Batch = TokenizerBatch>,
    {
        let data = &self.data;
        // The recipe is compared by itself.
        let TokenizerRecipe { augmentation, schedule, .. } = recipe;
        let training = json!({ "augmentation": augmentation, "schedule": schedule });
        let trained = Pretraining::new(&self.out, recipe.recipe.clone())
            .seed(self.seed)
            .precision(self.precision)
            .resume(self.resume)
            .interrupt(self.interrupt.clone())
            .ranks(self.ranks.clone())
            .progress(self.progress)
            .accept_changed_data(self.accept_changed_data)
            .images(data.train.len(), data.test.len(), &data.identity)
            .config(&json!({ "tokenizer": config, "training": recipe, "data": data.origin }))?
            .identity(&json!({ "tokenizer": config, "training": training }))?
            .run(task, train, valid)?;
        Ok((!trained.interrupted).then_some(trained.task))
    }
}

/// Checks that a teacher has features for the tokenizer's cells.
fn check_teacher<B: Backbone>(config: &VqConfig, teacher: &Teacher<B>) -> Result<()> {
    let (own, image) = (config.encoder.image, teacher.image);
    if own != image {
        let title = &teacher.title;
        return Err(Error::config(format!(
            "the teacher ({title}) reads {image}, the tokenizer {own}"
        )));
    }
    let device = teacher.backbone.devices().into_iter().next().expect("it has parameters");
    let images = Tensor::zeros([1, image.channels, image.height, image.width], &device);
    let (cells, grid) = (config.encoder.grid(), teacher.backbone.represent(images).grid);
    if cells != grid {
        let title = &teacher.title;
        return Err(Error::config(format!(
            "features for each token: the teacher ({title}) has {grid} of them, the tokenizer {cells}"
        )));
    }
    Ok(())
}

fn first_images(loader: &Loader<TokenizerCollate>) -> Result<Tensor<4>> {
    let batches = FITTED_IMAGES.div_ceil(loader.batch_size());
    let images: Result<Vec<_>> =
        loader.epoch(0, 0).take(batches).map(|batch| Ok(batch?.images)).collect();
    Ok(Tensor::cat(images?, 0))
}
