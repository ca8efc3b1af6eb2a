//! Hiera: transformers' folders, and the official files.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_mim::checkpoint::{
    LoadOptions, Transformers, TransformersModel, load_official_hiera, load_official_hiera_mae,
    save_hiera, save_hiera_classifier, save_hiera_mae, save_official_hiera,
    save_official_hiera_mae,
};
use burn_mim::eval::{Classification, Pooling};
use burn_mim::nn::InitialWeights;
use burn_mim::{
    Backbone, DecoderConfig, Encoder, Hiera, HieraConfig, HieraMae, HieraMaeConfig, ImageShape,
    MimBatch, PretextTask,
};

use crate::io::{Io, STRICT, close, device, folder, gradient, weights_in};

/// The share of the largest value that activations may differ by.
const TOLERANCE: f32 = 5e-6;

/// Features of whole images, and of every stage row by row.
fn check_encoder(name: &str, io: &Io, hiera: &Hiera) {
    let features = hiera.last_hidden_state(io.tensor("pixel_values"));
    close(&format!("{name} features"), features, &io.0["features"], TOLERANCE);
    for (stage, features) in hiera.stages(io.tensor("pixel_values")).into_iter().enumerate() {
        let Some(expected) = io.0.get(&format!("stage.{stage}")) else { continue };
        close(&format!("{name} stage {stage}"), features.tokens, expected, TOLERANCE);
    }
    if io.0.contains_key("pixel_values_resized") {
        let features = hiera.last_hidden_state(io.tensor("pixel_values_resized"));
        close(&format!("{name} resized"), features, &io.0["features_resized"], TOLERANCE);
    }
}

/// Predictions, loss and gradients with hidden mask units.
fn check_mae(name: &str, io: &Io, model: HieraMae, config: &HieraMaeConfig) {
    check_encoder(name, io, &model.encoder);
    let (mask, _) = io.masks(config.units(), config.mask().unwrap().hidden());
    let hidden = mask.samples().iter().flat_map(|mask| mask.hidden_indices());
    let cells = mask.at(config.encoder.stage_grid(config.encoder.pools));
    let batch = MimBatch::new(io.tensor("pixel_values"), mask.clone());
    let features = model.encoder.encode(batch.images.clone(), &mask);
    let logits = model.head.predict_all(features, &mask);
    close(&format!("{name} logits"), logits.clone(), &io.0["logits"], TOLERANCE);
    close(&format!("{name} loss"), model.loss(batch.clone()).loss, &io.0["loss"], 1e-5);
    let asked = cells.asked.select(logits).into_data();
    let predicted = model.predict(&batch).into_data();
    predicted.assert_approx_eq::<f32>(&asked, burn::tensor::Tolerance::absolute(1e-4));
    let expected: Vec<usize> = io.0["hidden"].1.iter().map(|cell| *cell as usize).collect();
    assert_eq!(hidden.collect::<Vec<_>>(), expected);

    let model = model.train();
    let gradients = model.loss(batch).loss.backward();
    let expect = |key: &str, shape: Vec<usize>| (shape, io.0[&format!("grad.{key}")].1.clone());
    // Of a layer whose weights have outputs last.
    let check = |key: &str, weight: &Param<Tensor<2>>| {
        let got = gradient(&gradients, weight).transpose();
        close(key, got.clone(), &expect(key, got.dims().into()), 1e-3);
    };
    let stages = &model.encoder.stages;
    let embedding = &model.encoder.patch_embed;
    check("hiera.embeddings.patch_embeddings.projection.weight", &embedding.projection.weight);
    check(
        "hiera.encoder.stages.0.layers.0.attn.qkv.weight",
        &stages[0].blocks[0].attention.qkv.weight,
    );
    let projection = stages[1].blocks[0].projection.as_ref().unwrap();
    check("hiera.encoder.stages.1.layers.0.proj.weight", &projection.weight);
    check("multiscale_fusion.multi_scale_fusion_heads.0.weight", &model.head.fusion[0].weight);
    for (key, table) in [
        ("hiera.embeddings.position_embeddings", &embedding.positions.table),
        ("decoder.decoder_position_embeddings", &model.head.positions.table),
        ("decoder.mask_token", &model.head.mask_token),
    ] {
        let got = gradient(&gradients, table);
        close(key, got.clone(), &expect(key, got.dims().into()), 1e-3);
    }
    let qkv = &stages[1].blocks[0].attention.qkv;
    for (key, vector) in [
        ("hiera.encoder.stages.1.layers.0.attn.qkv.bias", qkv.bias.as_ref().unwrap()),
        ("encoder_norm.weight", &model.head.fusion_norm.gamma),
        ("decoder.decoder_pred.bias", model.head.projection.bias.as_ref().unwrap()),
    ] {
        let got = gradient(&gradients, vector);
        close(key, got.clone(), &expect(key, got.dims().into()), 1e-3);
    }
}

#[test]
fn masked_autoencoders_compute_and_learn_what_transformers_does() {
    for name in ["hiera_mae", "hiera_mae_pooled", "hiera_mae_windows"] {
        let opened = Transformers::open(folder(name)).unwrap();
        let TransformersModel::HieraMae(loaded) = opened.load(STRICT, &device()).unwrap() else {
            panic!("{name} is a masked autoencoder");
        };
        check_mae(name, &Io::open(name), loaded.model, &loaded.config);
    }
}

#[test]
fn encoders_compute_what_transformers_does() {
    for name in ["hiera_model_unpooled", "hiera_model_oblong"] {
        let hiera = Transformers::open(folder(name)).unwrap().hiera(STRICT, &device()).unwrap();
        check_encoder(name, &Io::open(name), &hiera.model);
    }
}

#[test]
fn what_norms_pooled_features_is_unused_and_said_to_be() {
    for (name, unused) in [
        ("hiera_model", "2 unused (pooler.layernorm.bias, pooler.layernorm.weight)"),
        ("hiera_classifier", "4 unused (classifier.bias, classifier.weight, hiera.pooler"),
    ] {
        let opened = Transformers::open(folder(name)).unwrap();
        let error = opened.hiera(STRICT, &device()).unwrap_err().to_string();
        assert!(error.contains(unused), "{error}");
        let hiera = opened.hiera(LoadOptions::default(), &device()).unwrap();
        check_encoder(name, &Io::open(name), &hiera.model);
    }
}

/// The tensor `key` of a folder's weights, a matrix transposed.
fn weights<const D: usize>(name: &str, key: &str) -> Tensor<D> {
    let io = Io::read(&folder(name).join("model.safetensors"));
    let tensor = io.tensor::<D>(key);
    if D == 2 { tensor.transpose() } else { tensor }
}

#[test]
fn a_classifier_is_that_of_transformers_and_is_written_as_one() {
    let name = "hiera_classifier";
    let opened = Transformers::open(folder(name)).unwrap();
    let hiera = opened.hiera(LoadOptions::default(), &device()).unwrap().model;
    let mut task =
        Classification::new(hiera, Pooling::Mean, 3, &mut InitialWeights::new(0, &device()));
    let norm = task.norm.as_mut().unwrap();
    norm.gamma = Param::from_tensor(weights(name, "hiera.pooler.layernorm.weight"));
    norm.beta = Some(Param::from_tensor(weights(name, "hiera.pooler.layernorm.bias")));
    task.head.weight = Param::from_tensor(weights(name, "classifier.weight"));
    task.head.bias = Some(Param::from_tensor(weights(name, "classifier.bias")));
    let io = Io::open(name);
    close("logits", task.logits(io.tensor("pixel_values")), &io.0["logits"], TOLERANCE);
    let out = tempfile::tempdir().unwrap();
    let names: Vec<_> = ["a", "b", "c"].map(String::from).into();
    let norm = task.norm.as_ref().unwrap();
    save_hiera_classifier(out.path(), &task.encoder, norm, &task.head, &names).unwrap();
    assert_eq!(weights_in(out.path()), weights_in(&folder(name)));
}

#[test]
fn the_encoder_of_a_masked_autoencoder_loads_alone_and_for_other_images() {
    let opened = Transformers::open(folder("hiera_mae")).unwrap();
    let whole = opened.hiera_mae(STRICT, &device()).unwrap().model.encoder;
    let alone = opened.hiera(LoadOptions::default(), &device()).unwrap().model;
    let images = || Io::open("hiera_mae").tensor("pixel_values");
    let expected = whole.represent(images()).tokens.into_data();
    alone.represent(images()).tokens.into_data().assert_eq(&expected, true);
    // Both tables of positions become those of 4 × 4 mask units in place of 2 × 3.
    let resize = LoadOptions { resize: true, ..LoadOptions::default() };
    let opened = opened.with_image(ImageShape::square(3, 32));
    let resized = opened.hiera_mae(resize, &device()).unwrap();
    assert_eq!(resized.report.reshaped.len(), 2, "{}", resized.report);
    assert_eq!(resized.model.head.positions.table.dims(), [64, 12]);
}

#[test]
fn what_is_saved_loads_again_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    for name in ["hiera_mae", "hiera_mae_pooled", "hiera_model_unpooled", "hiera_model_oblong"] {
        match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::HieraMae(loaded) => {
                save_hiera_mae(out.path(), &loaded.model, &loaded.config)
            }
            TransformersModel::Hiera(loaded) => save_hiera(out.path(), &loaded.model),
            other => panic!("{name}: {other:?}"),
        }
        .unwrap();
        assert_eq!(weights_in(out.path()), weights_in(&folder(name)), "{name}");
        Transformers::open(out.path()).unwrap().load(STRICT, &device()).unwrap();
    }
}

/// Three stages on mask units of 4 × 4 tokens of 2 pixels.
fn small(image: ImageShape) -> HieraConfig {
    HieraConfig::small_images(image).with_mlp_ratio(1.5).with_pools(1)
}

#[test]
fn official_files_are_read_and_written() {
    let again = tempfile::tempdir().unwrap();
    let again = again.path().join("again.safetensors");

    let name = "official_hiera_mae";
    let encoder = small(ImageShape::new(3, 16, 24));
    let encoder = HieraConfig { width: 4, depths: vec![1, 2, 1], ..encoder };
    let decoder = DecoderConfig::new().with_width(12).with_depth(1).with_heads(3);
    let config = HieraMaeConfig::new(encoder).with_decoder(decoder.with_mlp_ratio(1.5));
    let file = folder(name).join("model.pth");
    let loaded = load_official_hiera_mae(file, &config, STRICT, &device()).unwrap();
    assert!(loaded.report.form.contains("official Hiera"), "{}", loaded.report);
    save_official_hiera_mae(&again, &loaded.model, &config).unwrap();
    check_mae(name, &Io::open(name), loaded.model, &config);
    let loaded = load_official_hiera_mae(&again, &config, STRICT, &device()).unwrap();
    check_mae(name, &Io::open(name), loaded.model, &config);
    // With a configuration of transformers beside it, the file says the rest itself.
    let opened = Transformers::open(folder(name).join("model.pth")).unwrap();
    let loaded = opened.hiera_mae(STRICT, &device()).unwrap();
    assert_eq!(loaded.config.encoder, config.encoder);
    check_mae(name, &Io::open(name), loaded.model, &loaded.config);

    let name = "official_hiera";
    let config = HieraConfig {
        width: 4,
        depths: vec![1, 1, 2, 1],
        heads: vec![1, 2, 2, 4],
        unit_attention: vec![true, true, false, false],
        ..small(ImageShape::new(3, 16, 32)).with_unit([8, 8]).with_pools(3)
    };
    let file = folder(name).join("model.pth");
    let loaded = load_official_hiera(file, &config, LoadOptions::default(), &device()).unwrap();
    assert_eq!(loaded.report.unused.len(), 4, "{}", loaded.report);
    check_encoder(name, &Io::open(name), &loaded.model);
    save_official_hiera(&again, &loaded.model).unwrap();
    let loaded = load_official_hiera(&again, &config, STRICT, &device()).unwrap();
    check_encoder(name, &Io::open(name), &loaded.model);
}
