//! ConvNeXt V2: transformers' folders, and the files of the official code and of timm.

use std::fs;

use burn::module::Module;
use burn_mim::checkpoint::{
    LoadOptions, Loaded, Transformers, TransformersModel, save_convnext_v2,
    save_convnext_v2_classifier,
};
use burn_mim::nn::InitialWeights;
use burn_mim::{Backbone, ConvNextV2, ConvNextV2Config, ImageShape};

use crate::io::{Io, STRICT, close, device, folder, weights_in};

const TOLERANCE: f32 = 5e-6;

fn check(name: &str, io: &Io, network: &ConvNextV2) {
    let features = network.represent(io.tensor("pixel_values")).tokens;
    close(name, features, &io.0["features"], TOLERANCE);
    if network.pooled_norm.is_some() {
        let pooled = network.pooled(io.tensor("pixel_values"));
        close(&format!("{name} pooled"), pooled, &io.0["pooled"], TOLERANCE);
    }
    if io.0.contains_key("pixel_values_resized") {
        let features = network.represent(io.tensor("pixel_values_resized")).tokens;
        close(&format!("{name} resized"), features, &io.0["features_resized"], TOLERANCE);
    }
}

fn loaded(
    path: impl AsRef<std::path::Path>,
    options: LoadOptions,
) -> Loaded<ConvNextV2, ConvNextV2Config> {
    match Transformers::open(path).unwrap().load(options, &device()).unwrap() {
        TransformersModel::ConvNextV2(loaded) => *loaded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_transformers_folder_gives_its_numbers() {
    for name in ["convnext_v2_model", "convnext_v2_any_size"] {
        check(name, &Io::open(name), &loaded(folder(name), STRICT).model);
    }
    let name = "convnext_v2_classifier";
    let found = loaded(folder(name), LoadOptions::default());
    assert_eq!(found.report.unused, ["classifier.bias", "classifier.weight"]);
    assert!(found.report.missing.is_empty());
    check(name, &Io::open(name), &found.model);
}

#[test]
fn files_of_the_official_code_and_of_timm_need_no_configuration() {
    for (name, unused, pooled) in [
        ("official_convnext_v2", &[][..], true),
        ("official_convnext_v2_fcmae", &[], false),
        ("timm_convnext_v2", &["head.fc.bias", "head.fc.weight"], true),
    ] {
        let file = folder(name).join("model.pth");
        let assumed = Transformers::open(&file).unwrap().assumed().unwrap().to_string();
        assert!(assumed.contains("images of 224×224 are assumed"), "{assumed}");
        let found = loaded(&file, LoadOptions::default());
        assert_eq!(found.report.unused, unused, "{name}");
        assert!(found.report.missing.is_empty(), "{name}");
        assert_eq!(found.config.pooled_norm.is_some(), pooled, "{name}");
        let io = Io::open(name);
        let [_, channels, _, _] = io.0["pixel_values"].0[..] else { panic!("images") };
        assert_eq!(found.config.image, ImageShape::square(channels, 224));
        // The official code's epsilon is 1e-6; the fixture was made with another's.
        if name.starts_with("timm") {
            check(name, &io, &found.model);
        } else {
            let features = found.model.represent(io.tensor("pixel_values")).tokens;
            close(name, features, &io.0["features"], TOLERANCE);
        }
    }
}

#[test]
fn what_is_saved_loads_again_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    for name in ["convnext_v2_model", "convnext_v2_any_size"] {
        let found = loaded(folder(name), STRICT);
        save_convnext_v2(out.path(), &found.model).unwrap();
        assert_eq!(weights_in(out.path()), weights_in(&folder(name)), "{name}");
        assert_eq!(loaded(out.path(), STRICT).config, found.config);
    }
}

#[test]
fn a_network_without_a_norm_of_pooled_features_is_saved_with_a_plain_one() {
    let out = tempfile::tempdir().unwrap();
    let file = folder("official_convnext_v2_fcmae").join("model.pth");
    save_convnext_v2(out.path(), &loaded(file, STRICT).model).unwrap();
    let found = loaded(out.path(), STRICT);
    let norm = found.model.pooled_norm.unwrap();
    assert_eq!(norm.epsilon, 1e-6);
    assert_eq!(norm.gamma.val().into_data().try_to_vec::<f32>().unwrap(), [1.0; 20]);
}

#[test]
fn a_classifier_is_saved_as_one() {
    let (out, name) = (tempfile::tempdir().unwrap(), "convnext_v2_classifier");
    let network = loaded(folder(name), LoadOptions::default()).model;
    let mut weights = InitialWeights::new(0, &device());
    let head = weights.linear(10, 2, burn_mim::nn::Init::XavierUniform);
    let norm = network.pooled_norm.clone().unwrap();
    let names = ["cat", "dog"].map(String::from);
    save_convnext_v2_classifier(out.path(), &network, &norm, &head, &names).unwrap();
    let again = loaded(out.path(), LoadOptions::default());
    assert_eq!(again.report.unused.len(), 2);
    check(name, &Io::open(name), &again.model);
    assert_eq!(again.model.num_params(), network.num_params());
}

#[test]
fn a_configuration_that_does_not_fit_is_named() {
    let opened = |change: &dyn Fn(&mut serde_json::Value)| {
        let (out, from) = (tempfile::tempdir().unwrap(), folder("convnext_v2_model"));
        let text = fs::read_to_string(from.join("config.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut json);
        fs::write(out.path().join("config.json"), json.to_string()).unwrap();
        fs::copy(from.join("model.safetensors"), out.path().join("model.safetensors")).unwrap();
        let opened =
            Transformers::open(out.path()).and_then(|opened| opened.load(STRICT, &device()));
        opened.map(|_| ()).unwrap_err().to_string()
    };
    let message = opened(&|json| json["num_stages"] = 4.into());
    assert!(message.contains("num_stages is 4, but depths lists 3"), "{message}");
    let message = opened(&|json| json["hidden_act"] = "relu".into());
    assert!(message.contains("hidden_act \"relu\" is not supported"), "{message}");
    let message = opened(&|json| json["hidden_sizes"] = vec![8, 12].into());
    assert!(message.contains("depths [1, 2, 1] and widths [8, 12]"), "{message}");
    let message = opened(&|json| json["depths"] = vec![1, 3, 1].into());
    assert!(message.contains("encoder.stages.1.layers.2"), "{message}");
}
