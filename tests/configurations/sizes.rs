//! Absurd numbers are refused before anything is allocated or counted to.

use burn_mim::train::Recipe;
use burn_mim::{Result, TokenizerConfig};
use serde_json::Value;

use crate::presets::{methods, tokenizers};

/// Numbers that any size is right for: smallest sizes, which are cut to what there is, and the
/// distance of norms.
const UNBOUNDED: [&str; 3] = ["min_block", "min_pixels", "extra_norm_every"];

/// Numbers that need not be whole and have no upper limit of their own.
const FRACTIONS: [&str; 21] = [
    "alignment",
    "temperature",
    "pixels_weight",
    "hog_weight",
    "factor",
    "norm_epsilon",
    "layer_scale",
    "branch_norm",
    "contrast",
    "weight",
    "class_loss",
    "patch_loss",
    "beta",
    "base_lr",
    "muon_rate",
    "warmup_epochs",
    "warmup_lr",
    "min_lr",
    "epsilon",
    "weight_decay",
    "clip_norm",
];

/// The path of every number in `value`, as a JSON pointer.
fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path.to_string()),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| numbers(item, &format!("{path}/{i}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| numbers(item, &format!("{path}/{name}"), found));
        }
        _ => {}
    }
}

/// What is said of `json` with each of its numbers in turn replaced by `number`: the path, and the
/// message or nothing. `validate` gives nothing where a number is none of the field's type, which the
/// reader refuses.
fn with_each(
    json: &Value,
    number: &Value,
    validate: impl Fn(Value) -> Option<Result<()>>,
) -> Vec<(String, Option<String>)> {
    let mut paths = Vec::new();
    numbers(json, "", &mut paths);
    let said = |path: String| {
        let mut json = json.clone();
        *json.pointer_mut(&path).unwrap() = number.clone();
        Some((path, validate(json)?.err().map(|error| error.to_string())))
    };
    paths.into_iter().filter_map(said).collect()
}

fn all(number: &Value) -> Vec<(String, Option<String>)> {
    let methods = methods().into_iter().flat_map(|method| {
        with_each(&method.json(), number, |json| Some(method.with(json).ok()?.validate()))
    });
    let tokenizers = tokenizers().into_iter().flat_map(|config| {
        with_each(&serde_json::to_value(config).unwrap(), number, |json| {
            Some(serde_json::from_value::<TokenizerConfig>(json).ok()?.validate())
        })
    });
    let recipe = serde_json::to_value(Recipe::simmim_800()).unwrap();
    let recipe = with_each(&recipe, number, |json| {
        Some(serde_json::from_value::<Recipe>(json).ok()?.validate())
    });
    methods.chain(tokenizers).chain(recipe).collect()
}

#[test]
fn a_huge_whole_number_anywhere_is_refused_in_one_line() {
    for number in [1 << 32, u64::MAX / 2 + 1, u64::MAX] {
        let whole = Value::from(number);
        for (path, message) in all(&whole) {
            let name = path.rsplit('/').next().unwrap();
            if UNBOUNDED.contains(&name) || FRACTIONS.contains(&name) {
                continue;
            }
            let message = message.unwrap_or_else(|| panic!("{path} may be {number}"));
            assert!(message.len() < 300 && !message.contains('\n'), "{path}: {message}");
        }
    }
}

#[test]
fn no_number_makes_validation_panic() {
    for number in [Value::from(0), Value::from(1), Value::from(-1), Value::from(1e300)] {
        for (path, message) in all(&number) {
            assert!(message.is_none_or(|message| message.len() < 300), "{path}");
        }
    }
}
