//! Fields that the `config.json` of several families have in common.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::nn::MlpActivation;

/// A side length, or height and width.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Size {
    Square(usize),
    HeightWidth([usize; 2]),
}

impl TryFrom<Value> for Size {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
        let found = match &value {
            Value::Array(sides) => match sides.as_slice() {
                [one] => side(one).map(Self::Square),
                [height, width] => side(height).zip(side(width)).map(|(h, w)| [h, w].into()),
                _ => None,
            },
            Value::Object(sides) => match (sides.get("height"), sides.get("width")) {
                (Some(height), Some(width)) => {
                    side(height).zip(side(width)).map(|(h, w)| [h, w].into())
                }
                _ => None,
            },
            one => side(one).map(Self::Square),
        };
        found.ok_or_else(|| {
            "expected a number of pixels, or height and width as a list or by these names".into()
        })
    }
}

impl From<[usize; 2]> for Size {
    fn from(sides: [usize; 2]) -> Self {
        Self::HeightWidth(sides)
    }
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

/// One name or a list of names.
pub(super) fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let name = |value: &Value| value.as_str().map(str::to_string);
    let names = match Value::deserialize(from)? {
        Value::Array(names) => names.iter().map(name).collect(),
        one => name(&one).map(|name| vec![name]),
    };
    names.ok_or_else(|| D::Error::custom("expected a list of names of classes"))
}

/// Writes a [`Size`]: one number for a square.
pub(super) fn image_size(image: ImageShape) -> Value {
    let ImageShape { height, width, .. } = image;
    if height == width { json!(height) } else { json!([height, width]) }
}

/// Each activation with its names in transformers, the one that is written first.
const ACTIVATIONS: [(&str, MlpActivation); 9] = [
    ("quick_gelu", MlpActivation::QuickGelu),
    ("gelu", MlpActivation::Gelu),
    ("gelu_python", MlpActivation::Gelu),
    ("gelu_new", MlpActivation::GeluTanh),
    ("gelu_pytorch_tanh", MlpActivation::GeluTanh),
    ("gelu_fast", MlpActivation::GeluTanh),
    ("relu", MlpActivation::Relu),
    ("silu", MlpActivation::Silu),
    ("swish", MlpActivation::Silu),
];

/// The activation that the field `field` calls `name`.
pub(super) fn activation_named(field: &str, name: &str) -> Result<MlpActivation> {
    let named = ACTIVATIONS.iter().find(|(known, _)| *known == name);
    named.map(|(_, activation)| *activation).ok_or_else(|| {
        let known: Vec<_> = ACTIVATIONS.iter().map(|(name, _)| *name).collect();
        Error::config(format!("{field} {name:?} is not supported, only {}", known.join(", ")))
    })
}

/// What transformers calls an activation.
pub(super) fn name_of_activation(activation: MlpActivation) -> &'static str {
    let named = ACTIVATIONS.iter().find(|(_, known)| *known == activation);
    named.expect("every activation has a name").0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_a_list_or_an_object() {
        let read = |json: Value| Size::try_from(json).map(Size::height_width);
        assert_eq!(read(json!(32)), Ok([32, 32]));
        assert_eq!(read(json!([32])), Ok([32, 32]));
        assert_eq!(read(json!([16, 32])), Ok([16, 32]));
        assert_eq!(read(json!({"width": 32, "height": 16})), Ok([16, 32]));
        for wrong in [json!("32"), json!([1, 2, 3]), json!({"height": 1}), json!(-1), json!(0.5)] {
            assert!(read(wrong).unwrap_err().contains("height and width"));
        }
    }
}
