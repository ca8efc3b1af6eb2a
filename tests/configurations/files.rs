//! What files of configurations may leave out, and what is said of a slip.

use std::fmt::Debug;

use burn_mim::data::augment::{Augmentation, CropRange, JitterRange, RandAugment};
use burn_mim::eval::LinearProbe;
use burn_mim::method::{DvaeSchedule, Sampling};
use burn_mim::run::RunConfig;
use burn_mim::train::Recipe;
use burn_mim::{MaskConfig, TaskConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::presets::{tasks, tokenizers};

/// Fields that a file must have: there is no number that is usually right. `target`, `kind`,
/// `method` and `tokenizer` say which of several things is meant.
const REQUIRED: &[&str] = &[
    "image",
    "patch",
    "width",
    "depth",
    "heads",
    "depths",
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
    "kind",
    "method",
    "cell",
    "side",
    "by_width",
    "by_layer",
    "scale",
    "task",
    "data",
    "statistics",
    "augmentation",
    "seed",
    "mean",
    "std",
    "magnitude",
    "noise",
    "probability",
];

/// Names of variants, which stand where a field's name does.
const VARIANTS: [&str; 2] = ["features", "sliding"];

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

/// Calls `check` with `config` as JSON, the path of each of its objects and each of its fields.
fn each_field(config: &impl Serialize, mut check: impl FnMut(&Value, &str, &str)) {
    let json = serde_json::to_value(config).unwrap();
    let mut paths = Vec::new();
    objects(&json, "", &mut paths);
    for path in paths {
        for name in json.pointer(&path).unwrap().as_object().unwrap().keys() {
            check(&json, &path, name);
        }
    }
}

/// Without any one field the file is read, or the field is one that has no default; and a field
/// of another name is an error that names both.
fn check<C: Serialize + DeserializeOwned + Debug + PartialEq>(config: &C) {
    each_field(config, |json, path, name| {
        let without = changed(json, path, |fields| {
            fields.remove(name);
        });
        match serde_json::from_value::<C>(without) {
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
        let error = serde_json::from_value::<C>(misspelt);
        let Err(error) = error else { panic!("{path}/{name}i is taken for {name}") };
        assert!(error.to_string().contains(name), "{path}/{name}: {error}");
    });
}

#[test]
fn every_field_with_a_default_may_be_absent_and_every_misspelt_one_is_named() {
    tasks().iter().for_each(check);
    tokenizers().iter().for_each(check);
    check(&Recipe::simmim());
    check(&Sampling::new());
    check(&DvaeSchedule::new());
    check(&LinearProbe::mae());
    for task in tasks() {
        check(&run(task));
    }
}

/// A run with every kind of augmentation.
fn run(task: TaskConfig) -> RunConfig {
    let augmentation = Augmentation {
        crop: Some(CropRange::new([0.5, 1.0])),
        jitter: Some(JitterRange::uniform(0.4)),
        rand_augment: Some(RandAugment::papers()),
        ..Augmentation::mae()
    };
    let json = json!({
        "task": task,
        "data": "shapes",
        "statistics": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "augmentation": augmentation,
        "seed": 1,
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn an_absent_field_is_the_default() {
    let given = json!({"method": "mae", "encoder": {
        "image": {"channels": 3, "height": 224, "width": 224},
        "patch": 16, "width": 768, "depth": 12, "heads": 12,
    }});
    let task: TaskConfig = serde_json::from_value(given).unwrap();
    assert_eq!(task, burn_mim::MaeConfig::base_patch16().into());
    assert_eq!(serde_json::from_value::<Recipe>(json!({})).unwrap(), Recipe::mae());
}

#[test]
fn a_misspelt_field_is_told_with_its_place_and_the_right_name() {
    let message = |json: Value| serde_json::from_value::<TaskConfig>(json).unwrap_err().to_string();
    let mut json = serde_json::to_value(&tasks()[0]).unwrap();
    json["mask_ratoi"] = 0.5.into();
    assert_eq!(message(json.clone()), "unknown field `mask_ratoi`; did you mean `mask_ratio`?");
    json.as_object_mut().unwrap().remove("mask_ratoi");
    json["encoder"]["image"]["heigth"] = 5.into();
    assert!(message(json).starts_with("in `encoder.image`: unknown field `heigth`"));
}

#[test]
fn a_methods_name_is_its_name_in_files_and_older_spellings_are_read() {
    for task in tasks() {
        let mut json = serde_json::to_value(&task).unwrap();
        assert_eq!(json["method"], task.name());
        json["method"] = task.name().replace('_', "").into();
        assert_eq!(serde_json::from_value::<TaskConfig>(json).unwrap(), task);
    }
}

#[test]
fn a_misspelt_mask_names_what_it_may_be() {
    let json = json!({"strategy": "block", "ratio": 0.4, "min_blok": 4});
    let message = serde_json::from_value::<MaskConfig>(json).unwrap_err().to_string();
    assert!(message.contains("min_blok") && message.contains("`min_block`"), "{message}");
}
