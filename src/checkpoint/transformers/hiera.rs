//! Hiera, and MAE on it.

use std::path::Path;

use burn::tensor::Device;

use super::hiera_json::{HieraJson, hiera_json, hiera_mae_json};
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::hiera_names::HieraNames;
use crate::checkpoint::layout;
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::encoder::{Hiera, HieraConfig};
use crate::error::Result;
use crate::grid::Grid;
use crate::method::{HieraMae, HieraMaeConfig};

pub(super) const FAMILY: Family = Family {
    model_types: &["hiera"],
    architectures: &[
        ("HieraForPreTraining", |folder, options, device| {
            Ok(TransformersModel::HieraMae(folder.hiera_mae(options, device)?.into()))
        }),
        ("HieraModel", hiera),
        ("HieraBackbone", hiera),
        ("HieraForImageClassification", hiera),
    ],
    as_saved: str::to_string,
    by_key: &[("decoder.decoder_pred.weight", "HieraForPreTraining"), ("", "HieraModel")],
};

impl Transformers {
    /// Loads MAE on Hiera.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn hiera_mae(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<HieraMae, HieraMaeConfig>> {
        let (config, grid) = self.hiera_mae_config()?;
        let entries = self.hiera_names("hiera.").mae(&config);
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// Loads Hiera alone, from any of its architectures. What norms its pooled features in a
    /// `HieraModel` and a classifier is no part of it, and stays unused.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn hiera(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<Hiera, HieraConfig>> {
        let (config, grid) = self.hiera_config()?;
        let prefix = match self.file.keys().any(|key| key.starts_with("hiera.")) {
            true => "hiera.",
            false => "",
        };
        let entries = self.hiera_names(prefix).hiera("", &config);
        self.fill(|c, w| c.init(w), config, &entries, Some(grid), options, device)
    }

    /// The names of the keys, which may be the official code's.
    fn hiera_names(&self, prefix: &str) -> HieraNames {
        match self.file.find("blocks.0.norm1.weight") {
            Some(_) => HieraNames::official(),
            None => HieraNames::transformers(prefix),
        }
    }

    /// The configuration for the images asked for, and the grid of the folder's own images.
    pub(super) fn hiera_mae_config(&self) -> Result<(HieraMaeConfig, Grid)> {
        let (encoder, grid) = self.hiera_config()?;
        let json: HieraJson = self.parsed()?;
        let config = json.mae(encoder).map_err(|error| self.fault(error))?;
        Ok((config, grid))
    }

    /// The encoder's configuration for the images asked for, and the grid of the folder's own.
    pub(super) fn hiera_config(&self) -> Result<(HieraConfig, Grid)> {
        let json: HieraJson = self.parsed()?;
        let config = json.hiera().map_err(|error| self.fault(error))?;
        let grid = config.grid();
        let Some(image) = self.image else { return Ok((config, grid)) };
        let config = config.with_image(image);
        config.validate().map_err(|error| self.fault(error))?;
        Ok((config, grid))
    }
}

fn hiera(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::Hiera(folder.hiera(options, device)?.into()))
}

/// Writes a folder that transformers loads as `HieraForPreTraining`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_hiera_mae(
    folder: impl AsRef<Path>,
    model: &HieraMae,
    config: &HieraMaeConfig,
) -> Result<()> {
    let entries = HieraNames::transformers("hiera.").mae(config);
    write(folder.as_ref(), hiera_mae_json(config)?, layout::save(model, &entries))
}

/// Writes a folder that transformers loads as `HieraModel` without a pooler; its `last_hidden_state`
/// is [`Hiera::last_hidden_state`].
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_hiera(folder: impl AsRef<Path>, model: &Hiera) -> Result<()> {
    let config = model.config();
    let entries = HieraNames::transformers("").hiera("", config);
    write(folder.as_ref(), hiera_json(config, "HieraModel"), layout::save(model, &entries))
}
