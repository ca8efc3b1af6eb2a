//! The `config.json` of Hiera.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, only_gelu};
use crate::encoder::HieraConfig;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::mask::MaskConfig;
use crate::method::HieraMaeConfig;

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct HieraJson {
    image_size: Size,
    patch_size: Size,
    patch_stride: Size,
    patch_padding: Size,
    num_channels: usize,
    embed_dim: usize,
    embed_dim_multiplier: f64,
    depths: Vec<usize>,
    num_heads: Vec<usize>,
    num_query_pool: usize,
    query_stride: Size,
    masked_unit_size: Size,
    masked_unit_attention: Vec<bool>,
    mlp_ratio: f64,
    drop_path_rate: f64,
    hidden_act: String,
    layer_norm_eps: f64,
    decoder_hidden_size: Option<usize>,
    decoder_depth: Option<usize>,
    decoder_num_heads: Option<usize>,
    normalize_pixel_loss: bool,
    mask_ratio: f64,
}

impl Default for HieraJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: Size::Square(7),
            patch_stride: Size::Square(4),
            patch_padding: Size::Square(3),
            num_channels: 3,
            embed_dim: 96,
            embed_dim_multiplier: 2.0,
            depths: vec![2, 3, 16, 3],
            num_heads: vec![1, 2, 4, 8],
            num_query_pool: 3,
            query_stride: Size::Square(2),
            masked_unit_size: Size::Square(8),
            masked_unit_attention: vec![true, true, false, false],
            mlp_ratio: 4.0,
            drop_path_rate: 0.0,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-6,
            decoder_hidden_size: None,
            decoder_depth: None,
            decoder_num_heads: None,
            normalize_pixel_loss: true,
            mask_ratio: 0.6,
        }
    }
}

impl HieraJson {
    pub(super) fn hiera(&self) -> Result<HieraConfig> {
        only_gelu(&self.hidden_act)?;
        ensure!(
            self.embed_dim_multiplier == 2.0,
            "an embed_dim_multiplier of {:?} is not supported, only 2",
            self.embed_dim_multiplier
        );
        let [height, width] = self.image_size.height_width();
        let image = ImageShape::new(self.num_channels, height, width);
        let (depths, heads) = (self.depths.clone(), self.num_heads.clone());
        let attention = self.masked_unit_attention.clone();
        let config = HieraConfig::new(image, self.embed_dim, depths, heads, attention)
            .with_patch_kernel(self.patch_size.height_width())
            .with_patch_stride(self.patch_stride.height_width())
            .with_patch_padding(self.patch_padding.height_width())
            .with_query_stride(self.query_stride.height_width())
            .with_unit(self.masked_unit_size.height_width())
            .with_pools(self.num_query_pool)
            .with_mlp_ratio(self.mlp_ratio)
            .with_norm_epsilon(self.layer_norm_eps)
            .with_drop_path(self.drop_path_rate);
        config.validate()?;
        Ok(config)
    }

    /// The masked autoencoder on `encoder`.
    pub(super) fn mae(&self, encoder: HieraConfig) -> Result<HieraMaeConfig> {
        let (Some(width), Some(depth), Some(heads)) =
            (self.decoder_hidden_size, self.decoder_depth, self.decoder_num_heads)
        else {
            return Err(crate::error::Error::config(
                "a HieraForPreTraining needs decoder_hidden_size, decoder_depth and \
                 decoder_num_heads",
            ));
        };
        let decoder = DecoderConfig::new()
            .with_width(width)
            .with_depth(depth)
            .with_heads(heads)
            .with_mlp_ratio(self.mlp_ratio);
        let config = HieraMaeConfig::new(encoder)
            .with_decoder(decoder)
            .with_mask(MaskConfig::Mae { ratio: self.mask_ratio })
            .with_normalized(self.normalize_pixel_loss);
        config.validate()?;
        Ok(config)
    }
}

/// The configuration transformers reads for such an encoder.
pub(super) fn hiera_json(config: &HieraConfig, architecture: &str) -> Value {
    let ImageShape { channels, height, width, .. } = config.image;
    json!({
        "architectures": [architecture],
        "model_type": "hiera",
        "image_size": [height, width],
        "patch_size": config.patch_kernel,
        "patch_stride": config.patch_stride,
        "patch_padding": config.patch_padding,
        "num_channels": channels,
        "embed_dim": config.width,
        "embed_dim_multiplier": 2.0,
        "hidden_size": config.output_width(),
        "depths": config.depths,
        "num_heads": config.heads,
        "num_query_pool": config.pools,
        "query_stride": config.query_stride,
        "masked_unit_size": config.unit,
        "masked_unit_attention": config.unit_attention,
        "mlp_ratio": config.mlp_ratio,
        "drop_path_rate": config.drop_path,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "layer_norm_init": 1.0,
        "layer_norm_eps": config.norm_epsilon,
        "dtype": "float32",
    })
}

/// The configuration transformers reads for such a masked autoencoder.
///
/// # Errors
///
/// When it has a part that transformers' class lacks.
pub(super) fn hiera_mae_json(config: &HieraMaeConfig) -> Result<Value> {
    let HieraMaeConfig { encoder, decoder, .. } = config;
    ensure!(
        decoder.mlp_ratio == encoder.mlp_ratio,
        "transformers' Hiera has one mlp_ratio, and this model {:?} in its encoder and {:?} in its \
         decoder: export its encoder, or a bare file of safetensors",
        encoder.mlp_ratio,
        decoder.mlp_ratio
    );
    let mut json = hiera_json(encoder, "HieraForPreTraining");
    json["decoder_hidden_size"] = json!(decoder.width);
    json["decoder_depth"] = json!(decoder.depth);
    json["decoder_num_heads"] = json!(decoder.heads);
    json["normalize_pixel_loss"] = json!(config.normalized);
    json["mask_ratio"] = json!(config.mask.ratio().unwrap_or(0.6));
    Ok(json)
}
