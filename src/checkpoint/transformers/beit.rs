//! BEiT.

use std::path::Path;

use burn::tensor::Device;

use super::beit_json::{BeitJson, beit_json};
use super::vit::{SPELLINGS, blocks_as_saved};
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::official::beit_vit_entries;
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{VitNames, linear, relative_positions};
use crate::encoder::{Vit, VitConfig};
use crate::error::Result;
use crate::head::LinearHead;
use crate::task::Network;

pub(super) const FAMILY: Family = Family {
    model_types: &["beit"],
    architectures: &[
        ("BeitForMaskedImageModeling", |folder, options, device| {
            Ok(TransformersModel::Beit(folder.beit(options, device)?.into()))
        }),
        ("BeitModel", encoder),
        ("BeitForImageClassification", encoder),
    ],
    as_saved,
    by_key: &[("lm_head.weight", "BeitForMaskedImageModeling"), ("", "BeitModel")],
};

impl Transformers {
    /// Loads a BEiT with its head. The final norm becomes a part of the encoder.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn beit(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<Network<Vit, LinearHead>, VitConfig>> {
        let json: BeitJson = self.parsed()?;
        let grid = json.encoder().ok().map(|config| config.grid());
        let network = json.with_image(self.image).network();
        let (config, vocabulary) = network.map_err(|error| self.fault(error))?;
        let entries = network_entries(&config, vocabulary);
        let make = |c: &_, w: &mut _| Network::beit(c, vocabulary, w);
        self.fill(make, config, &entries, grid, options, device)
    }

    /// Loads the encoder of a BEiT alone, from any of the architectures, or a data2vec. Where that
    /// has no final norm, since it pools the mean and has no classifier, the norm neither scales nor
    /// moves.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn beit_encoder(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<Vit, VitConfig>> {
        let json: BeitJson = self.parsed()?;
        let grid = json.encoder().ok().map(|config| config.grid());
        let json = json.with_image(self.image);
        let config = json.encoder().map_err(|error| self.fault(error))?;
        if self.file.find("blocks.0.norm1.weight").is_some() {
            let entries = beit_vit_entries("", &config, json.has_mask_token());
            return self.fill(|c, w| c.init(w), config, &entries, grid, options, device);
        }
        let whole_model = self.file.find("beit.embeddings.cls_token").is_some();
        let prefix = if whole_model { "beit." } else { "" };
        let norm = ["beit.pooler.layernorm", "pooler.layernorm", "beit.layernorm"]
            .into_iter()
            .find(|name| self.file.find(&format!("{name}.weight")).is_some());
        let is_data2vec = self.architecture.starts_with("Data2Vec");
        let norm = norm.unwrap_or(match is_data2vec && self.mean_pooling() {
            true => "",
            false => "layernorm",
        });
        let entries = encoder_entries("", prefix, norm, &config, json.has_mask_token());
        self.fill(|c, w| c.init(w), config, &entries, grid, options, device)
    }
}

pub(super) fn encoder(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::BeitEncoder(folder.beit_encoder(options, device)?.into()))
}

/// `key` as `save_pretrained` spells it.
pub(super) fn as_saved(key: &str) -> String {
    // The official code has its own names, some of which are the same.
    if key.contains("blocks.") {
        return key.to_string();
    }
    let key = match blocks_as_saved(key) {
        Some((prefix, block)) => {
            let own = ".attention.attention.relative_position_bias.";
            let block = block.replacen(".relative_position_bias.", own, 1);
            format!("{prefix}encoder.layer.{block}")
        }
        None => key.replacen("shared_position_bias.", "encoder.relative_position_bias.", 1),
    };
    SPELLINGS.iter().fold(key, |key, (other, saved)| key.replace(other, saved))
}

/// Writes a folder that transformers loads as `BeitForMaskedImageModeling`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_beit(
    folder: impl AsRef<Path>,
    model: &Network<Vit, LinearHead>,
    config: &VitConfig,
) -> Result<()> {
    let mut json = beit_json(config, "BeitForMaskedImageModeling")?;
    let vocabulary = model.head.width();
    json["vocab_size"] = vocabulary.into();
    write(folder.as_ref(), json, layout::save(model, &network_entries(config, vocabulary)))
}

/// Writes a folder that transformers loads as `BeitModel`; the final norm is its pooler's.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_beit_encoder(folder: impl AsRef<Path>, model: &Vit, config: &VitConfig) -> Result<()> {
    let json = beit_json(config, "BeitModel")?;
    let entries = encoder_entries("", "", "pooler.layernorm", config, true);
    write(folder.as_ref(), json, layout::save(model, &entries))
}

fn network_entries(config: &VitConfig, vocabulary: usize) -> Vec<Entry> {
    let mut entries = encoder_entries("encoder.", "beit.", "layernorm", config, true);
    entries.extend(linear("head.projection", "lm_head", config.width, vocabulary));
    entries
}

/// A [`Vit`] at the path `ours`.
pub(super) fn encoder_entries(
    ours: &str,
    theirs: &str,
    norm: &str,
    config: &VitConfig,
    mask_token: bool,
) -> Vec<Entry> {
    let names = VitNames { norm: norm.to_string(), ..VitNames::transformers(theirs) };
    let body = format!("{ours}body");
    let mut entries = names.body(&body, config);
    let shared = format!("{theirs}encoder.relative_position_bias.relative_position_bias_table");
    entries.extend(relative_positions(&body, &names, &shared, config));
    if mask_token {
        let token = format!("{theirs}embeddings.mask_token");
        entries.push(Entry::tensor(format!("{ours}mask_token"), token, &[1, 1, config.width]));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_modules_in_memory_are_spelled_as_saved() {
        for (memory, saved) in [
            (
                "beit.layers.3.attention.q_proj.bias",
                "beit.encoder.layer.3.attention.attention.query.bias",
            ),
            (
                "layers.0.relative_position_bias.relative_position_bias_table",
                "encoder.layer.0.attention.attention.relative_position_bias.relative_position_bias_table",
            ),
            (
                "beit.shared_position_bias.relative_position_bias_table",
                "beit.encoder.relative_position_bias.relative_position_bias_table",
            ),
            ("beit.layers.1.lambda_2", "beit.encoder.layer.1.lambda_2"),
            ("lm_head.bias", "lm_head.bias"),
        ] {
            assert_eq!(as_saved(memory), saved);
            assert_eq!(as_saved(saved), saved);
        }
    }
}
