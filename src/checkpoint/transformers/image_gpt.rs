//! ImageGPT.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};

use super::image_gpt_json::{ImageGptJson, image_gpt_json};
use super::preprocessor::PREPROCESSOR;
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::layout::{self, Entry};
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::encoder::{GptConfig, PixelGpt};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::method::{ImageGpt, ImageGptConfig};

pub(super) const FAMILY: Family = Family {
    model_types: &["imagegpt"],
    architectures: &[
        ("ImageGPTForCausalImageModeling", |folder, options, device| {
            Ok(TransformersModel::ImageGpt(folder.image_gpt(options, device)?.into()))
        }),
        ("ImageGPTModel", encoder),
        ("ImageGPTForImageClassification", encoder),
    ],
    as_saved: str::to_string,
    by_key: &[("lm_head.weight", "ImageGPTForCausalImageModeling"), ("", "ImageGPTModel")],
};

impl Transformers {
    /// Loads an Image GPT with its head, and with the palette of `preprocessor_config.json` where
    /// there is one.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn image_gpt(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<ImageGpt, ImageGptConfig>> {
        let (encoder, palette) = self.gpt(device)?;
        let entries = model_entries(&encoder);
        let config = ImageGptConfig::new(encoder);
        self.fill(|c, w| c.init(palette, w), config, &entries, None, options, device)
    }

    /// Loads an Image GPT's transformer alone, from any of the architectures.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn pixel_gpt(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<PixelGpt, GptConfig>> {
        let (config, palette) = self.gpt(device)?;
        let whole_model = self.file.keys().any(|key| key.starts_with("transformer."));
        let entries = gpt_entries("gpt", if whole_model { "transformer." } else { "" }, &config);
        self.fill(|c, w| PixelGpt::new(c.init(w), palette), config, &entries, None, options, device)
    }

    /// The configuration.
    pub(super) fn gpt_config(&self) -> Result<GptConfig> {
        let json: ImageGptJson = self.parsed()?;
        let channels = self.clusters()?.map_or(3, |colors| colors[0].len());
        json.gpt(channels, self.image).map_err(|error| self.fault(error))
    }

    /// The configuration, and the palette in [0, 1] if there is one.
    fn gpt(&self, device: &Device) -> Result<(GptConfig, Option<Tensor<2>>)> {
        let (config, palette) = (self.gpt_config()?, self.clusters()?);
        let channels = config.image.channels;
        let Some(colors) = palette else { return Ok((config, None)) };
        if colors.len() != config.colors || colors.iter().any(|color| color.len() != channels) {
            let reason = format!(
                "has {} clusters, the model {} colors of {channels} channels",
                colors.len(),
                config.colors
            );
            return Err(Error::checkpoint(self.folder.join(PREPROCESSOR), reason));
        }
        let values: Vec<f32> = colors.concat().iter().map(|value| (value + 1.0) / 2.0).collect();
        let values = TensorData::new(values, [config.colors, channels]);
        Ok((config, Some(Tensor::from_data(values, device))))
    }

    fn clusters(&self) -> Result<Option<Vec<Vec<f32>>>> {
        let clusters = self.preprocessor()?.and_then(|file| file.clusters);
        Ok(clusters.filter(|clusters| !clusters.is_empty()))
    }
}

fn encoder(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::PixelGpt(folder.pixel_gpt(options, device)?.into()))
}

/// Writes a folder that transformers loads as `ImageGPTForCausalImageModeling`, with the palette for
/// its image processor.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_image_gpt(
    folder: impl AsRef<Path>,
    model: &ImageGpt,
    config: &ImageGptConfig,
) -> Result<()> {
    let json = image_gpt_json(&config.encoder, "ImageGPTForCausalImageModeling")?;
    write(folder.as_ref(), json, layout::save(model, &model_entries(&config.encoder)))?;
    write_palette(folder.as_ref(), &model.encoder, &config.encoder)
}

/// Writes a folder that transformers loads as `ImageGPTModel`.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_pixel_gpt(
    folder: impl AsRef<Path>,
    model: &PixelGpt,
    config: &GptConfig,
) -> Result<()> {
    let json = image_gpt_json(config, "ImageGPTModel")?;
    write(folder.as_ref(), json, layout::save(model, &gpt_entries("gpt", "", config)))?;
    write_palette(folder.as_ref(), model, config)
}

fn write_palette(folder: &Path, model: &PixelGpt, config: &GptConfig) -> Result<()> {
    let Some(palette) = &model.palette else { return Ok(()) };
    let (path, [_, channels]) = (folder.join(PREPROCESSOR), palette.dims());
    let values: Vec<f32> = (palette.val() * 2.0 - 1.0).into_data().iter().collect();
    let clusters: Vec<&[f32]> = values.chunks(channels).collect();
    let json: Value = json!({
        "image_processor_type": "ImageGPTImageProcessor",
        "clusters": clusters,
        "do_color_quantize": true,
        "do_normalize": true,
        "do_resize": true,
        "size": { "height": config.image.height, "width": config.image.width },
    });
    write_whole(&path, format!("{json:#}\n").as_bytes())
        .map_err(|error| Error::checkpoint(&path, error))
}

fn model_entries(config: &GptConfig) -> Vec<Entry> {
    let mut entries = gpt_entries("encoder.gpt", "transformer.", config);
    let head = vec!["lm_head.weight".into()];
    entries.push(Entry::matrices("head.weight".into(), head, config.colors, config.width));
    entries
}

/// A [`Gpt`](crate::encoder::Gpt) at the path `ours`, with names after `prefix`. transformers keeps
/// its matrices as GPT-2 does: inputs first, like ours.
fn gpt_entries(ours: &str, prefix: &str, config: &GptConfig) -> Vec<Entry> {
    let (width, mlp) = (config.width, config.mlp_width());
    let entry = |ours: String, theirs: String, shape: &[usize]| Entry::tensor(ours, theirs, shape);
    let mut entries = vec![
        entry(
            format!("{ours}.token_embed"),
            format!("{prefix}wte.weight"),
            &[config.colors + 1, width],
        ),
        entry(
            format!("{ours}.positions.table"),
            format!("{prefix}wpe.weight"),
            &[config.grid().cells(), width],
        ),
        entry(format!("{ours}.transformer.norm.gamma"), format!("{prefix}ln_f.weight"), &[width]),
    ];
    for index in 0..config.depth {
        let (ours, theirs) =
            (format!("{ours}.transformer.blocks.{index}"), format!("{prefix}h.{index}"));
        for (name, their, inputs, outputs) in [
            ("attention.qkv", "attn.c_attn", width, 3 * width),
            ("attention.out", "attn.c_proj", width, width),
            ("mlp.fc1", "mlp.c_fc", width, mlp),
            ("mlp.fc2", "mlp.c_proj", mlp, width),
        ] {
            let (ours, theirs) = (format!("{ours}.{name}"), format!("{theirs}.{their}"));
            entries.extend([
                entry(format!("{ours}.weight"), format!("{theirs}.weight"), &[inputs, outputs]),
                entry(format!("{ours}.bias"), format!("{theirs}.bias"), &[outputs]),
            ]);
        }
        for (name, their) in [("norm1", "ln_1"), ("norm2", "ln_2")] {
            let theirs = format!("{theirs}.{their}.weight");
            entries.push(entry(format!("{ours}.{name}.gamma"), theirs, &[width]));
        }
    }
    entries
}
