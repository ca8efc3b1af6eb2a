//! The `config.json` of Hugging Face transformers, for VideoMAE.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, activation_named, image_size, name_of_activation};
use crate::encoder::ClipVitConfig;
use crate::error::{Error, Result, ensure};
use crate::grid::{ClipShape, ImageShape};
use crate::head::ClipDecoderConfig;
use crate::mask::ClipMaskConfig;
use crate::method::VideoMaeConfig;
use crate::nn::QkvBias;

/// Epsilon of the decoder's final norm, which no field says.
const DECODER_NORM_EPSILON: f64 = 1e-5;

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct VideoMaeJson {
    image_size: Size,
    patch_size: Size,
    num_channels: usize,
    num_frames: usize,
    tubelet_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    qv_bias: bool,
    /// What older files call it.
    qkv_bias: Option<bool>,
    use_mean_pooling: bool,
    decoder_num_attention_heads: usize,
    decoder_hidden_size: usize,
    decoder_num_hidden_layers: usize,
    decoder_intermediate_size: usize,
    norm_pix_loss: bool,
}

impl Default for VideoMaeJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: Size::Square(16),
            num_channels: 3,
            num_frames: 16,
            tubelet_size: 2,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            qv_bias: true,
            qkv_bias: None,
            use_mean_pooling: true,
            decoder_num_attention_heads: 6,
            decoder_hidden_size: 384,
            decoder_num_hidden_layers: 4,
            decoder_intermediate_size: 1536,
            norm_pix_loss: true,
        }
    }
}

impl VideoMaeJson {
    pub(super) fn encoder(&self) -> Result<ClipVitConfig> {
        let ([height, width], patch) = (self.image_size.height_width(), self.patch_size.patch()?);
        let image = ImageShape::new(self.num_channels, height, width);
        let clip = ClipShape::new(image, self.num_frames);
        let Self { hidden_size, num_hidden_layers, num_attention_heads, .. } = *self;
        let sizes = (hidden_size, num_hidden_layers, num_attention_heads);
        let config = ClipVitConfig::new(clip, self.tubelet_size, patch, sizes.0, sizes.1, sizes.2)
            .with_mlp_ratio(self.intermediate_size as f64 / hidden_size as f64)
            .with_activation(activation_named("hidden_act", &self.hidden_act)?)
            .with_norm_epsilon(self.layer_norm_eps)
            .with_qkv_bias(match self.qkv_bias.unwrap_or(self.qv_bias) {
                true => QkvBias::QueryValue,
                false => QkvBias::None,
            })
            .with_final_norm(!self.use_mean_pooling);
        config.validate()?;
        Ok(config)
    }

    pub(super) fn videomae(&self) -> Result<VideoMaeConfig> {
        let mlp_ratio = self.decoder_intermediate_size as f64 / self.decoder_hidden_size as f64;
        let decoder = ClipDecoderConfig::new()
            .with_width(self.decoder_hidden_size)
            .with_depth(self.decoder_num_hidden_layers)
            .with_heads(self.decoder_num_attention_heads)
            .with_mlp_ratio(mlp_ratio)
            .with_final_norm_epsilon(DECODER_NORM_EPSILON);
        let config = VideoMaeConfig::new(self.encoder()?)
            .with_decoder(decoder)
            .with_normalized(self.norm_pix_loss);
        // No field is about masks, and a step of few cells has no tubes of a tenth.
        let config = match config.mask() {
            Ok(_) => config,
            Err(_) => config.with_mask(ClipMaskConfig::Random { ratio: 0.5 }),
        };
        config.validate()?;
        Ok(config)
    }
}

/// The configuration transformers reads for such an encoder.
///
/// # Errors
///
/// When the encoder has a part that transformers' class lacks.
pub(super) fn clip_vit_json(config: &ClipVitConfig, architecture: &str) -> Result<Value> {
    ensure!(
        config.qkv_bias != QkvBias::All,
        "transformers' VideoMAE has no bias on keys, so this model cannot be saved so"
    );
    ensure!(
        config.stem.is_none(),
        "transformers' VideoMAE has no convolutional stem, so this model cannot be saved so"
    );
    let ClipShape { image, frames } = config.clip;
    Ok(json!({
        "architectures": [architecture],
        "model_type": "videomae",
        "image_size": image_size(image),
        "patch_size": config.patch,
        "num_channels": image.channels,
        "num_frames": frames,
        "tubelet_size": config.tubelet,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width(),
        "hidden_act": name_of_activation(config.activation),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": config.norm_epsilon,
        "qv_bias": config.qkv_bias == QkvBias::QueryValue,
        "use_mean_pooling": !config.final_norm,
        "dtype": "float32",
    }))
}

/// The configuration transformers reads for such a masked autoencoder.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks.
pub(super) fn videomae_json(config: &VideoMaeConfig) -> Result<Value> {
    let mut json = clip_vit_json(&config.encoder, "VideoMAEForPreTraining")?;
    let refuse = |what: &str| {
        Err(Error::config(format!(
            "transformers' VideoMAE has {what}, so this model cannot be saved so"
        )))
    };
    let epsilon = config.decoder.final_norm_epsilon;
    if epsilon != DECODER_NORM_EPSILON {
        return refuse(&format!(
            "an epsilon of {DECODER_NORM_EPSILON:?} in the decoder's final norm, and not {epsilon:?}"
        ));
    }
    let usual = config.clone().with_statistics(None).statistics();
    if config.statistics() != usual {
        return refuse("ImageNet's statistics for three channels, and none for others");
    }
    if usual.is_none() && !config.normalized {
        return refuse("no target of raw pixels but of three channels");
    }
    if config.motion.is_some() {
        return refuse("a head that predicts no motion");
    }
    let decoder = config.decoder.transformer(&config.encoder);
    json["decoder_hidden_size"] = json!(decoder.width);
    json["decoder_num_hidden_layers"] = json!(decoder.depth);
    json["decoder_num_attention_heads"] = json!(decoder.heads);
    json["decoder_intermediate_size"] = json!(decoder.mlp_width);
    json["norm_pix_loss"] = json!(config.normalized);
    Ok(json)
}
