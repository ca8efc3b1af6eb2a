//! The `config.json` of Hugging Face transformers, for ViT and ViTMAE.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, image_size, only_gelu, only_shared_heads};
use crate::encoder::{RelativePositions, VitConfig};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::method::{MaeConfig, SimMimConfig};
use crate::nn::{Positions, QkvBias};

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct VitJson {
    image_size: Size,
    patch_size: Size,
    num_channels: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    layer_norm_eps: f64,
    qkv_bias: bool,
    hidden_act: String,
    encoder_stride: usize,
    decoder_hidden_size: usize,
    decoder_num_hidden_layers: usize,
    decoder_num_attention_heads: usize,
    decoder_intermediate_size: usize,
    mask_ratio: f64,
    norm_pix_loss: bool,
    head_dim: Option<usize>,
}

impl Default for VitJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: Size::Square(16),
            num_channels: 3,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            layer_norm_eps: 1e-12,
            qkv_bias: true,
            hidden_act: "gelu".into(),
            encoder_stride: 16,
            decoder_hidden_size: 512,
            decoder_num_hidden_layers: 8,
            decoder_num_attention_heads: 16,
            decoder_intermediate_size: 2048,
            mask_ratio: 0.75,
            norm_pix_loss: false,
            head_dim: None,
        }
    }
}

impl VitJson {
    /// The same model for other images.
    pub(super) fn with_image(mut self, image: Option<ImageShape>) -> Self {
        if let Some(ImageShape { channels, height, width, .. }) = image {
            self.image_size = Size::HeightWidth([height, width]);
            self.num_channels = channels;
        }
        self
    }

    pub(super) fn encoder(&self) -> Result<VitConfig> {
        only_gelu(&self.hidden_act)?;
        let ([height, width], patch) = (self.image_size.height_width(), self.patch_size.patch()?);
        only_shared_heads(self.head_dim, self.num_attention_heads, self.hidden_size)?;
        let image = ImageShape::new(self.num_channels, height, width);
        let Self { hidden_size, num_hidden_layers, num_attention_heads, .. } = *self;
        let config =
            VitConfig::new(image, patch, hidden_size, num_hidden_layers, num_attention_heads)
                .with_mlp_ratio(self.intermediate_size as f64 / hidden_size as f64)
                .with_norm_epsilon(self.layer_norm_eps)
                .with_qkv_bias(if self.qkv_bias { QkvBias::All } else { QkvBias::None })
                .with_positions(Positions::Learned);
        config.validate()?;
        Ok(config)
    }

    pub(super) fn mae(&self) -> Result<MaeConfig> {
        let mlp_ratio = self.decoder_intermediate_size as f64 / self.decoder_hidden_size as f64;
        let decoder = DecoderConfig::new()
            .with_width(self.decoder_hidden_size)
            .with_depth(self.decoder_num_hidden_layers)
            .with_heads(self.decoder_num_attention_heads)
            .with_mlp_ratio(mlp_ratio);
        // Its position tables are fixed, like MAE's.
        let config = MaeConfig::new(self.encoder()?.with_positions(Positions::SinCos))
            .with_decoder(decoder)
            .with_mask(MaskConfig::Mae { ratio: self.mask_ratio })
            .with_normalized(self.norm_pix_loss);
        config.validate()?;
        Ok(config)
    }

    pub(super) fn simmim(&self) -> Result<SimMimConfig> {
        let encoder = self.encoder()?;
        if self.encoder_stride != encoder.patch {
            return Err(Error::config(format!(
                "an encoder_stride of {} is not the patch size {}",
                self.encoder_stride, encoder.patch
            )));
        }
        let patch = encoder.patch;
        let config =
            SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: patch, ratio: 0.6 });
        config.validate()?;
        Ok(config)
    }
}

/// The configuration transformers reads for such an encoder.
///
/// # Errors
///
/// When the encoder has a part that transformers' ViT lacks.
pub(super) fn vit_json(config: &VitConfig, architecture: &str, model_type: &str) -> Result<Value> {
    let refuse = |has: bool, what: &str| {
        let message = format!("transformers' ViT has no {what}, so this model cannot be saved so");
        if has { Err(Error::config(message)) } else { Ok(()) }
    };
    if let Some(part) = config.newer_part() {
        refuse(true, part)?;
    }
    refuse(!config.class_token, "variant without a class token")?;
    refuse(config.positions == Positions::None, "variant without absolute positions")?;
    refuse(config.relative_positions != RelativePositions::None, "relative positions")?;
    refuse(config.layer_scale.is_some(), "layer scale")?;
    refuse(config.qkv_bias == QkvBias::QueryValue, "bias on query and value alone")?;
    Ok(json!({
        "architectures": [architecture],
        "model_type": model_type,
        "image_size": image_size(config.image),
        "patch_size": config.patch,
        "num_channels": config.image.channels,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width(),
        "layer_norm_eps": config.norm_epsilon,
        "qkv_bias": config.qkv_bias == QkvBias::All,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "encoder_stride": config.patch,
        "dtype": "float32",
    }))
}

/// The configuration transformers reads for such a masked autoencoder.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks.
pub(super) fn mae_json(config: &MaeConfig) -> Result<Value> {
    config.check_published()?;
    let mut json = vit_json(&config.encoder, "ViTMAEForPreTraining", "vit_mae")?;
    let decoder = config.decoder.transformer(&config.encoder);
    json["decoder_hidden_size"] = json!(decoder.width);
    json["decoder_num_hidden_layers"] = json!(decoder.depth);
    json["decoder_num_attention_heads"] = json!(decoder.heads);
    json["decoder_intermediate_size"] = json!(decoder.mlp_width);
    let mask = config.mask()?;
    let share = mask.hidden() as f64 / mask.grid().cells() as f64;
    json["mask_ratio"] = json!(config.mask.ratio().unwrap_or(share));
    json["norm_pix_loss"] = json!(config.normalized);
    Ok(json)
}
