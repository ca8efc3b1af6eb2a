//! The `config.json` of ConvNeXt V2.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, image_size, only_gelu};
use crate::encoder::ConvNextV2Config;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct ConvNextJson {
    image_size: Size,
    patch_size: Size,
    num_channels: usize,
    num_stages: Option<usize>,
    hidden_sizes: Vec<usize>,
    depths: Vec<usize>,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for ConvNextJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: Size::Square(4),
            num_channels: 3,
            num_stages: None,
            hidden_sizes: vec![96, 192, 384, 768],
            depths: vec![3, 3, 9, 3],
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
        }
    }
}

impl ConvNextJson {
    /// The sizes, with the norm of pooled features if the weights have it. The images that a
    /// `config.json` states bind no layer, so smaller ones than a cell count as one cell.
    pub(super) fn convnext_v2(&self, pooled_norm: bool) -> Result<ConvNextV2Config> {
        only_gelu(&self.hidden_act)?;
        let stages = self.depths.len();
        if self.num_stages.is_some_and(|number| number != stages) {
            return Err(Error::config(format!(
                "num_stages is {:?}, but depths lists {stages}",
                self.num_stages.unwrap_or_default()
            )));
        }
        let (sides, patch) = (self.image_size.height_width(), self.patch_size.patch()?);
        let cell = 1usize.checked_shl(stages.saturating_sub(1) as u32).unwrap_or(usize::MAX);
        let [height, width] = sides.map(|side| side.max(patch.saturating_mul(cell)));
        let image = ImageShape::new(self.num_channels, height, width);
        let (widths, depths) = (self.hidden_sizes.clone(), self.depths.clone());
        let config = ConvNextV2Config::new(image, patch, widths, depths)
            .with_pooled_norm(pooled_norm.then_some(self.layer_norm_eps));
        config.validate()?;
        Ok(config)
    }
}

/// The configuration transformers reads for such a network.
pub(super) fn convnext_json(config: &ConvNextV2Config, epsilon: f64, architecture: &str) -> Value {
    json!({
        "architectures": [architecture],
        "model_type": "convnextv2",
        "image_size": image_size(config.image),
        "patch_size": config.patch,
        "num_channels": config.image.channels,
        "num_stages": config.depths.len(),
        "hidden_sizes": config.widths,
        "depths": config.depths,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "layer_norm_eps": epsilon,
        "drop_path_rate": config.drop_path,
        "dtype": "float32",
    })
}
