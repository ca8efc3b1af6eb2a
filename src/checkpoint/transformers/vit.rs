//! ViT and ViTMAE.

use std::path::Path;

use burn::tensor::Device;

use super::encoders_json::{EncoderJson, Encoders};
use super::vit_json::{VitJson, mae_json, vit_json};
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::official::official_mae_entries;
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{TRANSFORMERS, VitNames, pointwise};
use crate::encoder::{VisibleVit, VitConfig};
use crate::error::Result;
use crate::grid::Grid;
use crate::method::{Mae, MaeConfig, SimMim, SimMimConfig};

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
    by_key: &[
        ("decoder_embed.weight", "ViTMAEForPreTraining"),
        ("decoder.0.weight", "ViTForMaskedImageModeling"),
        ("", "ViTModel"),
    ],
};

/// The prefix of the decoder's blocks in files of `save_pretrained` of transformers 5.
const DECODER_BLOCKS: &str = "decoder.decoder_encoder.layer";
/// Other spellings of a part of a key, each with the spelling of `save_pretrained`: spellings in
/// files on the hub, and in the modules of transformers 5 in memory.
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
        let entries = match self.is_timm() {
            true => official_mae_entries(&config),
            false => mae_entries(&config),
        };
        self.fill(|c, w| c.init(w), config, &entries, grid, options, device)
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
        let entries = simmim_entries(&config.encoder);
        self.fill(|c, w| c.init(w), config, &entries, grid, options, device)
    }

    /// Loads the encoder alone, from any of the architectures, and those of ViTMSN, I-JEPA and
    /// CLIP.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn encoder(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<VisibleVit, VitConfig>> {
        let (config, grid) = self.encoder_config()?;
        let names = match Encoders::of(&self.architecture) {
            Some(kind) if !self.is_timm() => kind.names(),
            _ => self.vit_names(""),
        };
        let entries = names.body("body", &config);
        self.fill(|c, w| c.init_visible(w), config, &entries, grid, options, device)
    }

    /// The configuration of the encoder alone, and the grid of the folder's own images.
    pub(super) fn encoder_config(&self) -> Result<(VitConfig, Option<Grid>)> {
        let Some(kind) = Encoders::of(&self.architecture) else {
            return self.vit(VitJson::encoder);
        };
        let json: EncoderJson = self.parsed()?;
        let grid = json.encoder(kind).ok().map(|config| config.grid());
        let config = json.with_image(self.image).encoder(kind);
        Ok((config.map_err(|error| self.fault(error))?, grid))
    }

    /// Whether the weights have the keys of timm and the official code.
    fn is_timm(&self) -> bool {
        self.file.find("blocks.0.attn.qkv.weight").is_some()
    }

    /// The names of an encoder's weights; the names of transformers follow `prefix`.
    fn vit_names(&self, prefix: &str) -> VitNames {
        if self.is_timm() { VitNames::timm("") } else { VitNames::transformers(prefix) }
    }

    /// The configuration that `read` makes for the images asked for, and the grid of the folder's
    /// own images.
    pub(super) fn vit<C>(&self, read: fn(&VitJson) -> Result<C>) -> Result<(C, Option<Grid>)> {
        let json: VitJson = self.parsed()?;
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
pub(super) fn as_saved(key: &str) -> String {
    // timm and the official code have their own names, some of which are the same.
    if key.contains("blocks.") {
        return key.to_string();
    }
    let key = blocks_as_saved(key)
        .map_or(key.to_string(), |(prefix, block)| format!("{prefix}encoder.layer.{block}"));
    SPELLINGS.iter().fold(key, |key, (other, saved)| key.replace(other, saved))
}

/// The parts of a block's key before and after `layers.` in the modules of transformers 5 in
/// memory, with any prefix.
pub(super) fn blocks_as_saved(key: &str) -> Option<(&str, &str)> {
    let (prefix, block) = match key.strip_prefix("layers.") {
        Some(block) => ("", block),
        None => {
            let at = key.find(".layers.")?;
            (&key[..=at], &key[at + ".layers.".len()..])
        }
    };
    block.starts_with(|c: char| c.is_ascii_digit()).then_some((prefix, block))
}

/// Writes a folder that transformers loads as `ViTMAEForPreTraining`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_mae(folder: impl AsRef<Path>, model: &Mae, config: &MaeConfig) -> Result<()> {
    write(folder.as_ref(), mae_json(config)?, layout::save(model, &mae_entries(config)))
}

/// Writes a folder that transformers loads as `ViTForMaskedImageModeling`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_simmim(folder: impl AsRef<Path>, model: &SimMim, config: &SimMimConfig) -> Result<()> {
    let json = vit_json(&config.encoder, "ViTForMaskedImageModeling", "vit")?;
    write(folder.as_ref(), json, layout::save(model, &simmim_entries(&config.encoder)))
}

/// Writes a folder that transformers loads as `ViTMAEModel`: an encoder without the pooler that
/// `ViTModel` has.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
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
