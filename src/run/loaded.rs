//! An encoder that was loaded, with what is known of it.

use std::fmt;

use super::encoder_spec::EncoderSpec;
use crate::checkpoint::LoadReport;
use crate::data::ChannelStatistics;
use crate::data::augment::EvalView;
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{LoadedRun, Method};
use crate::nn::InitialWeights;
use crate::train::RunFolder;

/// An encoder with the facts that evaluations need.
#[non_exhaustive]
pub struct LoadedBackbone<B> {
    /// The encoder, on a plain device.
    pub backbone: B,
    /// The images that it reads.
    pub image: ImageShape,
    /// A short description of the encoder.
    pub title: String,
    /// The run that it comes from.
    pub run: Option<RunFolder>,
    /// The name of the picture that the run leaves, which the score card shows.
    pub picture: &'static str,
    /// How its images are normalized, if its run or its `preprocessor_config.json` says so.
    pub statistics: Option<ChannelStatistics>,
    /// How its images are framed where they are only looked at: as its `preprocessor_config.json`
    /// says, or as runs are evaluated.
    pub framing: EvalView,
    /// The report of loading published weights.
    pub report: Option<LoadReport>,
    /// Notes about the weights, line by line. For a run: its checkpoint, and newer ones that are
    /// damaged. For published weights: the keys and their layout, assumptions, and how images are
    /// normalized.
    pub notes: Vec<String>,
    /// What the encoder is, where a file can say it.
    pub(super) spec: Option<EncoderSpec>,
    pub(super) random: Random<B>,
}

/// Makes an encoder of the same shape with weights of a seed.
pub(super) type Random<B> = Box<dyn Fn(&mut InitialWeights) -> Result<B> + Send>;

/// Generic code that works with an encoder of any type.
pub trait BackboneVisitor {
    /// The result.
    type Output;

    /// Works with `encoder`.
    ///
    /// # Errors
    ///
    /// Any error of the visitor's own.
    fn visit<B: Backbone + Clone + 'static>(
        self,
        encoder: LoadedBackbone<B>,
    ) -> Result<Self::Output>;
}

impl<B: Backbone + Clone + 'static> LoadedBackbone<B> {
    /// An encoder of your own, on a plain device, that reads `image`. `random` makes one of the
    /// same shape with other weights, which is the baseline of evaluations.
    pub fn new(
        backbone: B,
        image: ImageShape,
        title: impl Into<String>,
        random: impl Fn(&mut InitialWeights) -> Result<B> + Send + 'static,
    ) -> Self {
        Self {
            spec: EncoderSpec::of(&backbone),
            backbone,
            image,
            title: title.into(),
            run: None,
            picture: "reconstruction.png",
            statistics: None,
            framing: EvalView::default(),
            report: None,
            notes: Vec::new(),
            random: Box::new(random),
        }
    }
}

impl<B: Backbone + Clone> LoadedBackbone<B> {
    /// Whether the encoder is known to have a class token.
    pub fn has_class_token(&self) -> bool {
        match &self.spec {
            Some(EncoderSpec::Vit(config) | EncoderSpec::MaskedVit(config)) => config.class_token,
            _ => false,
        }
    }

    /// An encoder of the same shape with random weights of `seed`.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn random(&self, seed: u64) -> Result<B> {
        let device = self.backbone.devices().into_iter().next();
        let device = device.ok_or_else(|| Error::config("an encoder without parameters"))?;
        (self.random)(&mut InitialWeights::new(seed, &device))
    }
}

impl<M: Method> LoadedRun<M> {
    /// The run's encoder.
    pub fn into_encoder(self, folder: &RunFolder) -> LoadedBackbone<M::Encoder> {
        let Self { config, task, notes } = self;
        let (trained, image) = (M::kept(&task), config.numbers.image());
        let title = format!("{} {}", M::TITLE, trained.describe());
        let statistics = Some(config.statistics.clone());
        let (numbers, facts, like) = (config.numbers.clone(), config.facts(), trained.clone());
        let random = move |weights: &mut InitialWeights| numbers.untrained(&like, &facts, weights);
        let spec = EncoderSpec::of_method(&config, &trained);
        let run = Some(folder.clone());
        let encoder = LoadedBackbone::new(trained, image, title, random);
        LoadedBackbone { run, picture: M::PICTURE, statistics, notes, spec, ..encoder }
    }
}

impl<B> fmt::Debug for LoadedBackbone<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, title, run, statistics, .. } = self;
        f.debug_struct("LoadedBackbone")
            .field("title", title)
            .field("image", image)
            .field("run", run)
            .field("statistics", statistics)
            .finish_non_exhaustive()
    }
}
