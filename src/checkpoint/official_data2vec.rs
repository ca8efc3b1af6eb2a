//! Files of data2vec 2.0's official code (fairseq, `examples/data2vec`).

use std::path::Path;

use burn::tensor::Device;

use super::layout::{self, Source};
use super::report::{LoadOptions, Loaded};
use super::vit_names::VitNames;
use super::weights_file::WeightsFile;
use crate::encoder::{VisibleVit, VitConfig};
use crate::error::{Result, ensure};
use crate::nn::InitialWeights;

/// Where the image encoder's keys are.
const IMAGE: &str = "modality_encoders.IMAGE.";
/// The first blocks, which the official code counts apart.
const FIRST_BLOCKS: &str = "context_encoder.blocks.";

/// Loads the encoder of an official data2vec 2.0 of images (`base_imagenet.pt`), such as
/// [`Data2VecConfig::base_patch16`](crate::Data2VecConfig::base_patch16) has: the student, which the
/// official fine-tuning takes too. The moving average (`_ema`), the decoder and all else are left
/// over.
///
/// # Errors
///
/// When the file cannot be read, a tensor has another shape, the load is strict and a key differs, or
/// the configuration has not the norms of data2vec 2.0 (`pre_norm`, `post_norm`) or no class token.
pub fn load_official_data2vec(
    path: impl AsRef<Path>,
    config: &VitConfig,
    options: LoadOptions,
    device: &Device,
) -> Result<Loaded<VisibleVit, VitConfig>> {
    config.validate()?;
    let VitConfig { pre_norm, post_norm, class_token, .. } = *config;
    ensure!(
        pre_norm && post_norm && class_token,
        "data2vec 2.0 has a class token and norms before the first block and after each branch, not \
         class_token {class_token}, pre_norm {pre_norm}, post_norm {post_norm}"
    );
    let mut file = WeightsFile::open(path)?;
    let first = first_blocks(&file);
    file.rename(|key| as_timm(key, first));
    let names = VitNames { norm: String::new(), ..VitNames::timm("") };
    let entries = names.body("body", config);
    let form = "official data2vec 2.0";
    // The class token has no position: the grid is not to be looked for in a table with one more.
    let source = Source { grid: None, file: &file, form, device: device.clone() };
    let make = || config.init_visible(&mut InitialWeights::new(0, device));
    let (model, report) = layout::load(make, &entries, &source, &[], options)?;
    Ok(Loaded { model, config: config.clone(), report })
}

/// How many blocks are counted apart.
fn first_blocks(file: &WeightsFile) -> usize {
    let index = |key: &str| {
        let (_, rest) = key.split_once(FIRST_BLOCKS)?;
        rest.split('.').next()?.parse::<usize>().ok()
    };
    file.keys().filter_map(index).max().map_or(0, |last| last.saturating_add(1))
}

/// timm's name of what the official code calls `key`, where `first` blocks are counted apart.
fn as_timm(key: &str, first: usize) -> String {
    // The student is wanted, not its moving average.
    let key = key.replacen("_ema.", "momentum_teacher.", 1);
    let Some((prefix, name)) = key.split_once(IMAGE) else {
        return match key.rsplit_once("blocks.") {
            Some((prefix, rest)) => shifted(prefix, rest, first).unwrap_or(key),
            None => key,
        };
    };
    let name = match name.split_once('.') {
        None if name == "extra_tokens" => "cls_token".into(),
        Some(("local_encoder", rest)) => format!("patch_embed.{rest}"),
        Some(("fixed_positional_encoder", "positions")) => "pos_embed".into(),
        Some(("context_encoder", rest)) => {
            rest.replacen("norm.", "norm_pre.", usize::from(rest.starts_with("norm.")))
        }
        _ => return key,
    };
    format!("{prefix}{name}")
}

/// The key of a block with the number it has among all.
fn shifted(prefix: &str, rest: &str, first: usize) -> Option<String> {
    let (index, rest) = rest.split_once('.')?;
    let index = index.parse::<usize>().ok()?.checked_add(first)?;
    Some(format!("{prefix}blocks.{index}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_timm_with_blocks_counted_through() {
        for (theirs, ours) in [
            ("modality_encoders.IMAGE.extra_tokens", "cls_token"),
            ("modality_encoders.IMAGE.local_encoder.proj.weight", "patch_embed.proj.weight"),
            ("modality_encoders.IMAGE.fixed_positional_encoder.positions", "pos_embed"),
            ("modality_encoders.IMAGE.context_encoder.norm.bias", "norm_pre.bias"),
            ("modality_encoders.IMAGE.context_encoder.blocks.1.norm1.bias", "blocks.1.norm1.bias"),
            ("blocks.0.attn.qkv.weight", "blocks.2.attn.qkv.weight"),
            ("_ema.blocks.9.mlp.fc1.bias", "momentum_teacher.blocks.11.mlp.fc1.bias"),
            ("_ema.modality_encoders.IMAGE.extra_tokens", "momentum_teacher.cls_token"),
            (
                "modality_encoders.IMAGE.decoder.proj.bias",
                "modality_encoders.IMAGE.decoder.proj.bias",
            ),
        ] {
            assert_eq!(as_timm(theirs, 2), ours);
        }
    }
}
