//! A run that goes on with a refinement of its encoder, by the command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// IDX files of 48 small images to train on and 16 to test on.
fn write_images(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (split, count) in [("train", 48u32), ("t10k", 16)] {
        let header = [0x0803, count, 16, 16].map(u32::to_be_bytes).concat();
        let pixels = (0..count * 256).map(|i| (i * i % 251) as u8);
        let images = header.into_iter().chain(pixels).collect::<Vec<_>>();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
        let header = [0x0801, count].map(u32::to_be_bytes).concat();
        let labels = header.into_iter().chain((0..count).map(|i| (i % 4) as u8));
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels.collect::<Vec<_>>())
            .unwrap();
    }
}

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burn-mim")).args(arguments).output().unwrap()
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = program(arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[track_caller]
fn fails(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = program(arguments);
    assert!(!status.success(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

/// What a run has come to, to the bit.
fn sum(run: &Path) -> String {
    let metrics = fs::read_to_string(run.join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    metrics["weights_sha256"].as_str().unwrap().to_string()
}

/// The newest checkpoint of a run.
fn newest(run: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).max().unwrap()
}

#[test]
fn the_second_stage_is_a_run_of_its_own_that_is_resumed_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("run"));
    write_images(&images);
    let (data, out_text) = (format!("idx:{}", images.display()), out.display().to_string());
    let mut command = vec!["pretrain", "mae", "--data", &data, "--out", &out_text];
    command.extend(["--image-size", "16", "--width", "16", "--depth", "1"]);
    command.extend(["--batch-size", "16", "--epochs", "1", "--refine", "2"]);
    for set in
        ["refine.batch_size=16", "refine.numbers.projector_hidden=8", "refine.numbers.queue=20"]
    {
        command.extend(["--set", set]);
    }
    succeeds(&command);
    let refined = out.join("refined");
    let document = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(document.contains("[refine]\nepochs = 2\nbatch_size = 16\n"), "{document}");
    let config = fs::read_to_string(refined.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["method"], "refine");
    assert_eq!(
        (&config["numbers"]["queue"], &config["numbers"]["encoder"]["width"]),
        (&20.into(), &16.into())
    );
    assert_eq!(config["init_from"]["source"], *out_text);
    for file in ["config.toml", "metrics.json", "log.jsonl", "loss_curve.png"] {
        assert!(refined.join(file).is_file(), "{file}");
    }
    let whole = (sum(&out), sum(&refined));

    // Stopped in the second stage, and before its first step.
    for stopped_before in [false, true] {
        match stopped_before {
            true => fs::remove_dir_all(&refined).unwrap(),
            false => fs::remove_dir_all(newest(&refined)).unwrap(),
        }
        succeeds(&["pretrain", "mae", "--data", &data, "--out", &out_text, "--resume"]);
        assert_eq!((sum(&out), sum(&refined)), whole, "{stopped_before}");
    }

    let checkpoint = refined.display().to_string();
    let scores = folder.path().join("scores").display().to_string();
    let mut evaluate = vec!["evaluate", "--checkpoint", &checkpoint, "--data", &data];
    evaluate.extend(["--protocol", "knn", "--out", &scores]);
    assert!(succeeds(&evaluate).contains("top1"));
}

#[test]
fn what_cannot_be_refined_is_said_before_anything_is_read() {
    let nowhere = ["--data", "idx:/nowhere", "--refine", "1"];
    let message = fails(&[&["pretrain", "context"], &nowhere[..]].concat());
    assert!(
        message.contains("the encoder of Context prediction is neither a ViT nor"),
        "{message}"
    );
    let misspelt = ["--set", "refine.numbers.temprature=0.1"];
    let message = fails(&[&["pretrain", "mae"], &nowhere[..], &misspelt].concat());
    assert!(message.contains("temprature") && message.contains("temperature"), "{message}");
    let twice = ["--set", "refine.recipe.epochs=3"];
    let message = fails(&[&["pretrain", "mae"], &nowhere[..], &twice].concat());
    assert!(message.contains("refine.recipe.epochs contradicts refine.epochs"), "{message}");
}
