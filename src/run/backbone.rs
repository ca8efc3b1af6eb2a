//! Encoders from wherever they are kept.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::Device;

use super::RunConfig;
use crate::checkpoint::{LoadOptions, Transformers};
use crate::data::ChannelStatistics;
use crate::encoder::{AnyBackbone, VitConfig};
use crate::error::{Error, Result};
use crate::nn::Weights;
use crate::task::TaskConfig;
use crate::train::RunFolder;

/// Where an encoder comes from; written as a folder, or as `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackboneSource {
    /// A folder: that of a pre-training run, or one of Hugging Face transformers.
    Folder(PathBuf),
    /// Nowhere: random weights.
    None,
}

/// An encoder and what is known of it.
#[derive(Debug)]
pub struct LoadedBackbone {
    /// The encoder, on a plain device.
    pub backbone: AnyBackbone,
    /// What it is, in a few words.
    pub title: String,
    /// The run it comes from, and what that says of itself.
    pub run: Option<(RunFolder, RunConfig)>,
}

impl BackboneSource {
    /// Loads the encoder; where there is none, one of `random` with weights of `seed`.
    ///
    /// # Errors
    ///
    /// When the folder holds neither a run nor a transformers model, or what it holds cannot be
    /// loaded.
    pub fn load(&self, random: &VitConfig, seed: u64, device: &Device) -> Result<LoadedBackbone> {
        let Self::Folder(folder) = self else {
            random.validate()?;
            let backbone = AnyBackbone::new(random, &mut Weights::new(seed, device));
            return Ok(LoadedBackbone {
                title: format!("random {}", shape(random)),
                backbone,
                run: None,
            });
        };
        let run = RunFolder::new(folder);
        if run.latest()?.is_some() {
            return LoadedBackbone::of_run(run, device);
        }
        if is_transformers(folder) {
            return LoadedBackbone::of_transformers(folder, device);
        }
        Err(Error::checkpoint(
            folder,
            "holds neither the checkpoints of a run nor the config.json of a transformers model",
        ))
    }
}

impl LoadedBackbone {
    fn of_run(run: RunFolder, device: &Device) -> Result<Self> {
        let config: RunConfig = run.config()?;
        config.task.validate()?;
        let weights = &mut Weights::new(0, device);
        let body = match &config.task {
            TaskConfig::Mae(mae) => run.load(mae.init(weights))?.encoder.body,
            TaskConfig::SimMim(simmim) => run.load(simmim.init(weights))?.encoder.body,
        };
        let title = format!("{} {}", config.task.title(), shape(config.task.encoder()));
        Ok(Self { backbone: AnyBackbone::Vit(body), title, run: Some((run, config)) })
    }

    fn of_transformers(folder: &Path, device: &Device) -> Result<Self> {
        let folder = Transformers::open(folder)?;
        let loaded = folder.encoder(LoadOptions::default(), device)?;
        let title = format!("{} {}", folder.architecture(), shape(&loaded.config));
        Ok(Self { backbone: AnyBackbone::Vit(loaded.model.body), title, run: None })
    }

    /// How the encoder's images were normalised, if that is known.
    pub fn statistics(&self) -> Option<&ChannelStatistics> {
        self.run.as_ref().map(|(_, config)| &config.statistics)
    }

    /// An encoder of the same shape with random weights.
    pub fn random(&self, seed: u64) -> AnyBackbone {
        let device = self.backbone.devices().into_iter().next().expect("it has parameters");
        AnyBackbone::new(self.backbone.config(), &mut Weights::new(seed, &device))
    }
}

/// `ViT 128×6, patch 4`.
fn shape(config: &VitConfig) -> String {
    format!("ViT {}×{}, patch {}", config.width, config.depth, config.patch)
}

fn is_transformers(folder: &Path) -> bool {
    let json = std::fs::read(folder.join("config.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    json.get("model_type").is_some()
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
