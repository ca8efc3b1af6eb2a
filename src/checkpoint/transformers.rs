//! Folders of Hugging Face transformers: ViTMAE and ViT, in and out.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use safetensors::tensor::{Dtype, View};
use serde_json::Value;

use super::layout::{self, Entry, Source};
use super::report::{LoadOptions, LoadReport, Loaded};
use super::transformers_config::{VitJson, mae_json, vit_json};
use super::vit_names::{TRANSFORMERS, VitNames, pointwise};
use super::weights_file::{HostTensor, WeightsFile};
use crate::encoder::{VisibleVit, VitConfig};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::grid::ImageShape;
use crate::nn::Weights;
use crate::task::{Mae, MaeConfig, SimMim, SimMimConfig};

/// The decoder's blocks as `save_pretrained` of transformers 5 names them.
const DECODER_BLOCKS: &str = "decoder.decoder_encoder.layer";
/// Other spellings of a part of a key, and how `save_pretrained` spells it: those of the files on
/// the hub and of the modules of transformers 5 in memory.
const SPELLINGS: [(&str, &str); 7] = [
    ("decoder.decoder_layers.", "decoder.decoder_encoder.layer."),
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
];

/// An opened folder: its configuration, and its weights unread.
#[derive(Debug)]
pub struct Transformers {
    folder: PathBuf,
    json: VitJson,
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
}

impl Transformers {
    /// Opens a folder with a `config.json` and `model.safetensors`, its shards, or
    /// `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// When a file is missing or cannot be read, or the model is of no kind this crate has.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let json = VitJson::read(&folder.join("config.json"))?;
        if !["vit", "vit_mae"].contains(&json.model_type.as_str()) {
            let reason = format!(
                "config.json has the model_type {:?}; supported are vit and vit_mae",
                json.model_type
            );
            return Err(Error::checkpoint(folder, reason));
        }
        let mut file = WeightsFile::open_folder(folder)?;
        file.rename(as_saved);
        Ok(Self { folder: folder.to_path_buf(), json, file, image: None })
    }

    /// Builds the model for other images than those it was trained on; needs
    /// [`LoadOptions::resize`].
    pub fn with_image(mut self, image: ImageShape) -> Self {
        self.image = Some(image);
        self
    }

    /// The class `config.json` names, such as `ViTMAEForPreTraining`.
    pub fn architecture(&self) -> &str {
        self.json.architectures.first().map_or("", String::as_str)
    }

    /// The share of patches a masked autoencoder hides.
    pub fn mask_ratio(&self) -> f64 {
        self.json.mask_ratio
    }

    /// Loads the model the configuration names.
    ///
    /// # Errors
    ///
    /// When the architecture is not one of [`TransformersModel`], a tensor cannot be read or has
    /// another shape, or the load is strict and a key differs.
    pub fn load(&self, options: LoadOptions, device: &Device) -> Result<TransformersModel> {
        Ok(match self.architecture() {
            "ViTMAEForPreTraining" => TransformersModel::Mae(self.mae(options, device)?.into()),
            "ViTForMaskedImageModeling" => {
                TransformersModel::SimMim(self.simmim(options, device)?.into())
            }
            "ViTModel" | "ViTMAEModel" | "ViTForImageClassification" => {
                TransformersModel::Encoder(self.encoder(options, device)?.into())
            }
            other => {
                return Err(Error::checkpoint(
                    &self.folder,
                    format!(
                        "config.json names the architecture {other:?}; supported are \
                         ViTMAEForPreTraining, ViTForMaskedImageModeling, ViTModel, ViTMAEModel, \
                         ViTForImageClassification"
                    ),
                ));
            }
        })
    }

    /// Loads a masked autoencoder.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn mae(&self, options: LoadOptions, device: &Device) -> Result<Loaded<Mae, MaeConfig>> {
        let mut config = self.json.mae().map_err(|error| self.fault(error))?;
        config.encoder.image = self.image.unwrap_or(config.encoder.image);
        config.validate().map_err(|error| self.fault(error))?;
        let model = config.init(&mut Weights::new(0, device));
        let (model, report) = self.fill(model, &mae_entries(&config), options, device)?;
        Ok(Loaded { model, config, report })
    }

    /// Loads a ViT with a mask token and a linear head.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn simmim(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<SimMim, SimMimConfig>> {
        let mut config = self.json.simmim().map_err(|error| self.fault(error))?;
        config.encoder.image = self.image.unwrap_or(config.encoder.image);
        config.validate().map_err(|error| self.fault(error))?;
        let model = config.init(&mut Weights::new(0, device));
        let (model, report) =
            self.fill(model, &simmim_entries(&config.encoder), options, device)?;
        Ok(Loaded { model, config, report })
    }

    /// Loads the encoder alone, from any of the architectures.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn encoder(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<VisibleVit, VitConfig>> {
        let mut config = self.json.encoder().map_err(|error| self.fault(error))?;
        config.image = self.image.unwrap_or(config.image);
        config.validate().map_err(|error| self.fault(error))?;
        let whole_model = self.file.keys().any(|key| key.starts_with("vit."));
        let names = VitNames::transformers(if whole_model { "vit." } else { "" });
        let model = config.init_visible(&mut Weights::new(0, device));
        let (model, report) = self.fill(model, &names.body("body", &config), options, device)?;
        Ok(Loaded { model, config, report })
    }

    fn fill<M: Module>(
        &self,
        model: M,
        entries: &[Entry],
        options: LoadOptions,
        device: &Device,
    ) -> Result<(M, LoadReport)> {
        let grid = self.json.encoder().ok().map(|config| config.grid());
        let source = Source { file: &self.file, grid, device: device.clone() };
        layout::load(model, entries, &source, &[], options)
    }

    fn fault(&self, error: Error) -> Error {
        Error::checkpoint(self.folder.join("config.json"), error)
    }
}

/// `key` as `save_pretrained` spells it.
fn as_saved(key: &str) -> String {
    let (prefix, rest) = match key.strip_prefix("vit.") {
        Some(rest) => ("vit.", rest),
        None => ("", key),
    };
    let rest = match rest.strip_prefix("layers.") {
        Some(block) => format!("encoder.layer.{block}"),
        None => rest.to_string(),
    };
    SPELLINGS
        .iter()
        .fold(format!("{prefix}{rest}"), |key, (other, saved)| key.replace(other, saved))
}

/// Writes a folder that transformers loads as `ViTMAEForPreTraining`.
///
/// # Errors
///
/// When the model has a part that transformers' has not, or a file cannot be written.
pub fn save_mae(folder: impl AsRef<Path>, model: &Mae, config: &MaeConfig) -> Result<()> {
    write(folder.as_ref(), mae_json(config)?, layout::save(model, &mae_entries(config)))
}

/// Writes a folder that transformers loads as `ViTForMaskedImageModeling`.
///
/// # Errors
///
/// When the model has a part that transformers' has not, or a file cannot be written.
pub fn save_simmim(folder: impl AsRef<Path>, model: &SimMim, config: &SimMimConfig) -> Result<()> {
    let json = vit_json(&config.encoder, "ViTForMaskedImageModeling", "vit")?;
    write(folder.as_ref(), json, layout::save(model, &simmim_entries(&config.encoder)))
}

/// Writes a folder that transformers loads as `ViTMAEModel`: an encoder without the pooler that
/// `ViTModel` has.
///
/// # Errors
///
/// When the model has a part that transformers' has not, or a file cannot be written.
pub fn save_vit(folder: impl AsRef<Path>, model: &VisibleVit, config: &VitConfig) -> Result<()> {
    let json = vit_json(config, "ViTMAEModel", "vit_mae")?;
    let entries = VitNames::transformers("").body("body", config);
    write(folder.as_ref(), json, layout::save(model, &entries))
}

fn mae_entries(config: &MaeConfig) -> Vec<Entry> {
    let MaeConfig { encoder, decoder, .. } = config;
    let mut entries = VitNames::transformers("vit.").body("encoder.body", encoder);
    let (blocks, values) = (DECODER_BLOCKS, encoder.patch_values());
    entries.extend(VitNames::decoder("decoder.", blocks, TRANSFORMERS, encoder, decoder, values));
    entries
}

fn simmim_entries(encoder: &VitConfig) -> Vec<Entry> {
    let VitConfig { width, .. } = *encoder;
    let mut entries = VitNames::transformers("vit.").body("encoder.body", encoder);
    let token = "vit.embeddings.mask_token".into();
    entries.push(Entry::tensor("encoder.mask_token".into(), token, &[1, 1, width]));
    entries.extend(pointwise("head.projection", "decoder.0", width, encoder.patch_values()));
    entries
}

/// Little-endian bytes, as safetensors keeps them.
struct Bytes {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Bytes {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn write(folder: &Path, json: Value, tensors: Vec<(String, HostTensor)>) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::checkpoint(folder, error))?;
    let bytes = |HostTensor { shape, values }: HostTensor| Bytes {
        shape,
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    let tensors: HashMap<_, _> = tensors.into_iter().map(|(k, t)| (k, bytes(t))).collect();
    let format = HashMap::from([("format".to_string(), "pt".to_string())]);
    let path = folder.join("model.safetensors");
    let fault = |error: &dyn std::fmt::Display| Error::checkpoint(&path, error);
    let serialized = safetensors::serialize(&tensors, Some(format)).map_err(|e| fault(&e))?;
    write_whole(&path, &serialized).map_err(|e| fault(&e))?;
    let config = folder.join("config.json");
    let json = format!("{json:#}\n");
    write_whole(&config, json.as_bytes()).map_err(|error| Error::checkpoint(&config, error))
}
