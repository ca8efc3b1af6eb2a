//! transformers' vision transformers that are encoders alone, and data2vec's.

use std::fs;

use burn::tensor::Tensor;
use burn_mim::checkpoint::{
    LoadOptions, LoadReport, Transformers, TransformersModel, load_official_data2vec, load_timm,
    save_vit_features,
};
use burn_mim::encoder::VitBody;
use burn_mim::nn::Positions;
use burn_mim::{Backbone, ImageShape, VitConfig};

use crate::io::{Io, STRICT, close, device, folder};

/// Each fixture, and the class that its encoder is written as.
const FOLDERS: [(&str, &str); 12] = [
    ("msn_model", "ViTModel"),
    ("msn_memory_spelling", ""),
    ("data2vec_shared", "BeitModel"),
    ("data2vec_per_block", "BeitModel"),
    ("ijepa_model", "IJepaModel"),
    ("ijepa_not_square", "IJepaModel"),
    ("dinov2_model", "Dinov2Model"),
    ("dinov2_gated", "Dinov2Model"),
    ("dinov2_gated_memory_spelling", "Dinov2Model"),
    ("dinov2_registers", "Dinov2WithRegistersModel"),
    ("clip_vision", "CLIPVisionModel"),
    ("clip_model", "CLIPVisionModel"),
];

fn body_of(model: TransformersModel) -> (VitBody, LoadReport) {
    match model {
        TransformersModel::Encoder(loaded) => (loaded.model.body, loaded.report),
        TransformersModel::BeitEncoder(loaded) => (loaded.model.body, loaded.report),
        other => panic!("{other:?}"),
    }
}

fn loaded(name: &str) -> (Transformers, VitBody, LoadReport) {
    let opened = Transformers::open(folder(name)).unwrap();
    // A whole CLIP has more than its vision transformer.
    let options = if name == "clip_model" { LoadOptions::default() } else { STRICT };
    let (body, report) = body_of(opened.load(options, &device()).unwrap());
    (opened, body, report)
}

#[test]
fn every_encoder_gives_its_numbers() {
    for (name, _) in FOLDERS {
        let (opened, body, report) = loaded(name);
        assert!(report.missing.is_empty() && report.reshaped.is_empty(), "{name}: {report}");
        let is_text = |key: &String| !key.starts_with("vision_model.");
        assert!(report.unused.iter().all(is_text), "{name}: {report}");
        let io = Io::open(name);
        let features = opened.last_hidden_state(&body, io.tensor("pixel_values"));
        close(name, features, &io.0["features"], 1e-5);
        if io.0.contains_key("features_resized") {
            let features = opened.last_hidden_state(&body, io.tensor("pixel_values_resized"));
            close(&format!("{name} resized"), features, &io.0["features_resized"], 1e-5);
        }
    }
}

#[test]
fn the_file_of_i_jepas_own_training_gives_its_moving_averages_numbers() {
    let io = Io::open("official_ijepa");
    let file = folder("official_ijepa").join("model.pth.tar");
    let opened = Transformers::open(&file).unwrap();
    assert!(opened.assumed().unwrap().contains("1 heads"), "{:?}", opened.assumed());
    let (body, report) = body_of(opened.load(LoadOptions::default(), &device()).unwrap());
    assert!(report.missing.is_empty() && report.reshaped.is_empty(), "{report}");
    assert!(report.form.contains("keys below \"target_encoder.module.\""), "{report}");
    let is_beside =
        |key: &String| ["encoder.", "predictor.", "opt."].iter().any(|p| key.starts_with(p));
    assert!(report.unused.iter().all(is_beside), "{report}");
    let features = opened.last_hidden_state(&body, io.tensor("pixel_values"));
    close("official_ijepa", features, &io.0["features"], 1e-5);

    let config = VitConfig::new(ImageShape::square(1, 12), 4, 64, 1, 1)
        .with_mlp_ratio(1.0)
        .with_class_token(false)
        .with_positions(Positions::Learned);
    let loaded = load_timm(&file, &config, LoadOptions::default(), &device()).unwrap();
    let features = loaded.model.represent(io.tensor("pixel_values")).tokens;
    close("official_ijepa by its sizes", features, &io.0["features"], 1e-5);
}

#[test]
fn the_file_of_data2vec_2s_own_training_gives_its_students_numbers() {
    let io = Io::open("official_data2vec");
    let file = folder("official_data2vec").join("model.pt");
    let config = VitConfig::new(ImageShape::new(2, 8, 20), 4, 8, 3, 2).with_mlp_ratio(2.0);
    let refused =
        load_official_data2vec(&file, &config, LoadOptions::default(), &device()).unwrap_err();
    assert!(refused.to_string().contains("pre_norm false, post_norm false"), "{refused}");
    let config = config.with_pre_norm(true).with_post_norm(true);
    let loaded = load_official_data2vec(&file, &config, LoadOptions::default(), &device()).unwrap();
    let report = &loaded.report;
    assert!(report.missing.is_empty() && report.reshaped.is_empty(), "{report}");
    assert!(report.unused.contains(&"modality_encoders.IMAGE.decoder.proj.weight".into()));
    let features = loaded.model.represent(io.tensor("pixel_values"));
    let class_token = features.class_token.unwrap().unsqueeze_dim(1);
    let all = Tensor::cat(vec![class_token, features.tokens], 1);
    close("official_data2vec", all, &io.0["features"], 1e-5);
}

#[test]
fn what_is_written_gives_the_same_features() {
    for (name, expected) in FOLDERS {
        let (_, body, _) = loaded(name);
        let out = tempfile::tempdir().unwrap();
        if expected.is_empty() {
            let message = save_vit_features(out.path(), &body).unwrap_err().to_string();
            assert!(message.contains("no activation but the exact GELU"), "{message}");
            continue;
        }
        assert_eq!(save_vit_features(out.path(), &body).unwrap(), expected, "{name}");
        let opened = Transformers::open(out.path()).unwrap();
        assert_eq!(opened.architecture(), expected);
        let (again, _) = body_of(opened.load(STRICT, &device()).unwrap());
        let images = || Io::open(name).tensor("pixel_values");
        let features = body.represent(images());
        let written = again.represent(images());
        written.tokens.into_data().assert_eq(&features.tokens.into_data(), true);
        assert_eq!(written.class_token.is_some(), features.class_token.is_some());
    }
}

#[test]
fn a_model_for_larger_images_reads_them_as_one_that_interpolates() {
    for name in ["msn_model", "ijepa_model", "dinov2_model", "dinov2_registers", "clip_vision"] {
        let io = Io::open(name);
        let shape = &io.0["pixel_values_resized"].0;
        let opened = Transformers::open(folder(name)).unwrap();
        let opened = opened.with_image(ImageShape::new(shape[1], shape[2], shape[3]));
        let options = LoadOptions { resize: true, ..STRICT };
        let message = opened.load(options, &device()).unwrap_err().to_string();
        assert!(message.contains("1 reshaped"), "{message}");
        let options = LoadOptions { resize: true, strict: false };
        let (body, _) = body_of(opened.load(options, &device()).unwrap());
        let features = opened.last_hidden_state(&body, io.tensor("pixel_values_resized"));
        close(name, features, &io.0["features_resized"], 1e-5);
    }
}

#[test]
fn missing_weights_and_what_no_model_has_are_named() {
    for (name, key, value, expected) in [
        ("ijepa_model", "hidden_act", "\"mish\"", "hidden_act \"mish\" is not supported"),
        ("dinov2_model", "num_attention_heads", "3", "3 heads do not divide a width of 16"),
        ("dinov2_gated", "mlp_ratio", "1e300", "MLP"),
        ("dinov2_registers", "num_register_tokens", "4", "has the shape [1, 3, 16]"),
        ("clip_vision", "image_size", "18", "18×18 pixels cannot be cut into squares of 4"),
        ("data2vec_shared", "use_relative_position_bias", "true", "both shared and of each block"),
        ("msn_model", "num_hidden_layers", "3", "encoder.layer.2."),
        ("dinov2_model", "use_swiglu_ffn", "true", "mlp.weights_in.weight"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let file = "model.safetensors";
        fs::copy(folder(name).join(file), out.path().join(file)).unwrap();
        let bytes = fs::read(folder(name).join("config.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        json[key] = serde_json::from_str(value).unwrap();
        fs::write(out.path().join("config.json"), json.to_string()).unwrap();
        let loaded =
            Transformers::open(out.path()).unwrap().load(LoadOptions::default(), &device());
        let found = loaded.map(body_of);
        let message = match found {
            Ok((_, report)) => report.require_encoder(out.path()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(expected), "{name}, {key}: {message}");
    }
}
