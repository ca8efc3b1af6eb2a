//! The `config.json` of Hugging Face transformers, for BEiT.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, activation_named, image_size, name_of_activation, only_shared_heads};
use crate::encoder::{RelativePositions, VitConfig, VitInit};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::check_vocabulary;
use crate::nn::{MlpActivation, Positions, QkvBias, TableResize};

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct BeitJson {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    image_size: Size,
    patch_size: Size,
    num_channels: usize,
    use_mask_token: bool,
    use_absolute_position_embeddings: bool,
    use_relative_position_bias: bool,
    use_shared_relative_position_bias: bool,
    layer_scale_init_value: f64,
    drop_path_rate: f64,
    use_mean_pooling: bool,
    head_dim: Option<usize>,
}

impl Default for BeitJson {
    fn default() -> Self {
        Self {
            vocab_size: 8192,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            image_size: Size::Square(224),
            patch_size: Size::Square(16),
            num_channels: 3,
            use_mask_token: false,
            use_absolute_position_embeddings: false,
            use_relative_position_bias: false,
            use_shared_relative_position_bias: false,
            layer_scale_init_value: 0.1,
            drop_path_rate: 0.1,
            use_mean_pooling: true,
            head_dim: None,
        }
    }
}

impl BeitJson {
    /// The same model for other images.
    pub(super) fn with_image(mut self, image: Option<ImageShape>) -> Self {
        if let Some(ImageShape { channels, height, width, .. }) = image {
            self.image_size = Size::HeightWidth([height, width]);
            self.num_channels = channels;
        }
        self
    }

    pub(super) fn has_mask_token(&self) -> bool {
        self.use_mask_token
    }

    pub(super) fn encoder(&self) -> Result<VitConfig> {
        let activation = activation_named("hidden_act", &self.hidden_act)?;
        let ([height, width], patch) = (self.image_size.height_width(), self.patch_size.patch()?);
        let (heads, features) = (self.num_attention_heads, self.hidden_size);
        only_shared_heads(self.head_dim, heads, features)?;
        let relative =
            match (self.use_relative_position_bias, self.use_shared_relative_position_bias) {
                (false, false) => RelativePositions::None,
                (true, false) => RelativePositions::PerBlock,
                (false, true) => RelativePositions::Shared,
                (true, true) => {
                    return Err(Error::config(
                        "relative position bias both shared and of each block is not supported",
                    ));
                }
            };
        if relative != RelativePositions::None && height != width {
            return Err(Error::config(format!(
                "an image_size of {height}×{width} with relative position bias is not supported: \
                 transformers mixes up the axes of its table"
            )));
        }
        let absolute = self.use_absolute_position_embeddings;
        let image = ImageShape::new(self.num_channels, height, width);
        let config = VitConfig::new(image, patch, features, self.num_hidden_layers, heads)
            .with_mlp_ratio(self.intermediate_size as f64 / features as f64)
            .with_norm_epsilon(self.layer_norm_eps)
            .with_activation(activation)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_positions(if absolute { Positions::Learned } else { Positions::None })
            .with_relative_positions(relative)
            .with_relative_resize(TableResize::Bilinear)
            .with_layer_scale(Some(self.layer_scale_init_value).filter(|&scale| scale > 0.0))
            .with_drop_path(self.drop_path_rate)
            .with_init(VitInit::Beit);
        config.validate()?;
        Ok(config)
    }

    /// The encoder of a model with a head, and the number of tokens that the head predicts.
    pub(super) fn network(&self) -> Result<(VitConfig, usize)> {
        if !self.use_mask_token {
            return Err(Error::config(
                "use_mask_token is false, but a model that predicts hidden patches needs a mask token",
            ));
        }
        if !self.use_mean_pooling {
            return Err(Error::config(
                "use_mean_pooling is false: transformers then normalizes twice before the head, \
                 which is not supported",
            ));
        }
        check_vocabulary(self.vocab_size)?;
        Ok((self.encoder()?, self.vocab_size))
    }
}

/// The configuration transformers reads for such an encoder.
///
/// # Errors
///
/// When the encoder has a part that transformers' BEiT lacks.
pub(super) fn beit_json(config: &VitConfig, architecture: &str) -> Result<Value> {
    let refuse = |has: bool, what: &str| {
        let message = format!("transformers' BEiT has no {what}, so this model cannot be saved so");
        if has { Err(Error::config(message)) } else { Ok(()) }
    };
    let activation = config.activation;
    if let Some(part) = config.clone().with_activation(MlpActivation::Gelu).newer_part() {
        refuse(true, part)?;
    }
    refuse(!config.class_token, "variant without a class token")?;
    refuse(config.qkv_bias != QkvBias::QueryValue, "bias but that on query and value")?;
    let ImageShape { height, width, .. } = config.image;
    let relative = config.relative_positions;
    let positions = config.positions != Positions::None || relative != RelativePositions::None;
    refuse(positions && height != width, "positions on a grid that is not square")?;
    Ok(json!({
        "architectures": [architecture],
        "model_type": "beit",
        "image_size": image_size(config.image),
        "patch_size": config.patch,
        "num_channels": config.image.channels,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width(),
        "layer_norm_eps": config.norm_epsilon,
        "hidden_act": name_of_activation(activation),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "use_mask_token": true,
        "use_absolute_position_embeddings": config.positions != Positions::None,
        "use_relative_position_bias": relative == RelativePositions::PerBlock,
        "use_shared_relative_position_bias": relative == RelativePositions::Shared,
        "layer_scale_init_value": config.layer_scale.unwrap_or(0.0),
        "drop_path_rate": config.drop_path,
        "use_mean_pooling": true,
        "dtype": "float32",
    }))
}
