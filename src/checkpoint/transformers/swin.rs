//! Swin and Swin-v2.

use std::path::Path;

use burn::tensor::Device;

use super::swin_json::{SwinJson, swin_json, swin_v2_json};
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::swin_names::SwinNames;
use crate::encoder::{EncoderConfig, Swin, SwinConfig, SwinV2, SwinV2Config};
use crate::error::Result;
use crate::grid::Grid;
use crate::method::{SimMim, SimMimConfig};

pub(super) const SWIN: Family = Family {
    model_types: &["swin"],
    architectures: &[
        ("SwinForMaskedImageModeling", |folder, options, device| {
            Ok(TransformersModel::SwinSimMim(folder.swin_simmim(options, device)?.into()))
        }),
        ("SwinModel", swin),
        ("SwinForImageClassification", swin),
    ],
    as_saved,
    by_key: &[("decoder.0.weight", "SwinForMaskedImageModeling"), ("", "SwinModel")],
};

pub(super) const SWIN_V2: Family = Family {
    model_types: &["swinv2"],
    architectures: &[
        ("Swinv2ForMaskedImageModeling", |folder, options, device| {
            Ok(TransformersModel::SwinV2SimMim(folder.swin_v2_simmim(options, device)?.into()))
        }),
        ("Swinv2Model", swin_v2),
        ("Swinv2ForImageClassification", swin_v2),
    ],
    as_saved,
    by_key: &[("decoder.0.weight", "Swinv2ForMaskedImageModeling"), ("", "Swinv2Model")],
};

/// Spellings of a part of a key in the modules of transformers 5 in memory, each with the spelling
/// of `save_pretrained`.
const SPELLINGS: [(&str, &str); 7] = [
    (".attention.q_proj.", ".attention.self.query."),
    (".attention.k_proj.", ".attention.self.key."),
    (".attention.v_proj.", ".attention.self.value."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".attention.relative_position_bias.", ".attention.self."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
];

impl Transformers {
    /// Loads SimMIM on Swin.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn swin_simmim(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<SimMim<Swin>, SimMimConfig<SwinConfig>>> {
        let (config, grid) = self.swin_with(SwinJson::swin, SwinConfig::with_image)?;
        let config = self.swin_head(config)?;
        let entries = SwinNames::transformers("swin.").simmim(&config.encoder);
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// Loads Swin alone, from any of its architectures; its mask token is fresh where the folder
    /// has none.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn swin(&self, options: LoadOptions, device: &Device) -> Result<Loaded<Swin, SwinConfig>> {
        let (config, grid) = self.swin_with(SwinJson::swin, SwinConfig::with_image)?;
        let names = self.swin_names("swin.");
        let mut entries = names.swin("", &config);
        entries.extend(self.mask_token(&names, &config));
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// Loads SimMIM on Swin-v2.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn swin_v2_simmim(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<SimMim<SwinV2>, SimMimConfig<SwinV2Config>>> {
        let (config, grid) = self.swin_with(SwinJson::swin_v2, SwinV2Config::resized_to)?;
        let config = self.swin_head(config)?;
        let entries = SwinNames::transformers("swinv2.").simmim_v2(&config.encoder);
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// Loads Swin-v2 alone, from any of its architectures; its mask token is fresh where the
    /// folder has none.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn swin_v2(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<SwinV2, SwinV2Config>> {
        let (config, grid) = self.swin_with(SwinJson::swin_v2, SwinV2Config::resized_to)?;
        let names = self.swin_names("swinv2.");
        let mut entries = names.swin_v2("", &config);
        entries.extend(self.mask_token(&names, &config.sizes));
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// The configuration that `read` makes for the images asked for, and the grid of the folder's
    /// own images.
    pub(super) fn swin_with<C: EncoderConfig>(
        &self,
        read: fn(&SwinJson) -> Result<C>,
        with_image: fn(C, crate::grid::ImageShape) -> C,
    ) -> Result<(C, Grid)> {
        let json: SwinJson = self.parsed()?;
        let grid = json.swin().map_err(|error| self.fault(error))?.grid();
        let mut config = read(&json).map_err(|error| self.fault(error))?;
        if let Some(image) = self.image {
            config = with_image(config, image);
            config.validate().map_err(|error| self.fault(error))?;
        }
        Ok((config, grid))
    }

    pub(super) fn swin_head<C: EncoderConfig>(&self, encoder: C) -> Result<SimMimConfig<C>> {
        let json: SwinJson = self.parsed()?;
        let config = json.simmim(encoder).map_err(|error| self.fault(error))?;
        config.validate().map_err(|error| self.fault(error))?;
        Ok(config)
    }

    fn swin_names(&self, prefix: &str) -> SwinNames {
        let whole_model = self.file.keys().any(|key| key.starts_with(prefix));
        SwinNames::transformers(if whole_model { prefix } else { "" })
    }

    fn mask_token(&self, names: &SwinNames, config: &SwinConfig) -> Option<Entry> {
        let has_one = self.file.keys().any(|key| key.ends_with("embeddings.mask_token"));
        has_one.then(|| names.mask_token("", config))
    }
}

fn swin(folder: &Transformers, options: LoadOptions, device: &Device) -> Result<TransformersModel> {
    Ok(TransformersModel::Swin(folder.swin(options, device)?.into()))
}

fn swin_v2(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::SwinV2(folder.swin_v2(options, device)?.into()))
}

/// `key` as `save_pretrained` spells it.
fn as_saved(key: &str) -> String {
    SPELLINGS.iter().fold(key.to_string(), |key, (other, saved)| key.replace(other, saved))
}

/// Writes a folder that transformers loads as `SwinForMaskedImageModeling`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_swin_simmim(
    folder: impl AsRef<Path>,
    model: &SimMim<Swin>,
    config: &SimMimConfig<SwinConfig>,
) -> Result<()> {
    let json = swin_json(&config.encoder, "SwinForMaskedImageModeling");
    let entries = SwinNames::transformers("swin.").simmim(&config.encoder);
    write(folder.as_ref(), json, layout::save(model, &entries))
}

/// Writes a folder that transformers loads as `SwinModel`, without the mask token, which that class
/// lacks.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_swin(folder: impl AsRef<Path>, model: &Swin, config: &SwinConfig) -> Result<()> {
    let entries = SwinNames::transformers("").swin("", config);
    write(folder.as_ref(), swin_json(config, "SwinModel"), layout::save(model, &entries))
}

/// Writes a folder that transformers loads as `Swinv2ForMaskedImageModeling`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_swin_v2_simmim(
    folder: impl AsRef<Path>,
    model: &SimMim<SwinV2>,
    config: &SimMimConfig<SwinV2Config>,
) -> Result<()> {
    let json = swin_v2_json(&config.encoder, "Swinv2ForMaskedImageModeling")?;
    let entries = SwinNames::transformers("swinv2.").simmim_v2(&config.encoder);
    write(folder.as_ref(), json, layout::save(model, &entries))
}

/// Writes a folder that transformers loads as `Swinv2Model`, without the mask token, which that class
/// lacks.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_swin_v2(folder: impl AsRef<Path>, model: &SwinV2, config: &SwinV2Config) -> Result<()> {
    let entries = SwinNames::transformers("").swin_v2("", config);
    write(folder.as_ref(), swin_v2_json(config, "Swinv2Model")?, layout::save(model, &entries))
}
