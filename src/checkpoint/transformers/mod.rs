//! Folders of Hugging Face transformers, in and out: one file a family.

mod beit;
mod beit_json;
mod image_gpt;
mod image_gpt_json;
mod json;
mod swin;
mod swin_json;
mod vit;
mod vit_json;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, Loaded};
use super::weights_file::WeightsFile;
use crate::encoder::{
    GptConfig, PixelGpt, Swin, SwinConfig, SwinV2, SwinV2Config, VisibleVit, Vit, VitConfig,
};
use crate::error::{Error, Result};
use crate::grid::{Grid, ImageShape};
use crate::task::{
    BeitNetwork, BeitNetworkConfig, ImageGpt, ImageGptConfig, Mae, MaeConfig, SimMim, SimMimConfig,
};

pub use beit::{save_beit, save_beit_encoder};
pub use image_gpt::{save_image_gpt, save_pixel_gpt};
pub use swin::{save_swin, save_swin_simmim, save_swin_v2, save_swin_v2_simmim};
pub use vit::{save_mae, save_simmim, save_vit};

/// What every `config.json` says.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Header {
    model_type: String,
    architectures: Vec<String>,
    mask_ratio: f64,
    use_mean_pooling: bool,
}

/// An opened folder: its configuration, and its weights unread.
#[derive(Debug)]
pub struct Transformers {
    folder: PathBuf,
    header: Header,
    json: Value,
    file: WeightsFile,
    image: Option<ImageShape>,
}

/// What a folder holds.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransformersModel {
    /// `ViTMAEForPreTraining`.
    Mae(Box<Loaded<Mae, MaeConfig>>),
    /// `ViTForMaskedImageModeling`.
    SimMim(Box<Loaded<SimMim, SimMimConfig>>),
    /// The encoder of a `ViTModel`, `ViTMAEModel` or `ViTForImageClassification`.
    Encoder(Box<Loaded<VisibleVit, VitConfig>>),
    /// `SwinForMaskedImageModeling`.
    SwinSimMim(Box<Loaded<SimMim<Swin>, SimMimConfig<SwinConfig>>>),
    /// The encoder of a `SwinModel` or `SwinForImageClassification`.
    Swin(Box<Loaded<Swin, SwinConfig>>),
    /// `Swinv2ForMaskedImageModeling`.
    SwinV2SimMim(Box<Loaded<SimMim<SwinV2>, SimMimConfig<SwinV2Config>>>),
    /// The encoder of a `Swinv2Model` or `Swinv2ForImageClassification`.
    SwinV2(Box<Loaded<SwinV2, SwinV2Config>>),
    /// `ImageGPTForCausalImageModeling`.
    ImageGpt(Box<Loaded<ImageGpt, ImageGptConfig>>),
    /// The transformer of an `ImageGPTModel` or `ImageGPTForImageClassification`.
    PixelGpt(Box<Loaded<PixelGpt, GptConfig>>),
    /// `BeitForMaskedImageModeling`.
    Beit(Box<Loaded<BeitNetwork, BeitNetworkConfig>>),
    /// The encoder of a `BeitModel` or `BeitForImageClassification`.
    BeitEncoder(Box<Loaded<Vit, VitConfig>>),
}

/// A family of models that share their configuration and spell their keys alike.
struct Family {
    model_types: &'static [&'static str],
    /// Each class and what loads it.
    architectures: &'static [(&'static str, Load)],
    /// A key as `save_pretrained` spells it.
    as_saved: fn(&str) -> String,
}

type Load = fn(&Transformers, LoadOptions, &Device) -> Result<TransformersModel>;

static FAMILIES: [Family; 5] =
    [vit::FAMILY, swin::SWIN, swin::SWIN_V2, beit::FAMILY, image_gpt::FAMILY];

/// Endings of keys that hold no weights: indices of biases, ImageGPT's causal masks.
const BUFFERS: [&str; 3] = ["relative_position_index", ".attn.bias", ".attn.masked_bias"];

impl Default for Header {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            architectures: Vec::new(),
            mask_ratio: 0.75,
            use_mean_pooling: true,
        }
    }
}

impl Transformers {
    /// Opens a folder with a `config.json` and `model.safetensors`, its shards, or
    /// `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// When a file is missing or cannot be read, or the model is of no kind this crate has.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_path_buf();
        let path = folder.join("config.json");
        let bytes = fs::read(&path).map_err(|error| Error::checkpoint(&path, error))?;
        let fault = |error: serde_json::Error| Error::checkpoint(&path, error);
        let json: Value = serde_json::from_slice(&bytes).map_err(fault)?;
        let header = Header::deserialize(&json).map_err(fault)?;
        let types = || FAMILIES.iter().flat_map(|family| family.model_types).copied();
        let is_known = |family: &&Family| family.model_types.contains(&&*header.model_type);
        let family = FAMILIES.iter().find(is_known).ok_or_else(|| {
            let (has, known) = (&header.model_type, types().collect::<Vec<_>>().join(", "));
            let reason = format!("config.json has the model_type {has:?}; supported are {known}");
            Error::checkpoint(&folder, reason)
        })?;
        let mut file = WeightsFile::open_folder(&folder)?;
        file.rename(family.as_saved);
        Ok(Self { folder, header, json, file, image: None })
    }

    /// Builds the model for other images than those it was trained on; needs
    /// [`LoadOptions::resize`].
    pub fn with_image(mut self, image: ImageShape) -> Self {
        self.image = Some(image);
        self
    }

    /// The class `config.json` names, such as `ViTMAEForPreTraining`.
    pub fn architecture(&self) -> &str {
        self.header.architectures.first().map_or("", String::as_str)
    }

    /// The share of patches a masked autoencoder hides.
    pub fn mask_ratio(&self) -> f64 {
        self.header.mask_ratio
    }

    /// Whether a BEiT's final norm comes after pooling: its `last_hidden_state` is then that of
    /// [`Vit::tokens_after`] all blocks.
    pub fn mean_pooling(&self) -> bool {
        self.header.use_mean_pooling
    }

    /// Loads the model the configuration names.
    ///
    /// # Errors
    ///
    /// When the architecture is not one of [`TransformersModel`], a tensor cannot be read or has
    /// another shape, or the load is strict and a key differs.
    pub fn load(&self, options: LoadOptions, device: &Device) -> Result<TransformersModel> {
        let known = || FAMILIES.iter().flat_map(|family| family.architectures);
        let (_, load) =
            known().find(|(name, _)| *name == self.architecture()).ok_or_else(|| {
                let names: Vec<_> = known().map(|(name, _)| *name).collect();
                let reason = format!(
                    "config.json names the architecture {:?}; supported are {}",
                    self.architecture(),
                    names.join(", ")
                );
                Error::checkpoint(&self.folder, reason)
            })?;
        load(self, options, device)
    }

    /// The configuration as a family reads it.
    fn config<J: DeserializeOwned>(&self) -> Result<J> {
        J::deserialize(&self.json).map_err(|error| self.fault(error))
    }

    /// Loads into `model` what `entries` find in the folder, whose position tables are over `grid`.
    fn fill<M: Module, C>(
        &self,
        model: M,
        config: C,
        entries: &[Entry],
        grid: Option<Grid>,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<M, C>> {
        let source = Source { file: &self.file, grid, device: device.clone() };
        let (model, report) = layout::load(model, entries, &source, &BUFFERS, options)?;
        Ok(Loaded { model, config, report })
    }

    fn fault(&self, error: impl std::fmt::Display) -> Error {
        Error::checkpoint(self.folder.join("config.json"), error)
    }
}
