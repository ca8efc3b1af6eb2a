//! What loading a checkpoint reports and refuses.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_mim::checkpoint::{LoadOptions, Transformers, WeightsFile};
use burn_mim::{Backbone, ImageShape};
use serde_json::{Value, json};

const STRICT: LoadOptions = LoadOptions { strict: true, resize: false };
const RESIZE: LoadOptions = LoadOptions { strict: false, resize: true };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

/// A copy of the fixture `mae_raw` with its configuration edited.
fn edited(edit: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("mae_raw");
    fs::copy(source.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config: Value =
        serde_json::from_slice(&fs::read(source.join("config.json")).unwrap()).unwrap();
    edit(&mut config);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// The message of opening and loading `folder`.
fn refusal(folder: &Path, options: LoadOptions) -> String {
    let opened = Transformers::open(folder);
    let loaded = opened.and_then(|folder| folder.load(options, &Device::flex()));
    loaded.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let folder = edited(|config| config["decoder_intermediate_size"] = json!(24));
    let message = refusal(folder.path(), LoadOptions::default());
    let expected = "intermediate.dense.weight: has the shape [20, 12], expected [24, 12]";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn keys_that_are_missing_or_left_over_fail_a_strict_load_and_are_reported_by_another() {
    let folder = edited(|config| config["decoder_num_hidden_layers"] = json!(2));
    let message = refusal(folder.path(), STRICT);
    assert!(message.contains("missing (decoder.decoder_encoder.layer.1."), "{message}");
    let opened = Transformers::open(folder.path()).unwrap();
    let report = opened.mae(LoadOptions::default(), &Device::flex()).unwrap().report;
    assert_eq!((report.missing.len(), report.unused.len()), (16, 0));

    let folder = edited(|config| config["num_hidden_layers"] = json!(1));
    let opened = Transformers::open(folder.path()).unwrap();
    let report = opened.mae(LoadOptions::default(), &Device::flex()).unwrap().report;
    assert_eq!((report.missing.len(), report.unused.len()), (0, 16));
    assert!(report.unused[0].starts_with("vit.encoder.layer.1."));
}

#[test]
fn another_grid_or_channel_count_is_resized_only_when_asked() {
    let image = ImageShape::new(5, 24, 8);
    let opened = Transformers::open(fixture("mae_raw")).unwrap().with_image(image);
    let message = opened.mae(LoadOptions::default(), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("to resize it, set the option resize"), "{message}");
    let loaded = opened.encoder(RESIZE, &Device::flex()).unwrap();
    assert_eq!(loaded.report.reshaped.len(), 2, "{}", loaded.report);
    let images = burn::tensor::Tensor::zeros([1, 5, 24, 8], &Device::flex());
    assert_eq!(loaded.model.represent(images).tokens.dims(), [1, 12, 16]);
}

#[test]
fn a_table_over_a_grid_that_is_not_square_is_resized_too() {
    let image = ImageShape::new(3, 16, 24);
    let opened = Transformers::open(fixture("mae_not_square")).unwrap().with_image(image);
    let loaded = opened.mae(RESIZE, &Device::flex()).unwrap();
    // The encoder's and the decoder's positions; 12 × 20 pixels before.
    assert_eq!(loaded.report.reshaped.len(), 2, "{}", loaded.report);
    assert!(loaded.report.reshaped[0].ends_with("[1, 16, 12] -> [1, 25, 12]"));
}

#[test]
fn a_table_of_as_many_cells_over_another_grid_is_not_taken_as_it_is() {
    let opened = Transformers::open(fixture("mae_raw")).unwrap();
    let opened = opened.with_image(ImageShape::new(3, 8, 32));
    assert!(opened.mae(LoadOptions::default(), &Device::flex()).is_err());
    let loaded = opened.mae(RESIZE, &Device::flex()).unwrap();
    assert_eq!(loaded.report.reshaped.len(), 2, "{}", loaded.report);
}

#[test]
fn a_file_that_is_cut_short_is_named() {
    let folder = edited(|_| {});
    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    for (length, reason) in [
        (4, "is cut short: it has no header"),
        (100, "is cut short, or is not a safetensors file"),
        (bytes.len() - 1, "the file is cut short before its end"),
    ] {
        fs::write(&file, &bytes[..length]).unwrap();
        let message = refusal(folder.path(), LoadOptions::default());
        assert!(message.contains("model.safetensors") && message.contains(reason), "{message}");
    }
    let pickle = fixture("vit_mim_bin").join("pytorch_model.bin");
    let bytes = fs::read(pickle).unwrap();
    let cut = folder.path().join("cut.bin");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let message = WeightsFile::open(&cut).unwrap_err().to_string();
    assert!(message.contains("cut.bin"), "{message}");
}

#[test]
fn a_weight_that_is_not_a_number_is_named() {
    let folder = edited(|_| {});
    let file = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let message = refusal(folder.path(), LoadOptions::default());
    assert!(message.ends_with("is NaN") && message.contains(": value "), "{message}");
}

#[test]
fn a_pickle_that_would_run_code_is_refused_and_runs_nothing() {
    // A pickle of protocol 0 that asks for os.system("touch ...").
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", witness.display());
    let file = folder.path().join("evil.pth");
    fs::write(&file, pickle).unwrap();
    let message = WeightsFile::open(&file).unwrap_err().to_string();
    assert!(message.contains("evil.pth"), "{message}");
    assert!(!witness.exists());
}

#[test]
fn configurations_this_crate_has_no_model_for_are_refused_by_name() {
    for (key, value, expected) in [
        ("hidden_act", json!("relu"), "hidden_act \"relu\" is not supported, only gelu"),
        ("model_type", json!("resnet"), "model_type \"resnet\"; supported are vit, vit_mae"),
        ("architectures", json!(["Resnet"]), "names the architecture \"Resnet\""),
        ("patch_size", json!([4, 2]), "patches of 4×2 pixels are not square"),
        ("num_attention_heads", json!(3), "3 heads do not divide a width of 16"),
        ("head_dim", json!(5), "are not supported"),
        ("image_size", json!(18), "18×18 pixels cannot be cut into squares of 4"),
    ] {
        let folder = edited(|config| config[key] = value.clone());
        let message = refusal(folder.path(), LoadOptions::default());
        assert!(message.contains(expected), "{key}: {message}");
    }
    let nothing = tempfile::tempdir().unwrap();
    assert!(refusal(nothing.path(), STRICT).contains("config.json"));
    let folder = edited(|_| {});
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(refusal(folder.path(), STRICT).contains("holds no model.safetensors"));
}
