//! VideoMAE.

use std::path::Path;

use burn::tensor::Device;

use super::videomae_json::{VideoMaeJson, clip_vit_json, videomae_json};
use super::write::write;
use super::{Family, Load, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{BlockNames, TRANSFORMERS, VitNames, linear, norm};
use crate::encoder::{ClipVit, ClipVitConfig};
use crate::error::Result;
use crate::method::{VideoMae, VideoMaeConfig};

const ENCODER: Load = |folder, options, device| {
    Ok(TransformersModel::ClipEncoder(folder.clip_encoder(options, device)?.into()))
};

pub(super) const FAMILY: Family = Family {
    model_types: &["videomae"],
    architectures: &[
        ("VideoMAEForPreTraining", |folder, options, device| {
            Ok(TransformersModel::VideoMae(folder.videomae(options, device)?.into()))
        }),
        ("VideoMAEModel", ENCODER),
        ("VideoMAEForVideoClassification", ENCODER),
    ],
    as_saved,
    by_key: &[("encoder_to_decoder.weight", "VideoMAEForPreTraining"), ("", "VideoMAEModel")],
};

/// The names within a block.
const BLOCK: BlockNames = BlockNames {
    query_value_bias: ["attention.attention.q_bias", "attention.attention.v_bias"],
    ..TRANSFORMERS
};

/// `key` as `save_pretrained` spells it: biases of the modules of transformers 5 in memory have the
/// names of their layers.
fn as_saved(key: &str) -> String {
    let key = key.replace(".attention.query.bias", ".attention.q_bias");
    key.replace(".attention.value.bias", ".attention.v_bias")
}

impl Transformers {
    /// Loads a masked autoencoder of video.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn videomae(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<VideoMae, VideoMaeConfig>> {
        let config = self.videomae_config()?;
        let entries = videomae_entries(&config);
        self.fill(|c, w| c.init(w), config, &entries, None, options, device)
    }

    /// Loads the encoder of clips alone, from any class of VideoMAE. Its final norm is there unless the
    /// class pools the mean of all tokens, which `use_mean_pooling` says: features are then what the
    /// last block leaves, as transformers' `last_hidden_state`.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn clip_encoder(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<ClipVit, ClipVitConfig>> {
        let config = self.clip_config()?;
        let prefix = if self.architecture == "VideoMAEModel" { "" } else { "videomae." };
        let entries = encoder_entries("", prefix, &config);
        self.fill(|c, w| c.init(w), config, &entries, None, options, device)
    }

    /// The configuration that `read` makes.
    ///
    /// # Errors
    ///
    /// When it is not of VideoMAE, or another size of images was asked for.
    fn clips<C>(
        &self,
        read: fn(&VideoMaeJson) -> Result<C>,
        encoder: fn(&C) -> &ClipVitConfig,
    ) -> Result<C> {
        if self.header.model_type != "videomae" && !self.architecture.starts_with("VideoMAE") {
            return Err(self.fault(format!("a {} does not read clips", self.architecture)));
        }
        let config = read(&self.parsed()?).map_err(|error| self.fault(error))?;
        let own = encoder(&config).clip.image;
        match self.image {
            Some(image) if image.frame() != own => Err(self.fault(format!(
                "a VideoMAE has the positions of a sequence and reads frames of {own} alone, not of \
                 {image}"
            ))),
            _ => Ok(config),
        }
    }

    /// The sizes of a masked autoencoder of video.
    pub(super) fn videomae_config(&self) -> Result<VideoMaeConfig> {
        self.clips(VideoMaeJson::videomae, |config| &config.encoder)
    }

    /// The sizes of its encoder.
    pub(super) fn clip_config(&self) -> Result<ClipVitConfig> {
        self.clips(VideoMaeJson::encoder, |config| config)
    }
}

/// Writes a folder that transformers loads as `VideoMAEForPreTraining`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_videomae(
    folder: impl AsRef<Path>,
    model: &VideoMae,
    config: &VideoMaeConfig,
) -> Result<()> {
    let json = videomae_json(config)?;
    write(folder.as_ref(), json, layout::save(model, &videomae_entries(config)))
}

/// Writes a folder that transformers loads as `VideoMAEModel`, whose `last_hidden_state` are the
/// features of the encoder.
///
/// # Errors
///
/// When the encoder has a part that transformers' class lacks, or a file cannot be written.
pub fn save_clip_encoder(folder: impl AsRef<Path>, encoder: &ClipVit) -> Result<()> {
    let config = encoder.config();
    let json = clip_vit_json(config, "VideoMAEModel")?;
    write(folder.as_ref(), json, layout::save(encoder, &encoder_entries("", "", config)))
}

/// The entries of an encoder at the path `ours`, whose names in the file follow `prefix`.
fn encoder_entries(ours: &str, prefix: &str, config: &ClipVitConfig) -> Vec<Entry> {
    let ClipVitConfig { clip, tubelet, patch, width, .. } = *config;
    let names = VitNames { block: BLOCK, ..VitNames::transformers(prefix) };
    let path = |name: &str| format!("{ours}{name}");
    let key = |part: &str| format!("{}.{part}", names.patch_embed);
    let kernel = [width, clip.image.channels, tubelet, patch, patch];
    let mut entries = vec![
        Entry::clip_embedding(path("patch_embed.weight"), key("weight"), kernel),
        Entry::vectors(path("patch_embed.bias"), vec![key("bias")], width),
    ];
    entries.extend(names.blocks(&path("transformer.blocks"), &config.transformer()));
    if config.final_norm {
        entries.extend(norm(&path("transformer.norm"), &names.norm, width));
    }
    entries
}

fn videomae_entries(config: &VideoMaeConfig) -> Vec<Entry> {
    let VideoMaeConfig { encoder, decoder, .. } = config;
    let transformer = decoder.transformer(encoder);
    let width = transformer.width;
    let mut entries = encoder_entries("encoder.", "videomae.", encoder);
    let embed = vec!["encoder_to_decoder.weight".to_string()];
    entries.push(Entry::matrices("head.embed.weight".into(), embed, width, encoder.width));
    let token = "mask_token".into();
    entries.push(Entry::tensor("head.mask_token".into(), token, &[1, 1, width]));
    let blocks = "decoder.decoder_layers".into();
    let names = VitNames { blocks, block: BLOCK, ..VitNames::transformers("") };
    entries.extend(names.blocks("head.transformer.blocks", &transformer));
    entries.extend(norm("head.transformer.norm", "decoder.norm", width));
    entries.extend(linear("head.projection", "decoder.head", width, encoder.patch_values()));
    entries
}
