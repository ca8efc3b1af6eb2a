//! What the families' `config.json` have in common.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// A side length, or height and width.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Size {
    Square(usize),
    HeightWidth([usize; 2]),
}

impl Size {
    /// Rows before columns.
    pub(super) fn height_width(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::HeightWidth(sides) => sides,
        }
    }

    /// The side of a square patch.
    pub(super) fn patch(self) -> Result<usize> {
        let [height, width] = self.height_width();
        if height == width {
            return Ok(height);
        }
        Err(Error::config(format!("patches of {height}×{width} pixels are not square")))
    }
}

/// As [`Size`] is written: one number for a square.
pub(super) fn image_size(image: ImageShape) -> Value {
    let ImageShape { height, width, .. } = image;
    if height == width { json!(height) } else { json!([height, width]) }
}

/// Refuses an activation other than the exact GELU.
pub(super) fn only_gelu(hidden_act: &str) -> Result<()> {
    if hidden_act == "gelu" {
        return Ok(());
    }
    Err(Error::config(format!("hidden_act {hidden_act:?} is not supported, only gelu")))
}

/// Refuses heads that do not share the features between them.
pub(super) fn only_shared_heads(
    head_dim: Option<usize>,
    heads: usize,
    features: usize,
) -> Result<()> {
    if head_dim.is_none_or(|head_dim| head_dim * heads == features) {
        return Ok(());
    }
    Err(Error::config(format!(
        "heads of {head_dim:?} features are not supported: {heads} of them share {features}"
    )))
}
