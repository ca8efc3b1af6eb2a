//! Reads a `config.json` as people and programs write it.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::weights_file::WeightsFile;
use crate::error::{Error, Result};

/// The size of the longest file. Published files have a few kilobytes, or a name for each of many
/// classes.
const LONGEST: u64 = 1 << 24;

/// Reads the object in `path`. A byte-order mark and fields that are null are left out, and whole
/// numbers written as `32.0` become integers.
pub(super) fn read(path: &Path) -> Result<Value> {
    let fault = |error: &dyn std::fmt::Display| Error::checkpoint(path, error);
    let size = fs::metadata(path).map_err(|error| fault(&error))?.len();
    if size > LONGEST {
        return Err(fault(&format!("has {size} bytes; {LONGEST} are the most")));
    }
    let bytes = fs::read(path).map_err(|error| fault(&error))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let json: Value =
        serde_json::from_slice(bytes).map_err(|error| fault(&format!("is not JSON: {error}")))?;
    match json {
        Value::Object(fields) => Ok(tidied(Value::Object(fields))),
        _ => Err(fault(&"is not a JSON object")),
    }
}

fn tidied(json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(name, value)| (name, tidied(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(tidied).collect()),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < 1e15 => {
                Value::from(value as i64)
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}

/// `json` as a `T`, every field of which has a default; an error names the field.
pub(super) fn parsed<T: DeserializeOwned>(json: &Value) -> Result<T, String> {
    T::deserialize(json).map_err(|error| {
        let fields = json.as_object().into_iter().flatten();
        let alone = |(name, value): &(&String, &Value)| {
            T::deserialize(Value::Object(Map::from_iter([((*name).clone(), (*value).clone())])))
                .is_err()
        };
        match fields.clone().find(alone) {
            Some((name, value)) => {
                let value: String = value.to_string().chars().take(60).collect();
                format!("{name} is {value}: {error}")
            }
            None => error.to_string(),
        }
    })
}

/// Fields with an upper limit that no model in use comes near. A larger value is a fault that would
/// exhaust the machine's memory before any weights are compared.
const LARGEST: [(&[&str], u64); 7] = [
    (
        &["hidden_size", "hidden_sizes", "intermediate_size", "embed_dim", "n_embd", "n_inner"],
        1 << 17,
    ),
    (&["decoder_hidden_size", "decoder_intermediate_size"], 1 << 17),
    (&["image_size", "patch_size", "encoder_stride"], 1 << 13),
    (&["num_channels", "num_attention_heads", "num_heads", "n_head"], 1 << 12),
    (&["decoder_num_attention_heads", "head_dim"], 1 << 12),
    (&["window_size", "pretrained_window_sizes"], 1 << 6),
    (&["vocab_size", "n_positions", "max_position_embeddings"], 1 << 22),
];

/// Fields that count blocks, each of which has keys in the weights.
const DEPTHS: [&str; 4] = ["num_hidden_layers", "decoder_num_hidden_layers", "n_layer", "depths"];

/// Refuses sizes above these limits, and more blocks than the weights have keys.
pub(super) fn check_sizes(json: &Value, file: &WeightsFile) -> Result<(), String> {
    let keys = file.keys().count().max(64) as u64;
    let limits =
        LARGEST.into_iter().flat_map(|(names, most)| names.iter().map(move |n| (*n, most)));
    for (name, most) in limits {
        if let Some(value) = largest(&json[name]).filter(|value| *value > most) {
            return Err(format!("{name} is {value}; {most} is the most"));
        }
    }
    for name in DEPTHS {
        let stages = json[name].as_array().map_or(0, Vec::len) as u64;
        if let Some(value) = largest(&json[name]).max(Some(stages)).filter(|value| *value > keys) {
            return Err(format!(
                "{name} is {value}; the weights have {} keys",
                file.keys().count()
            ));
        }
    }
    Ok(())
}

/// The largest number in a value.
fn largest(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            // A number beyond the range of integers.
            number.as_f64().filter(|value| *value >= 1e15).map(|_| u64::MAX)
        }),
        Value::Array(values) => values.iter().filter_map(largest).max(),
        Value::Object(fields) => fields.values().filter_map(largest).max(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code, reason = "only read")]
    struct Fields {
        depth: usize,
        name: String,
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_named() {
        let message = parsed::<Fields>(&json!({"name": "a", "depth": "two"})).unwrap_err();
        assert!(message.starts_with("depth is \"two\": "), "{message}");
        assert!(parsed::<Fields>(&json!({"depth": -1})).unwrap_err().starts_with("depth is -1: "));
    }

    #[test]
    fn nulls_byte_order_marks_and_whole_floats_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"\xef\xbb\xbf{\"a\": null, \"b\": 32.0, \"c\": [0.5, 2.0]}")
            .unwrap();
        assert_eq!(read(file.path()).unwrap(), json!({"b": 32, "c": [0.5, 2]}));
        fs::write(file.path(), b"{\"a\": 1},").unwrap();
        let message = read(file.path()).unwrap_err().to_string();
        assert!(message.contains("is not JSON") && message.contains("line 1"), "{message}");
    }
}
