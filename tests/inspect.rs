//! What a folder or a file holds is told, whatever it is.

mod common;

use std::fs;
use std::path::Path;

use burn_mim::checkpoint::{save_mae, save_parameters};
use burn_mim::data::ImageData;
use burn_mim::data::augment::Augmentation;
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::run::{Inspection, Run, inspect};

use common::{IMAGE, device, mae, recipe, waves, weights};

fn lines(path: &Path) -> String {
    inspect(path, &device()).unwrap().lines().join("\n")
}

#[test]
fn a_run_tells_its_method_its_epochs_and_which_checkpoints_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = ImageData::new(waves(IMAGE, 16), waves(IMAGE, 8), vec![]).unwrap();
    let mut run = Run::new(data, folder.path(), &device());
    (run.batch_size, run.workers) = (8, 0);
    run.recipe = Some(recipe(2).with_ema(None));
    run.augmentation = Some(Augmentation::none());
    let history = run.pretrain(&mae(IMAGE)).unwrap().history;
    let said = lines(folder.path());
    for wanted in
        ["a pre-training run of mae", "2 epochs done of 2, 4 steps", "step-00000004: whole"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let Inspection::Run(facts) = inspect(folder.path(), &device()).unwrap() else {
        panic!("{said}")
    };
    let best = history.best().unwrap();
    assert_eq!(facts.best, Some((best.epoch, best.valid_loss)));
    assert_eq!(facts.config["numbers"]["encoder"]["depth"], 2);
    // A damaged checkpoint is told with its fault, and the one before it counts.
    let newest = folder.path().join("checkpoints/step-00000004/model.bpk");
    fs::write(&newest, b"cut").unwrap();
    let said = lines(folder.path());
    assert!(said.contains("1 epochs done of 2, 2 steps"), "{said}");
    assert!(said.contains("step-00000004: damaged (") && said.contains("model.bpk"), "{said}");
}

#[test]
fn weights_tell_their_class_their_layout_and_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    save_mae(&model, &mae(IMAGE).init(&mut weights(0)), &mae(IMAGE)).unwrap();
    let said = lines(&model);
    assert!(said.starts_with("weights of a ViTMAEForPreTraining\nlayout: transformers"), "{said}");
    let json = serde_json::to_value(inspect(&model, &device()).unwrap()).unwrap();
    assert_eq!(
        (json["kind"].as_str(), json["missing"].as_array().unwrap().len()),
        (Some("model"), 0)
    );

    let linear = InitialWeights::new(0, &device()).linear(3, 5, Init::XavierUniform);
    let file = folder.path().join("linear.safetensors");
    save_parameters(&file, &linear).unwrap();
    let said = lines(&file);
    assert!(said.starts_with("weights of an unknown model, 2 tensors"), "{said}");
    assert!(said.contains("  weight [3, 5]"), "{said}");
}

#[test]
fn nothing_and_what_is_no_model_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| inspect(path, &device()).unwrap_err().to_string();
    assert!(refused(&folder.path().join("none")).contains("there is no such file or folder"));
    assert!(refused(folder.path()).contains("config.json"), "{}", refused(folder.path()));
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not weights at all").unwrap();
    assert!(refused(&text).contains("neither a safetensors nor a PyTorch file"));
}
