//! ViT and ViTMAE.

use std::path::Path;

use burn::tensor::Device;

use super::vit_json::{VitJson, mae_json, vit_json};
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{TRANSFORMERS, VitNames, pointwise};
use crate::encoder::{VisibleVit, VitConfig};
use crate::error::Result;
use crate::grid::Grid;
use crate::nn::Weights;
use crate::task::{Mae, MaeConfig, SimMim, SimMimConfig};

pub(super) const FAMILY: Family = Family {
    model_types: &["vit", "vit_mae"],
    architectures: &[
        ("ViTMAEForPreTraining", |folder, options, device| {
            Ok(TransformersModel::Mae(folder.mae(options, device)?.into()))
        }),
        ("ViTForMaskedImageModeling", |folder, options, device| {
            Ok(TransformersModel::SimMim(folder.simmim(options, device)?.into()))
        }),
        ("ViTModel", encoder),
        ("ViTMAEModel", encoder),
        ("ViTForImageClassification", encoder),
    ],
    as_saved,
};

/// The decoder's blocks as `save_pretrained` of transformers 5 names them.
const DECODER_BLOCKS: &str = "decoder.decoder_encoder.layer";
/// Other spellings of a part of a key, and how `save_pretrained` spells it: those of the files on
/// the hub and of the modules of transformers 5 in memory.
pub(super) const SPELLINGS: [(&str, &str); 7] = [
    ("decoder.decoder_layers.", "decoder.decoder_encoder.layer."),
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
];

impl Transformers {
    /// Loads a masked autoencoder.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn mae(&self, options: LoadOptions, device: &Device) -> Result<Loaded<Mae, MaeConfig>> {
        let (config, grid) = self.vit(VitJson::mae)?;
        let model = config.init(&mut Weights::new(0, device));
        let entries = mae_entries(&config);
        self.fill(model, config, &entries, grid, options, device)
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
        let (config, grid) = self.vit(VitJson::simmim)?;
        let model = config.init(&mut Weights::new(0, device));
        let entries = simmim_entries(&config.encoder);
        self.fill(model, config, &entries, grid, options, device)
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
        let (config, grid) = self.vit(VitJson::encoder)?;
        let whole_model = self.file.keys().any(|key| key.starts_with("vit."));
        let names = VitNames::transformers(if whole_model { "vit." } else { "" });
        let model = config.init_visible(&mut Weights::new(0, device));
        let entries = names.body("body", &config);
        self.fill(model, config, &entries, grid, options, device)
    }

    /// What `read` makes of the configuration for the images asked for, and the grid of the
    /// folder's own.
    fn vit<C>(&self, read: fn(&VitJson) -> Result<C>) -> Result<(C, Option<Grid>)> {
        let json: VitJson = self.config()?;
        let grid = json.encoder().ok().map(|config| config.grid());
        let config = read(&json.with_image(self.image)).map_err(|error| self.fault(error))?;
        Ok((config, grid))
    }
}

fn encoder(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::Encoder(folder.encoder(options, device)?.into()))
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
