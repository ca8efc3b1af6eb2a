//! BEiT: transformers' models, the official layout, and DALL·E's encoder.

use std::fs;

use burn::tensor::{Tensor, Tolerance};
use burn_mim::checkpoint::{
    LoadOptions, LoadReport, Transformers, TransformersModel, load_dalle_encoder,
    load_official_beit, load_official_beit_v2, save_beit, save_beit_encoder, save_official_beit,
    save_official_beit_v2,
};
use burn_mim::encoder::{CondensedVit, CondensedVitConfig, RelativePositions, Vit};
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::target::tokenizer::DvaeConfig;
use burn_mim::{
    Backbone, Encoder, GridTokens, ImageShape, LinearHead, Network, Tokenizer, VitConfig,
};

use crate::io::{Io, STRICT, close, device, folder};

const NETWORKS: [&str; 4] =
    ["beit_mim_shared", "beit_mim_per_block", "beit_mim_absolute", "beit_mim_not_square"];

/// The tokens of the official fixtures' heads.
const VOCABULARY: usize = 11;

fn with_class_token(features: GridTokens) -> Tensor<3> {
    let token = features.class_token.expect("BEiT has a class token");
    Tensor::cat(vec![token.unsqueeze_dim(1), features.tokens], 1)
}

fn exact(report: &LoadReport) {
    let nothing: &[String] = &[];
    assert_eq!((&*report.missing, &*report.unused), (nothing, nothing), "{report}");
}

fn check(name: &str, io: &Io, network: &Network<Vit, LinearHead>, config: &VitConfig) {
    let hidden = io.0["hidden"].0[1];
    let (mask, _) = io.masks(config.grid(), hidden);
    let images: Tensor<4> = io.tensor("pixel_values");
    let mut last = network.encoder.encode_layers(images.clone(), &mask, &[config.depth]);
    close(&format!("{name} features"), with_class_token(last.remove(0)), &io.0["features"], 1e-5);
    let logits = network.predict(images, &mask).flatten::<2>(0, 1);
    close(&format!("{name} logits"), logits, &io.0["logits"], 1e-5);
}

#[test]
fn transformers_networks_give_their_numbers() {
    for name in NETWORKS {
        let loaded = Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap();
        let TransformersModel::Beit(loaded) = loaded else { panic!("{name} is a BEiT") };
        exact(&loaded.report);
        check(name, &Io::open(name), &loaded.model, &loaded.config);
    }
}

#[test]
fn transformers_encoders_give_their_numbers() {
    for (name, normed) in [("beit_model", false), ("beit_model_no_pooling", true)] {
        let opened = Transformers::open(folder(name)).unwrap();
        assert_eq!(opened.mean_pooling(), !normed);
        let loaded = opened.load(STRICT, &device()).unwrap();
        let TransformersModel::BeitEncoder(loaded) = loaded else { panic!("{name}") };
        exact(&loaded.report);
        let io = Io::open(name);
        let images: Tensor<4> = io.tensor("pixel_values");
        let features = match normed {
            true => loaded.model.represent(images),
            false => loaded.model.represent_layers(images, &[loaded.config.depth]).remove(0),
        };
        close(name, with_class_token(features), &io.0["features"], 1e-5);
    }
}

/// What `official_beit_shared` and `official_beit_per_block` are made of.
fn official(name: &str) -> VitConfig {
    let shared = name.ends_with("shared");
    let (side, relative, positions) = match shared {
        true => (16, RelativePositions::Shared, Positions::None),
        false => (12, RelativePositions::PerBlock, Positions::Learned),
    };
    VitConfig::new(ImageShape::square(3, side), 4, 16, 2, 2)
        .with_mlp_ratio(2.5)
        .with_norm_epsilon(1e-12)
        .with_qkv_bias(QkvBias::QueryValue)
        .with_layer_scale(Some(0.1))
        .with_relative_positions(relative)
        .with_positions(positions)
}

#[test]
fn official_files_give_their_numbers_and_are_written_again() {
    for name in ["official_beit_shared", "official_beit_per_block"] {
        let (config, io) = (official(name), Io::open(name));
        let path = folder(name).join("model.pth");
        let loaded = load_official_beit(path, &config, VOCABULARY, STRICT, &device()).unwrap();
        exact(&loaded.report);
        check(name, &io, &loaded.model, &config);
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("beit.safetensors");
        save_official_beit(&path, &loaded.model, &config).unwrap();
        let again = load_official_beit(path, &config, VOCABULARY, STRICT, &device()).unwrap();
        exact(&again.report);
        check(name, &io, &again.model, &config);
    }
}

/// What `official_beit_v2_shared` and `official_beit_v2_absolute` are made of.
fn official_v2(name: &str) -> CondensedVitConfig {
    let shared = name.ends_with("shared");
    let (image, relative, positions, early, condenser) = match shared {
        true => (ImageShape::square(3, 16), RelativePositions::Shared, Positions::None, 2, 2),
        false => (ImageShape::square(1, 12), RelativePositions::None, Positions::Learned, 1, 1),
    };
    let encoder = VitConfig::new(image, 4, 16, 3, 2)
        .with_mlp_ratio(2.5)
        .with_norm_epsilon(1e-12)
        .with_qkv_bias(QkvBias::QueryValue)
        .with_layer_scale(Some(0.1))
        .with_relative_positions(relative)
        .with_positions(positions);
    CondensedVitConfig::new(encoder).with_early_blocks(early).with_condenser_blocks(condenser)
}

#[test]
fn official_files_of_the_second_version_give_their_numbers_and_are_written_again() {
    for name in ["official_beit_v2_shared", "official_beit_v2_absolute"] {
        let (config, io) = (official_v2(name), Io::open(name));
        let (mask, _) = io.masks(config.encoder.grid(), io.0["hidden"].0[1]);
        let check = |network: &Network<CondensedVit, LinearHead>| {
            let images: Tensor<4> = io.tensor("pixel_values");
            let features = network.encoder.encode(images.clone(), &mask);
            let [last, condensed] = network.predict(images, &mask);
            for (prefix, features, logits) in
                [("", features.last, last), ("condensed.", features.condensed, condensed)]
            {
                let key = |what: &str| format!("{prefix}{what}");
                let of = |what: &str| (format!("{name} {}", key(what)), &io.0[&key(what)]);
                let (title, expected) = of("features");
                close(&title, with_class_token(features), expected, 1e-5);
                let (title, expected) = of("logits");
                close(&title, logits.flatten::<2>(0, 1), expected, 1e-5);
            }
        };
        let path = folder(name).join("model.pth");
        let loaded = load_official_beit_v2(&path, &config, VOCABULARY, STRICT, &device()).unwrap();
        exact(&loaded.report);
        check(&loaded.model);
        let out = tempfile::tempdir().unwrap();
        let written = out.path().join("beit.safetensors");
        save_official_beit_v2(&written, &loaded.model, &config).unwrap();
        let again =
            load_official_beit_v2(&written, &config, VOCABULARY, STRICT, &device()).unwrap();
        exact(&again.report);
        check(&again.model);
        // The first version's loader finds its encoder and head in it, and leaves the condenser.
        let (first, options) = (&config.encoder, LoadOptions::default());
        let first = load_official_beit(path, first, VOCABULARY, options, &device()).unwrap();
        assert!(first.report.missing.is_empty(), "{}", first.report);
        assert!(first.report.unused.iter().all(|key| key.starts_with("cls_pt_layers.")));
    }
}

#[test]
fn what_is_saved_is_what_was_loaded() {
    let out = tempfile::tempdir().unwrap();
    let bytes = |folder: &std::path::Path| {
        let bytes = fs::read(folder.join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<_> =
            file.tensors().into_iter().map(|(key, view)| (key, view.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    for name in ["beit_mim_shared", "beit_mim_per_block", "beit_model"] {
        match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::Beit(loaded) => {
                save_beit(out.path(), &loaded.model, &loaded.config).unwrap();
            }
            TransformersModel::BeitEncoder(loaded) => {
                save_beit_encoder(out.path(), &loaded.model, &loaded.config).unwrap();
            }
            _ => unreachable!("no other architecture is in the list"),
        }
        assert!(bytes(out.path()) == bytes(&folder(name)), "{name}");
        Transformers::open(out.path()).unwrap().load(STRICT, &device()).unwrap();
    }
}

#[test]
fn what_transformers_mixes_up_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let name = "beit_mim_shared";
    let copy = |field: &str, value: serde_json::Value| {
        let json = fs::read(folder(name).join("config.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        json[field] = value;
        fs::write(out.path().join("config.json"), json.to_string()).unwrap();
        let weights = "model.safetensors";
        fs::copy(folder(name).join(weights), out.path().join(weights)).unwrap();
        let loaded = Transformers::open(out.path()).unwrap().load(STRICT, &device());
        loaded.unwrap_err().to_string()
    };
    assert!(copy("use_mean_pooling", false.into()).contains("normalizes twice"));
    assert!(copy("use_mask_token", false.into()).contains("needs a mask token"));
    assert!(copy("use_relative_position_bias", true.into()).contains("both shared and of each"));
    let sizes = serde_json::json!([16, 20]);
    assert!(copy("image_size", sizes).contains("mixes up the axes"));
}

#[test]
fn dalles_encoder_gives_its_numbers() {
    let name = "dalle_encoder";
    let config = DvaeConfig::new(ImageShape::new(3, 16, 24))
        .with_hidden(8)
        .with_blocks(1)
        .with_vocabulary(11)
        .with_decoder(false);
    let path = folder(name).join("model.safetensors");
    let loaded = load_dalle_encoder(&path, &config, STRICT, &device()).unwrap();
    exact(&loaded.report);
    let io = Io::open(name);
    let images: Tensor<4> = io.tensor("pixel_values");
    close(name, loaded.model.logits(images.clone()), &io.0["logits"], 1e-5);
    let ids = loaded.model.tokenize(images).float().into_data();
    ids.assert_approx_eq::<f32>(&io.tensor::<2>("ids").into_data(), Tolerance::absolute(0.0));
    let message =
        load_dalle_encoder(path, &config.with_decoder(true), LoadOptions::default(), &device());
    assert!(message.unwrap_err().to_string().contains("without a decoder"));
}
