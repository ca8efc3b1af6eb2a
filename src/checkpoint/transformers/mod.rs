//! Reads and writes folders of Hugging Face transformers, with one file for each family.

mod beit;
mod beit_json;
mod config_file;
#[cfg(feature = "run")]
mod contents;
mod convnext;
mod convnext_json;
mod convnext_shapes;
mod encoders;
mod encoders_json;
#[cfg(feature = "data")]
mod framing;
mod hiera;
mod hiera_json;
mod image_gpt;
mod image_gpt_json;
mod json;
mod keep;
mod model;
mod preprocessor;
mod resnet;
mod shapes;
mod swin;
mod swin_json;
mod videomae;
mod videomae_json;
mod vit;
mod vit_json;
mod write;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, Loaded};
use super::weights_file::WeightsFile;
use crate::error::{Error, Result};
use crate::grid::{Grid, ImageShape};
use crate::nn::InitialWeights;

#[cfg(feature = "run")]
pub(crate) use contents::{Contents, Kind};

pub use beit::{save_beit, save_beit_encoder};
pub use convnext::{save_convnext_v2, save_convnext_v2_classifier};
#[cfg(feature = "data")]
pub use framing::save_framed_preprocessor;
pub use hiera::{save_hiera, save_hiera_mae};
pub use image_gpt::{save_image_gpt, save_pixel_gpt};
#[cfg(feature = "run")]
pub(crate) use keep::is_vit_or_beit;
pub use keep::{
    save_hiera_classifier, save_parameters, save_pretrained, save_swin_classifier,
    save_swin_v2_classifier, save_vit_classifier, save_vit_features,
};
pub use model::TransformersModel;
pub use preprocessor::save_preprocessor;
pub use resnet::save_resnet;
pub use swin::{save_swin, save_swin_simmim, save_swin_v2, save_swin_v2_simmim};
pub use videomae::{save_clip_encoder, save_videomae};
pub use vit::{save_mae, save_simmim, save_vit};

/// The fields that every `config.json` has.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Header {
    model_type: String,
    #[serde(deserialize_with = "json::names")]
    architectures: Vec<String>,
    mask_ratio: f64,
    use_mean_pooling: bool,
}

/// An opened folder: its configuration, and its weights, which are not read yet.
#[derive(Debug)]
pub struct Transformers {
    folder: PathBuf,
    /// The configuration, from its file or from the shapes of the weights.
    config: PathBuf,
    header: Header,
    /// The class that the weights are loaded as.
    architecture: String,
    json: Value,
    file: WeightsFile,
    image: Option<ImageShape>,
    assumed: Option<String>,
}

/// A family of models that share their configuration and spell their keys alike.
#[derive(Debug)]
struct Family {
    model_types: &'static [&'static str],
    /// Each class with the function that loads it.
    architectures: &'static [(&'static str, Load)],
    /// Turns a key into the spelling of `save_pretrained`.
    as_saved: fn(&str) -> String,
    /// For a folder that names no class: keys, each with the class whose weights have it.
    by_key: &'static [(&'static str, &'static str)],
}

type Load = fn(&Transformers, LoadOptions, &Device) -> Result<TransformersModel>;

static FAMILIES: [Family; 15] = [
    vit::FAMILY,
    swin::SWIN,
    swin::SWIN_V2,
    convnext::FAMILY,
    resnet::FAMILY,
    beit::FAMILY,
    image_gpt::FAMILY,
    encoders::MSN,
    encoders::DATA2VEC,
    encoders::I_JEPA,
    encoders::DINOV2_FAMILY,
    encoders::REGISTERS,
    encoders::CLIP,
    hiera::FAMILY,
    videomae::FAMILY,
];

/// Endings of keys that hold no weights: indices of biases and positions, ImageGPT's causal masks, the
/// batches that a norm saw.
const BUFFERS: [&str; 5] = [
    "relative_position_index",
    ".attn.bias",
    ".attn.masked_bias",
    "position_ids",
    "num_batches_tracked",
];

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

impl Header {
    /// The family by the type of the model, or else by a class's name.
    fn family(&self) -> Result<&'static Family, String> {
        let is_named = |family: &&Family| {
            let known = family.architectures.iter().map(|(name, _)| *name);
            known.into_iter().any(|known| self.architectures.iter().any(|name| name == known))
        };
        let is_known = |family: &&Family| family.model_types.contains(&self.model_type.as_str());
        let mut families = FAMILIES.iter();
        let found = match self.model_type.is_empty() {
            true => families.find(is_named),
            false => families.find(is_known),
        };
        found.ok_or_else(|| {
            let types: Vec<&str> =
                FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
            let has: String = self.model_type.chars().take(60).collect();
            format!("config.json has the model_type {has:?}; supported are {}", types.join(", "))
        })
    }

    /// The class that is named, or else the one whose keys `file` has.
    fn architecture(&self, family: &Family, file: &WeightsFile) -> String {
        if let [first, ..] = self.architectures.as_slice() {
            let is_known = |name: &&String| family.architectures.iter().any(|(k, _)| k == *name);
            return self.architectures.iter().find(is_known).unwrap_or(first).clone();
        }
        let has = |key: &&str| key.is_empty() || file.find(key).is_some();
        let by_key = family.by_key.iter().find(|(key, _)| has(key));
        by_key.map_or("", |(_, name)| name).to_string()
    }
}

impl Transformers {
    /// Opens a folder with a `config.json` and weights, as [`WeightsFile::open_folder`] finds them,
    /// or one file of weights with a `config.json` beside it. Without one, what a vision transformer
    /// looks like is read from its shapes, and [`assumed`](Self::assumed) says what is not in them.
    ///
    /// # Errors
    ///
    /// When a file is missing or cannot be read, or the model is of no kind this crate has.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            return Self::open_file(path);
        }
        let config = path.join("config.json");
        let json = config_file::read(&config)?;
        Self::new(path.to_path_buf(), config, json, WeightsFile::open(path)?)
    }

    /// Opens a file of weights by the configuration beside it, or by its shapes.
    fn open_file(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(path).to_path_buf();
        let config = folder.join("config.json");
        let mut file = WeightsFile::open(path)?;
        if config.is_file() {
            let json = config_file::read(&config)?;
            // The `config.json` of a run, or of something else, describes other weights.
            if json.get("model_type").or(json.get("architectures")).is_some() {
                return Self::new(folder, config, json, file);
            }
        }
        file.rename(vit::FAMILY.as_saved);
        let guess = shapes::guess(&file).map_err(|reason| Error::checkpoint(path, reason))?;
        let mut opened = Self::new(folder, path.to_path_buf(), guess.json, file)?;
        opened.assumed = Some(guess.assumed);
        Ok(opened)
    }

    fn new(folder: PathBuf, config: PathBuf, json: Value, mut file: WeightsFile) -> Result<Self> {
        let fault = |reason: String| Error::checkpoint(&config, reason);
        let header: Header = config_file::parsed(&json).map_err(fault)?;
        let family = header.family().map_err(fault)?;
        // A whole CLIP has the fields of its vision transformer in one of its own.
        let json = match json.get("vision_config").filter(|_| header.model_type == "clip") {
            Some(vision) => vision.clone(),
            None => json,
        };
        config_file::check_sizes(&json, &file).map_err(fault)?;
        let architecture = header.architecture(family, &file);
        file.rename(family.as_saved);
        Ok(Self { folder, config, header, architecture, json, file, image: None, assumed: None })
    }

    /// Builds the model for images of another shape than it was trained on. This needs
    /// [`LoadOptions::resize`].
    pub fn with_image(mut self, image: ImageShape) -> Self {
        self.image = Some(image);
        self
    }

    /// Builds the model for square images of `side` pixels and the model's own channels, as
    /// [`with_image`](Self::with_image) does.
    pub fn resized_to(mut self, side: usize) -> Self {
        let channels = self.json["num_channels"].as_u64().unwrap_or(3) as usize;
        self.image = Some(ImageShape::square(channels, side));
        self
    }

    /// The class `config.json` names, such as `ViTMAEForPreTraining`; where it names none, the one
    /// whose keys the weights have.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The assumptions about a file without a configuration, as a text for people.
    pub fn assumed(&self) -> Option<&str> {
        self.assumed.as_deref()
    }

    /// The file or folder the weights are read from.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The share of patches that a masked autoencoder hides.
    pub fn mask_ratio(&self) -> f64 {
        self.header.mask_ratio
    }

    /// Whether the final norm of a BEiT or data2vec comes after pooling: its `last_hidden_state` is
    /// then the output of [`Backbone::represent_layers`](crate::Backbone::represent_layers) after all blocks.
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
        let (_, load) = known().find(|(name, _)| *name == self.architecture).ok_or_else(|| {
            let names = known().map(|(name, _)| *name);
            let names: Vec<_> =
                names.filter(|name| !name.ends_with("ForImageClassification")).collect();
            self.fault(format!(
                "config.json names the architecture {:?}; supported are {} and most classifiers",
                self.architecture.chars().take(60).collect::<String>(),
                names.join(", ")
            ))
        })?;
        load(self, options, device)
    }

    /// The configuration as a family reads it.
    fn parsed<J: DeserializeOwned>(&self) -> Result<J> {
        config_file::parsed(&self.json).map_err(|error| self.fault(error))
    }

    /// Makes a model by `make`, and loads the tensors that `entries` find in the folder, whose
    /// position tables belong to `grid`.
    fn fill<M: Module, C>(
        &self,
        make: impl FnOnce(&C, &mut InitialWeights) -> M,
        config: C,
        entries: &[Entry],
        grid: Option<Grid>,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<M, C>> {
        let form = match self.file.find("blocks.0.norm1.weight") {
            Some(_) => format!("official and timm keys of a {}", self.architecture),
            None => format!("transformers {}", self.architecture),
        };
        let source = Source { file: &self.file, form: &form, grid, device: device.clone() };
        let make = || make(&config, &mut InitialWeights::new(0, device));
        let (model, report) = layout::load(make, entries, &source, &BUFFERS, options)?;
        Ok(Loaded { model, config, report })
    }

    fn fault(&self, error: impl std::fmt::Display) -> Error {
        Error::checkpoint(&self.config, error)
    }
}
