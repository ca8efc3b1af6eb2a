//! The `config.json` of Hugging Face transformers, for ImageGPT.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{activation_named, name_of_activation};
use crate::encoder::GptConfig;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::nn::ScoreScale;

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct ImageGptJson {
    vocab_size: usize,
    #[serde(alias = "max_position_embeddings")]
    n_positions: usize,
    #[serde(alias = "hidden_size")]
    n_embd: usize,
    #[serde(alias = "num_hidden_layers")]
    n_layer: usize,
    #[serde(alias = "num_attention_heads")]
    n_head: usize,
    n_inner: Option<usize>,
    activation_function: String,
    layer_norm_epsilon: f64,
    scale_attn_weights: bool,
    scale_attn_by_inverse_layer_idx: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
}

impl Default for ImageGptJson {
    fn default() -> Self {
        Self {
            vocab_size: 513,
            n_positions: 1024,
            n_embd: 512,
            n_layer: 24,
            n_head: 8,
            n_inner: None,
            activation_function: "quick_gelu".into(),
            layer_norm_epsilon: 1e-5,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
            tie_word_embeddings: false,
        }
    }
}

impl ImageGptJson {
    /// The transformer for pixels of `channels` channels. A file states the number of positions but
    /// not their rows: the rows come from `image` if it is given; otherwise the positions form a
    /// square if their number is one, and a single row if not.
    pub(super) fn gpt(&self, channels: usize, image: Option<ImageShape>) -> Result<GptConfig> {
        let refuse = |is: bool, what: &str| {
            let message = format!("an ImageGPT {what} is not supported");
            if is { Err(Error::config(message)) } else { Ok(()) }
        };
        refuse(self.add_cross_attention, "with cross-attention")?;
        refuse(self.tie_word_embeddings, "whose head is its embedding")?;
        let activation = activation_named("activation_function", &self.activation_function)?;
        let Self { n_positions, n_embd, n_layer, n_head, .. } = *self;
        let side = n_positions.isqrt();
        let own = match side * side == n_positions {
            true => ImageShape::square(channels, side),
            false => ImageShape::new(channels, 1, n_positions),
        };
        let image = image.unwrap_or(own);
        if image.height * image.width != n_positions {
            return Err(Error::config(format!(
                "images of {image} do not have the {n_positions} pixels of n_positions"
            )));
        }
        let config = GptConfig::new(image, n_embd, n_layer, n_head)
            .with_colors(self.vocab_size.saturating_sub(1))
            .with_mlp_width(self.n_inner)
            .with_activation(activation)
            .with_norm_epsilon(self.layer_norm_epsilon)
            .with_score_scale(ScoreScale {
                by_width: self.scale_attn_weights,
                by_layer: self.scale_attn_by_inverse_layer_idx,
            });
        config.validate()?;
        Ok(config)
    }
}

/// The configuration transformers reads for such a transformer.
///
/// # Errors
///
/// When every pixel attends to all others, which the ImageGPT of transformers never does.
pub(super) fn image_gpt_json(config: &GptConfig, architecture: &str) -> Result<Value> {
    if !config.causal {
        return Err(Error::config(
            "transformers' ImageGPT is causal, so a model of the BERT objective cannot be saved so",
        ));
    }
    Ok(json!({
        "architectures": [architecture],
        "model_type": "imagegpt",
        "vocab_size": config.colors + 1,
        "n_positions": config.grid().cells(),
        "n_embd": config.width,
        "n_layer": config.depth,
        "n_head": config.heads,
        "n_inner": config.mlp_width,
        "activation_function": name_of_activation(config.activation),
        "layer_norm_epsilon": config.norm_epsilon,
        "scale_attn_weights": config.score_scale.by_width,
        "scale_attn_by_inverse_layer_idx": config.score_scale.by_layer,
        "reorder_and_upcast_attn": false,
        "tie_word_embeddings": false,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "dtype": "float32",
    }))
}
