//! Encoders from wherever they are kept.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::RunConfig;
use super::published::{is_published, notes, open_published};
use crate::checkpoint::{LoadOptions, LoadReport, Transformers, TransformersModel};
use crate::data::ChannelStatistics;
use crate::encoder::{EncoderConfig, GptConfig, PixelGpt, VitConfig};
use crate::error::{Error, Result};
use crate::method::TaskConfig;
use crate::nn::InitialWeights;
use crate::run::{AnyBackbone, BackboneConfig};
use crate::train::RunFolder;

/// Where an encoder comes from; written as a path, or as `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackboneSource {
    /// The folder of a pre-training run, one of Hugging Face transformers, or a file of published
    /// weights.
    Folder(PathBuf),
    /// Nowhere: random weights.
    None,
}

/// An encoder and what is known of it.
#[derive(Debug)]
pub struct LoadedBackbone {
    /// The encoder, on a plain device.
    pub backbone: AnyBackbone,
    /// What it is made of.
    pub config: BackboneConfig,
    /// What it is, in a few words.
    pub title: String,
    /// The run it comes from, and what that says of itself.
    pub run: Option<(RunFolder, RunConfig)>,
    /// How its images are normalized, if its run or its `preprocessor_config.json` says so.
    pub statistics: Option<ChannelStatistics>,
    /// What became of the keys of published weights.
    pub report: Option<LoadReport>,
    /// What is to be known of the weights, line by line. Of a run's: which checkpoint they are of,
    /// and which newer ones are damaged. Of published ones: which keys were read and in what form,
    /// what was assumed, and how images are normalized.
    pub notes: Vec<String>,
}

impl BackboneSource {
    /// Loads the encoder; where there is none, one of `random` with weights of `seed`.
    ///
    /// # Errors
    ///
    /// When the path holds neither a run nor published weights, what it holds cannot be loaded, or
    /// any weight of the encoder is missing.
    pub fn load(
        &self,
        random: &BackboneConfig,
        seed: u64,
        device: &Device,
    ) -> Result<LoadedBackbone> {
        self.load_for(None, random, seed, device)
    }

    /// As [`load`](Self::load), for square images of `side` pixels where that is given: position
    /// tables of published weights are resized to them.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and when a run was trained on images of another size.
    pub fn load_for(
        &self,
        side: Option<usize>,
        random: &BackboneConfig,
        seed: u64,
        device: &Device,
    ) -> Result<LoadedBackbone> {
        let Self::Folder(path) = self else {
            random.validate()?;
            return Ok(LoadedBackbone {
                title: format!("random {}", shape(random)),
                backbone: random.init(&mut InitialWeights::new(seed, device)),
                config: random.clone(),
                run: None,
                statistics: None,
                report: None,
                notes: Vec::new(),
            });
        };
        if !path.exists() {
            return Err(Error::checkpoint(path, "there is no such file or folder"));
        }
        let run = RunFolder::new(path);
        if is_published(path)? || run.latest()?.is_none() {
            return LoadedBackbone::of_published(open_published(path)?, side, device);
        }
        let loaded = LoadedBackbone::of_run(run, device)?;
        let image = loaded.config.image();
        match side {
            Some(side) if [image.height, image.width] != [side; 2] => {
                let reason = format!("was trained on {image}; its encoder reads no other size");
                Err(Error::checkpoint(path, reason))
            }
            _ => Ok(loaded),
        }
    }
}

impl LoadedBackbone {
    fn of_run(run: RunFolder, device: &Device) -> Result<Self> {
        let saved: RunConfig = run.config()?;
        let path = run.path().join("config.json");
        saved.validate().map_err(|error| error.in_file(&path))?;
        let (backbone, config) = of_task(&saved, &run, device)?;
        let title = format!("{} {}", saved.task.title(), shape(&config));
        let statistics = Some(saved.statistics.clone());
        let mut notes = Vec::new();
        if let Some((checkpoint, damaged)) = run.newest_whole()? {
            notes.extend(damaged.iter().map(|error| format!("warning: {error}")));
            notes.push(format!("its weights are those of {}", checkpoint.path().display()));
        }
        let run = Some((run, saved));
        Ok(Self { backbone, config, title, run, statistics, report: None, notes })
    }

    fn of_published(opened: Transformers, side: Option<usize>, device: &Device) -> Result<Self> {
        let opened = match side {
            Some(side) => opened.resized_to(side),
            None => opened,
        };
        let path = opened.path().to_path_buf();
        let options = LoadOptions { resize: side.is_some(), ..LoadOptions::default() };
        let model = opened.load(options, device)?;
        let report = model.report().clone();
        let (backbone, config) = of_model(model);
        report.require_encoder(&path)?;
        if let AnyBackbone::PixelGpt(PixelGpt { palette: None, .. }) = backbone {
            let reason = "has no palette (preprocessor_config.json), so it reads ids, not images";
            return Err(Error::checkpoint(path, reason));
        }
        let statistics = opened.statistics(config.image().channels)?;
        let notes = notes(&opened, &report, statistics.as_ref(), "the data's");
        let title = format!("{} {}", opened.architecture(), shape(&config));
        let report = Some(report);
        Ok(Self { backbone, config, title, run: None, statistics, report, notes })
    }

    /// How the encoder's images are normalized, if that is known.
    pub fn statistics(&self) -> Option<&ChannelStatistics> {
        self.statistics.as_ref()
    }

    /// An encoder of the same shape with random weights; an Image GPT keeps its palette.
    pub fn random(&self, seed: u64) -> AnyBackbone {
        let device = self.backbone.devices().into_iter().next().expect("it has parameters");
        self.config.init(&mut InitialWeights::new(seed, &device)).with_palette_of(&self.backbone)
    }
}

/// The encoder of a run.
fn of_task(
    saved: &RunConfig,
    run: &RunFolder,
    device: &Device,
) -> Result<(AnyBackbone, BackboneConfig)> {
    let weights = &mut InitialWeights::new(0, device);
    let encoder = |config: &VitConfig| BackboneConfig::from(config.clone());
    Ok(match &saved.task {
        TaskConfig::Mae(task) => {
            let body = run.load(task.init(weights))?.encoder.body;
            (AnyBackbone::Vit(body), encoder(&task.encoder))
        }
        TaskConfig::SimMim(task) => {
            let config = task.encoder.clone();
            let backbone = match &config {
                EncoderConfig::Vit(vit) => {
                    let task = task.clone().map_encoder(|_| vit.clone());
                    AnyBackbone::Vit(run.load(task.init(weights))?.encoder.body)
                }
                EncoderConfig::Swin(swin) => {
                    let task = task.clone().map_encoder(|_| swin.clone());
                    AnyBackbone::Swin(run.load(task.init(weights))?.encoder)
                }
                EncoderConfig::SwinV2(swin) => {
                    let task = task.clone().map_encoder(|_| swin.clone());
                    AnyBackbone::SwinV2(run.load(task.init(weights))?.encoder)
                }
            };
            (backbone, config.into())
        }
        TaskConfig::Beit(task) => {
            let (mean, std) = (&saved.statistics.mean, &saved.statistics.std);
            let tokenizer = task.tokenizer.init(weights);
            let body = run.load(task.init(tokenizer, mean, std, weights))?.encoder.body;
            (AnyBackbone::Vit(body), encoder(&task.encoder))
        }
        TaskConfig::BeitV2(task) => {
            let (mean, std) = (&saved.statistics.mean, &saved.statistics.std);
            let tokenizer = task.beit.tokenizer.init(weights);
            let body = run.load(task.init(tokenizer, mean, std, weights))?.encoder.vit.body;
            (AnyBackbone::Vit(body), encoder(&task.beit.encoder))
        }
        TaskConfig::MaskFeat(task) => {
            let body = run.load(task.init(weights))?.encoder.body;
            (AnyBackbone::Vit(body), encoder(&task.encoder))
        }
        TaskConfig::Restoration(task) => {
            let (mean, std) = (&saved.statistics.mean, &saved.statistics.std);
            let network = run.load(task.init(mean, std, weights))?.encoder;
            (AnyBackbone::Restoration(network), BackboneConfig::Restoration(task.network()))
        }
        TaskConfig::Context(task) => {
            let network = run.load(task.init(weights))?.encoder;
            let config = BackboneConfig::Residual(task.encoder.clone(), task.pairs.image);
            (AnyBackbone::Residual(network), config)
        }
        TaskConfig::Selfie(task) => {
            let network = run.load(task.init(weights))?.encoder;
            let config = BackboneConfig::Patchwise(task.encoder.clone(), task.image, task.patch);
            (AnyBackbone::Patchwise(network), config)
        }
        TaskConfig::ImageGpt(task) => {
            let GptConfig { colors, image, .. } = task.encoder;
            let palette = Tensor::zeros([colors, image.channels], device);
            let gpt = run.load(task.init(Some(palette), weights))?.encoder;
            (AnyBackbone::PixelGpt(gpt), BackboneConfig::PixelGpt(task.encoder.clone()))
        }
    })
}

/// The encoder of a published model.
fn of_model(model: TransformersModel) -> (AnyBackbone, BackboneConfig) {
    let vit =
        |body, config: VitConfig| (AnyBackbone::Vit(body), BackboneConfig::Encoder(config.into()));
    let gpt = |gpt, config| (AnyBackbone::PixelGpt(gpt), BackboneConfig::PixelGpt(config));
    match model {
        TransformersModel::Mae(loaded) => vit(loaded.model.encoder.body, loaded.config.encoder),
        TransformersModel::SimMim(loaded) => vit(loaded.model.encoder.body, loaded.config.encoder),
        TransformersModel::Encoder(loaded) => vit(loaded.model.body, loaded.config),
        TransformersModel::Beit(loaded) => vit(loaded.model.encoder.body, loaded.config),
        TransformersModel::BeitEncoder(loaded) => vit(loaded.model.body, loaded.config),
        TransformersModel::SwinSimMim(loaded) => {
            (AnyBackbone::Swin(loaded.model.encoder), loaded.config.encoder.into())
        }
        TransformersModel::Swin(loaded) => (AnyBackbone::Swin(loaded.model), loaded.config.into()),
        TransformersModel::SwinV2SimMim(loaded) => {
            (AnyBackbone::SwinV2(loaded.model.encoder), loaded.config.encoder.into())
        }
        TransformersModel::SwinV2(loaded) => {
            (AnyBackbone::SwinV2(loaded.model), loaded.config.into())
        }
        TransformersModel::ImageGpt(loaded) => gpt(loaded.model.encoder, loaded.config.encoder),
        TransformersModel::PixelGpt(loaded) => gpt(loaded.model, loaded.config),
    }
}

/// `ViT 128×6, patch 4`.
fn shape(config: &BackboneConfig) -> String {
    let stages = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
    match config {
        BackboneConfig::Encoder(EncoderConfig::Vit(vit)) => {
            format!("ViT {}×{}, patch {}", vit.width, vit.depth, vit.patch)
        }
        BackboneConfig::Encoder(EncoderConfig::Swin(swin)) => {
            format!("Swin {}×{}, patch {}", swin.width, stages(&swin.depths), swin.patch)
        }
        BackboneConfig::Encoder(EncoderConfig::SwinV2(swin)) => {
            let sizes = &swin.sizes;
            format!("Swin-v2 {}×{}, patch {}", sizes.width, stages(&sizes.depths), sizes.patch)
        }
        BackboneConfig::Residual(network, _) => {
            format!("residual network {}", stages(&network.widths))
        }
        BackboneConfig::Patchwise(network, _, patch) => {
            format!("residual network {} on patches of {patch}", stages(&network.widths))
        }
        BackboneConfig::Restoration(network) => {
            let vit = &network.transformer;
            format!("transformer {}×{}, patch {}", vit.width, vit.depth, vit.patch)
        }
        BackboneConfig::PixelGpt(gpt) => format!("transformer {}×{}", gpt.width, gpt.depth),
    }
}

impl FromStr for BackboneSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "none" { Self::None } else { Self::Folder(text.into()) })
    }
}

impl fmt::Display for BackboneSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}
