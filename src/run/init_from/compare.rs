//! In which numbers a run's method differs from that of the weights it begins with.

use serde_json::Value;

/// Fields of an encoder that decide how it starts, how it is trained and how it reads images of
/// another size, and not what its weights compute. Images are compared by themselves.
const TRAINING: [&str; 7] = [
    "image",
    "drop_path",
    "init",
    "tokenizer_folder",
    "position_resize",
    "relative_resize",
    "pooled_norm",
];

/// Names the fields of `here`, below `name`, with another value in `there`.
pub(super) fn differences(name: &str, here: &Value, there: &Value) -> Vec<String> {
    let last = name.rsplit('.').next().unwrap_or_default();
    if TRAINING.contains(&last) || here == there {
        return Vec::new();
    }
    match (here, there) {
        (Value::Object(here), Value::Object(there)) => {
            let both = here.iter().filter_map(|(key, value)| Some((key, value, there.get(key)?)));
            both.flat_map(|(key, here, there)| differences(&format!("{name}.{key}"), here, there))
                .collect()
        }
        // Where a layer scale starts, and whether positions are trained.
        (Value::Number(_), Value::Number(_)) if last == "layer_scale" => Vec::new(),
        (Value::String(here), Value::String(there))
            if last == "positions" && here != "none" && there != "none" =>
        {
            Vec::new()
        }
        _ => vec![format!("{name} is {here} here and {there} there")],
    }
}

/// The sizes of the transformer among the numbers of a method, or among those of its encoder.
pub(super) fn network(numbers: &Value) -> &Value {
    let encoder = &numbers["encoder"];
    if encoder["encoder"].is_object() { &encoder["encoder"] } else { encoder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{CondensedVitConfig, VitConfig};
    use crate::grid::ImageShape;

    fn json(config: &impl serde::Serialize) -> Value {
        serde_json::json!({ "encoder": config })
    }

    #[test]
    fn what_changes_the_features_is_named_and_what_is_only_trained_is_not() {
        let config = VitConfig::new(ImageShape::square(3, 32), 4, 64, 2, 4);
        let told = |other: &VitConfig| {
            let (here, there) = (json(&config), json(other));
            differences("encoder", network(&here), network(&there))
        };
        let resized = VitConfig { image: ImageShape::square(3, 48), ..config.clone() };
        assert!(told(&resized.with_drop_path(0.1)).is_empty());
        // As many parameters, other features.
        let heads = VitConfig { heads: 8, ..config.clone() };
        assert_eq!(told(&heads), ["encoder.heads is 4 here and 8 there"]);
        let epsilon = config.clone().with_norm_epsilon(1e-12);
        assert_eq!(told(&epsilon), ["encoder.norm_epsilon is 1e-6 here and 1e-12 there"]);
        let scaled = config.clone().with_layer_scale(Some(0.1));
        assert_eq!(told(&scaled), ["encoder.layer_scale is null here and 0.1 there"]);
    }

    #[test]
    fn the_transformer_of_a_condensed_one_is_found() {
        let vit = VitConfig::new(ImageShape::square(3, 32), 4, 64, 2, 4);
        let condensed = CondensedVitConfig::new(vit.clone());
        assert_eq!(network(&json(&condensed)), network(&json(&vit)));
    }
}
