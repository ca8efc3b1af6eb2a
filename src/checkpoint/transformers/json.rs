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
