//! Configurations beside files of weights: what does not belong together is told before anything
//! is drawn, with the file.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use burn_mim::encoder::VitBody;
use burn_mim::method::{BuiltIn, Method, MethodVisitor, Methods, load_tokenizer};
use burn_mim::run::BackboneSource;
use burn_mim::target::tokenizer::VqConfig;
use burn_mim::train::RunFolder;
use burn_mim::{ImageShape, MaeConfig, TokenizerConfig, VitConfig};
use serde_json::{Value, json};

const IMAGE: ImageShape = ImageShape::square(3, 32);

/// 32 blocks of 8192 features: 100 GiB of numbers, which no test could draw.
fn huge() -> VitConfig {
    VitConfig::new(IMAGE, 4, 8192, 32, 8)
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), value.to_string()).unwrap();
}

fn tokenizer(config: &Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tokenizer.json", config);
    fs::write(folder.path().join("tokenizer.bpk"), [0; 5000]).unwrap();
    load_tokenizer(folder.path(), &Device::flex()).unwrap_err().to_string()
}

fn run(mae: &Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "format": 2,
        "method": "mae",
        "numbers": mae,
        "data": "shapes",
        "statistics": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "augmentation": {},
        "seed": 1,
    });
    write(folder.path(), "config.json", &config);
    let checkpoint = folder.path().join("checkpoints/step-00000001");
    fs::create_dir_all(&checkpoint).unwrap();
    for name in ["model.bpk", "optimizer.bpk"] {
        fs::write(checkpoint.join(name), [0; 5000]).unwrap();
    }
    // After one batch of two, as a version without checksums left it.
    let recipe = json!({"accumulation": 1, "epochs": 1});
    let state = json!({
        "fingerprint": {"config": config, "recipe": recipe, "batches": 2},
        "epoch": 0,
        "batch": 1,
        "step": 1,
        "history": {"trivial_loss": null, "epochs": []},
        "running": {"sum": 0.5, "count": 1},
    });
    write(&checkpoint, "state.json", &state);
    let source = BackboneSource::Folder(folder.path().to_path_buf());
    source.load::<BuiltIn, VitBody>(None, &huge(), 0, &Device::flex()).unwrap_err().to_string()
}

#[test]
fn weights_that_cannot_hold_a_tokenizers_parameters_are_refused_with_both_numbers() {
    let config = TokenizerConfig::Vq(VqConfig::new(huge()));
    let message = tokenizer(&serde_json::to_value(config).unwrap());
    assert!(message.contains("tokenizer.bpk") && message.contains("5000 bytes"), "{message}");
    // 12 · 8192² for each of 32 + 1 blocks, and some.
    assert!(message.contains("asks for 26") && message.contains("parameters"), "{message}");
}

#[test]
fn weights_that_cannot_hold_a_runs_parameters_are_refused_with_both_numbers() {
    let message = run(&serde_json::to_value(MaeConfig::new(huge())).unwrap());
    assert!(message.contains("model.bpk") && message.contains("5000 bytes"), "{message}");
    assert!(message.contains("asks for 25") && message.contains("parameters"), "{message}");
}

#[test]
fn a_broken_rule_names_the_file_that_breaks_it() {
    let mut task = serde_json::to_value(MaeConfig::small_images(IMAGE)).unwrap();
    task["encoder"]["heads"] = 3.into();
    let message = run(&task);
    assert!(message.contains("config.json: 3 heads do not divide a width of 128"), "{message}");
    let mut config = serde_json::to_value(VqConfig::small_images(IMAGE)).unwrap();
    config["tokenizer"] = "vq".into();
    config["decay"] = 1.5.into();
    let message = tokenizer(&config);
    assert!(message.contains("tokenizer.json: a codebook's decay must be in [0, 1)"), "{message}");
}

#[test]
fn a_long_value_is_cut_short_and_a_slip_is_told_with_its_file() {
    let message = tokenizer(&json!({"tokenizer": "palette", "image": "x".repeat(5000)}));
    assert!(message.contains("tokenizer.json") && message.len() < 400, "{message}");
    let message = tokenizer(&json!({"tokenizer": "palete", "image": IMAGE}));
    assert!(message.ends_with("did you mean `palette`?"), "{message}");
}

#[test]
fn a_run_of_an_earlier_version_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let task = json!({"method": "mae", "encoder": {"width": 128}, "mask_ratio": 0.75});
    let config = json!({"task": task, "data": "shapes", "augmentation": {}, "seed": 0});
    write(folder.path(), "config.json", &config);
    let message = RunFolder::new(folder.path()).load::<MaeConfig>(&Device::flex()).unwrap_err();
    let message = message.to_string();
    assert!(message.contains("config.json: was written by an earlier version"), "{message}");
    let other = json!({"format": 2, "method": "simmim", "variant": "swin"});
    write(folder.path(), "config.json", &other);
    let message = RunFolder::new(folder.path()).load::<MaeConfig>(&Device::flex()).unwrap_err();
    assert!(message.to_string().ends_with("is a run of simmim on swin, not of mae"), "{message}");
}

#[test]
fn a_method_that_is_not_in_the_list_is_told_with_the_nearest_name() {
    let message = <BuiltIn as Methods>::visit("simmin", "", Never).unwrap_err().to_string();
    assert!(message.ends_with("did you mean `simmim`?"), "{message}");
}

/// Is called with no method.
struct Never;

impl MethodVisitor for Never {
    type Output = ();

    fn visit<M: Method>(self) -> burn_mim::Result<()> {
        panic!("there is no such method, and not {}", M::NAME)
    }
}
