//! The `config.json` of Swin and Swin-v2.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, image_size, only_gelu};
use crate::encoder::{EncoderConfig, SwinConfig, SwinV2Config};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::MaskConfig;
use crate::method::SimMimConfig;

/// The largest number of values in the masks of shifted windows.
const LARGEST_MASK: usize = 1 << 27;

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct SwinJson {
    image_size: Size,
    patch_size: Size,
    num_channels: usize,
    embed_dim: usize,
    depths: Vec<usize>,
    num_heads: Vec<usize>,
    window_size: usize,
    pretrained_window_sizes: Vec<usize>,
    mlp_ratio: f64,
    qkv_bias: bool,
    hidden_act: String,
    use_absolute_embeddings: bool,
    layer_norm_eps: f64,
    encoder_stride: usize,
}

impl Default for SwinJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: Size::Square(4),
            num_channels: 3,
            embed_dim: 96,
            depths: vec![2, 2, 6, 2],
            num_heads: vec![3, 6, 12, 24],
            window_size: 7,
            pretrained_window_sizes: Vec::new(),
            mlp_ratio: 4.0,
            qkv_bias: true,
            hidden_act: "gelu".into(),
            use_absolute_embeddings: false,
            layer_norm_eps: 1e-5,
            encoder_stride: 32,
        }
    }
}

impl SwinJson {
    pub(super) fn swin(&self) -> Result<SwinConfig> {
        only_gelu(&self.hidden_act)?;
        let ([height, width], patch) = (self.image_size.height_width(), self.patch_size.patch()?);
        let image = ImageShape::new(self.num_channels, height, width);
        let (depths, heads) = (self.depths.clone(), self.num_heads.clone());
        let config = SwinConfig::new(image, patch, self.embed_dim, depths, heads, self.window_size)
            .with_mlp_ratio(self.mlp_ratio)
            .with_norm_epsilon(self.layer_norm_eps)
            .with_qkv_bias(self.qkv_bias)
            .with_absolute_positions(self.use_absolute_embeddings);
        config.validate()?;
        // The memory of the shifted windows' masks, which no weight of the file bounds.
        let (cells, window) = (config.grid().cells(), config.window);
        if cells.saturating_mul(window * window) > LARGEST_MASK {
            return Err(Error::config(format!(
                "window_size {window} on image_size {height}×{width}: masks of {cells} cells × \
                 {window}² are more than {LARGEST_MASK} numbers"
            )));
        }
        Ok(config)
    }

    pub(super) fn swin_v2(&self) -> Result<SwinV2Config> {
        if self.use_absolute_embeddings {
            return Err(Error::config(
                "absolute embeddings are not supported: transformers' own Swin-v2 fails with them",
            ));
        }
        let sizes = self.swin()?;
        // The default lists four stages, even if the model has another number.
        let mut pretrained = self.pretrained_window_sizes.clone();
        pretrained.truncate(sizes.depths.len());
        let is_set = pretrained.iter().any(|&window| window > 0);
        let config = SwinV2Config::new(sizes).with_pretrained_windows(if is_set {
            pretrained
        } else {
            Vec::new()
        });
        config.validate()?;
        Ok(config)
    }

    /// SimMIM on `encoder`, with the head of the folder.
    pub(super) fn simmim<C: EncoderConfig>(&self, encoder: C) -> Result<SimMimConfig<C>> {
        let stride = encoder.stride();
        if self.encoder_stride != stride {
            return Err(Error::config(format!(
                "an encoder_stride of {} is not the stride {stride} of the last stage",
                self.encoder_stride
            )));
        }
        Ok(SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: stride, ratio: 0.6 }))
    }
}

/// The configuration transformers reads for such an encoder.
pub(super) fn swin_json(config: &SwinConfig, architecture: &str) -> Value {
    json!({
        "architectures": [architecture],
        "model_type": "swin",
        "image_size": image_size(config.image),
        "patch_size": config.patch,
        "num_channels": config.image.channels,
        "embed_dim": config.width,
        "depths": config.depths,
        "num_heads": config.heads,
        "window_size": config.window,
        "mlp_ratio": config.mlp_ratio,
        "qkv_bias": config.qkv_bias,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "drop_path_rate": config.drop_path,
        "use_absolute_embeddings": config.absolute_positions,
        "initializer_range": 0.02,
        "layer_norm_eps": config.norm_epsilon,
        "encoder_stride": config.stride(),
        "dtype": "float32",
    })
}

/// The configuration transformers reads for such an encoder.
///
/// # Errors
///
/// When the encoder has a part that transformers' Swin-v2 lacks.
pub(super) fn swin_v2_json(config: &SwinV2Config, architecture: &str) -> Result<Value> {
    let refuse = |has: bool, what: &str| {
        let message =
            format!("transformers' Swin-v2 has no {what}, so this model cannot be saved so");
        if has { Err(Error::config(message)) } else { Ok(()) }
    };
    refuse(config.extra_norm_every.is_some(), "extra norms")?;
    refuse(config.sizes.absolute_positions, "working absolute positions")?;
    let mut json = swin_json(&config.sizes, architecture);
    json["model_type"] = json!("swinv2");
    let zeros = vec![0; config.sizes.depths.len()];
    let pretrained = &config.pretrained_windows;
    json["pretrained_window_sizes"] =
        json!(if pretrained.is_empty() { &zeros } else { pretrained });
    Ok(json)
}
