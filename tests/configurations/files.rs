//! What files of configurations may leave out, and what is said of a slip.

use burn_mim::data::augment::{Augmentation, CropRange, JitterRange, RandAugment};
use burn_mim::eval::LinearProbe;
use burn_mim::method::{DvaeSchedule, Sampling};
use burn_mim::train::Recipe;
use burn_mim::{MaeConfig, MaskConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::any_method::AnyMethod;
use crate::presets::{methods, tokenizers};

/// Fields that a file must have: there is no number that is usually right. `target`, `asked`,
/// `kind`, `method` and `tokenizer` say which of several things is meant.
const REQUIRED: &[&str] = &[
    "unit_attention",
    "image",
    "patch",
    "width",
    "depth",
    "heads",
    "depths",
    "widths",
    "window",
    "channels",
    "height",
    "encoder",
    "tokenizer",
    "beit",
    "pairs",
    "gap",
    "jitter",
    "sizes",
    "target",
    "asked",
    "share",
    "kind",
    "method",
    "cell",
    "side",
    "by_width",
    "by_layer",
    "scale",
    "format",
    "numbers",
    "ratio",
    "strategy",
    "data",
    "statistics",
    "augmentation",
    "seed",
    "mean",
    "std",
    "magnitude",
    "noise",
    "probability",
    "layers",
    "of",
    "last",
    "loss",
    "beta",
    "teacher",
    "network",
    "start",
    "end",
];

/// Names of variants, which stand where a field's name does.
const VARIANTS: [&str; 3] = ["features", "sliding", "vit"];

/// Every object within `value` by its JSON pointer, the outermost first.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        found.push(path.to_string());
        fields.iter().for_each(|(name, item)| objects(item, &format!("{path}/{name}"), found));
    }
}

/// `json` with the object at `path` changed.
fn changed(json: &Value, path: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut json = json.clone();
    change(json.pointer_mut(path).unwrap().as_object_mut().unwrap());
    json
}

/// Without any one field a file is read, or the field is one that has no default; and a field of
/// another name is an error that names both.
fn check<T>(json: &Value, read: impl Fn(Value) -> serde_json::Result<T>) {
    let mut paths = Vec::new();
    objects(json, "", &mut paths);
    for path in paths {
        for name in json.pointer(&path).unwrap().as_object().unwrap().keys() {
            check_field(json, &path, name, &read);
        }
    }
}

fn check_field<T>(
    json: &Value,
    path: &str,
    name: &str,
    read: impl Fn(Value) -> serde_json::Result<T>,
) {
    let without = changed(json, path, |fields| {
        fields.remove(name);
    });
    match read(without) {
        Ok(_) => {}
        Err(_) if VARIANTS.contains(&name) => {}
        Err(error) => {
            let message = error.to_string();
            assert!(REQUIRED.contains(&name), "{path}/{name}: {message}");
            assert!(message.contains(&format!("missing field `{name}`")), "{message}");
        }
    }
    let misspelt = changed(json, path, |fields| {
        let value = fields.remove(name).unwrap();
        fields.insert(format!("{name}i"), value);
    });
    let Err(error) = read(misspelt) else { panic!("{path}/{name}i is taken for {name}") };
    assert!(error.to_string().contains(name), "{path}/{name}: {error}");
}

/// The same of a configuration of one type.
fn check_config<C: Serialize + DeserializeOwned>(config: &C) {
    check(&serde_json::to_value(config).unwrap(), serde_json::from_value::<C>);
}

#[test]
fn every_field_with_a_default_may_be_absent_and_every_misspelt_one_is_named() {
    tokenizers().iter().for_each(check_config);
    check_config(&Recipe::simmim());
    check_config(&Sampling::new());
    check_config(&DvaeSchedule::new());
    check_config(&LinearProbe::mae());
    for method in methods() {
        check(&method.json(), |json| method.with(json));
        check(&run(&*method), |json| method.read_run(json));
    }
}

/// A run with every kind of augmentation.
fn run(method: &dyn AnyMethod) -> Value {
    let augmentation = Augmentation {
        crop: Some(CropRange::new([0.5, 1.0])),
        jitter: Some(JitterRange::uniform(0.4)),
        rand_augment: Some(RandAugment::papers()),
        ..Augmentation::mae()
    };
    json!({
        "format": 2,
        "method": method.name(),
        "numbers": method.json(),
        "data": "shapes",
        "statistics": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "augmentation": augmentation,
        "seed": 1,
    })
}

#[test]
fn an_absent_field_is_the_default() {
    let given = json!({"encoder": {
        "image": {"channels": 3, "height": 224, "width": 224},
        "patch": 16, "width": 768, "depth": 12, "heads": 12,
    }});
    let mae: MaeConfig = serde_json::from_value(given).unwrap();
    assert_eq!(mae, MaeConfig::base_patch16());
    assert_eq!(serde_json::from_value::<Recipe>(json!({})).unwrap(), Recipe::mae());
}

#[test]
fn a_misspelt_field_is_told_with_its_place_and_the_right_name() {
    let message = |json: Value| serde_json::from_value::<MaeConfig>(json).unwrap_err().to_string();
    let mut json = methods()[0].json();
    json["normalised"] = true.into();
    assert_eq!(message(json.clone()), "unknown field `normalised`; did you mean `normalized`?");
    json.as_object_mut().unwrap().remove("normalised");
    json["encoder"]["image"]["heigth"] = 5.into();
    assert!(message(json).starts_with("in `encoder.image`: unknown field `heigth`"));
}

#[test]
fn a_misspelt_mask_names_what_it_may_be() {
    let json = json!({"strategy": "block", "ratio": 0.4, "min_blok": 4});
    let message = serde_json::from_value::<MaskConfig>(json).unwrap_err().to_string();
    assert!(message.contains("min_blok") && message.contains("`min_block`"), "{message}");
}
