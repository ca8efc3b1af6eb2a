//! What one does with a checkpoint, by the commands: fine-tune it, classify, take its features.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use burn_mim::checkpoint::{save_mae, save_preprocessor};
use burn_mim::data::ChannelStatistics;
use image::{ImageBuffer, Rgb};
use serde_json::Value;

use common::{IMAGE, mae, weights};

/// Runs the program; its standard output.
fn program(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = output(arguments);
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{arguments:?}: {said}");
    String::from_utf8(stdout).unwrap()
}

fn output(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burn-mim")).args(arguments).output().unwrap()
}

/// Dark and bright images of 20 × 24 pixels in class folders.
fn photos(folder: &Path) {
    for class in ["bright", "dark"] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for index in 0..20u32 {
            let value = if class == "dark" { 40 } else { 190 };
            let pixel = |x: u32, y: u32| Rgb([(value + (x * y + index * 7) % 50) as u8; 3]);
            let path = folder.join(class).join(format!("{index}.png"));
            ImageBuffer::from_fn(20, 24, pixel).save(path).unwrap();
        }
    }
}

/// A transformers folder of a ViTMAE.
fn published(folder: &Path) {
    let config = mae(IMAGE);
    save_mae(folder, &config.init(&mut weights(3)), &config).unwrap();
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    save_preprocessor(folder, IMAGE, &statistics).unwrap();
}

#[test]
fn a_checkpoint_is_fine_tuned_classifies_and_gives_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    published(&folder.path().join("model"));
    photos(&folder.path().join("photos"));
    let (model, tuned, features) = (path("model"), path("tuned"), path("features"));
    let (photos, data) = (path("photos"), format!("folder:{}", path("photos")));
    let mut tune = vec!["finetune", "--checkpoint", &model, "--data", &data, "--out", &tuned];
    tune.extend(["--epochs", "2", "--batch-size", "8", "--lr", "0.02"]);
    let done: Value = serde_json::from_str(&program(&tune)).unwrap();
    assert!(done["top1"].as_f64().is_some() && done["epochs"] == 2, "{done}");
    // Going on with a run that has ended tests it again.
    tune.push("--resume");
    let again: Value = serde_json::from_str(&program(&tune)).unwrap();
    assert_eq!(again["top1"], done["top1"]);

    let lines = program(&["predict", "--checkpoint", &tuned, "--images", &photos]);
    let made: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(made.len(), 40);
    assert_eq!(made[0]["path"], "bright/0.png");
    for prediction in &made {
        let [first, second] =
            [0, 1].map(|at| prediction["top"][at]["confidence"].as_f64().unwrap());
        assert!((first + second - 1.0).abs() < 1e-5 && first >= second, "{prediction}");
        assert_eq!(prediction["class"], prediction["top"][0]["class"]);
    }

    let mut embed = vec!["embed", "--checkpoint", &tuned, "--images", &photos, "--out", &features];
    let done: Value = serde_json::from_str(&program(&embed)).unwrap();
    assert_eq!(done["shape"], serde_json::json!([40, 16]));
    let names = fs::read_to_string(folder.path().join("features/names.json")).unwrap();
    assert!(names.contains("dark/19.png"));
    let out = path("exported");
    let done = program(&["export", "--checkpoint", &tuned, "--out", &out]);
    assert_eq!(serde_json::from_str::<Value>(&done).unwrap()["class"], "ViTModel");
    let said = program(&["inspect", &out]);
    assert!(said.starts_with("weights of a ViTModel"), "{said}");
    let said = program(&["inspect", &tuned, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["kind"], "fine-tuned");

    // What is there is not overwritten, in one line.
    let refused = output(&embed);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.lines().last().unwrap().contains("holds something already"), "{said}");
    embed[2] = &photos;
    let said = String::from_utf8_lossy(&output(&embed).stderr).into_owned();
    assert!(said.contains("holds neither the checkpoints of a run nor"), "{said}");
}
