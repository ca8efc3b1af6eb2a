//! Vision transformers: transformers' ViT and ViTMAE, timm's, and the official files.

use std::fs;

use burn::tensor::{Gradients, Tensor, TensorData};
use burn_mim::checkpoint::{
    LoadOptions, LoadReport, Transformers, TransformersModel, load_official_mae,
    load_official_mae_encoder, load_official_simmim, load_timm, save_mae, save_simmim, save_vit,
};
use burn_mim::encoder::{RelativePositions, VitBody};
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::{
    Backbone, DecoderConfig, Encoder, GridTokens, ImageShape, Mae, MaeConfig, MaeTarget,
    MaskConfig, MimBatch, PretextTask, SimMim, SimMimConfig, VisibleTokens, VitConfig,
};
use serde_json::Value;

use crate::io::{Io, STRICT, close, device, folder, gradient, weights_in};

fn with_class_token(features: GridTokens) -> Tensor<3> {
    match features.class_token {
        Some(token) => Tensor::cat(vec![token.unsqueeze_dim(1), features.tokens], 1),
        None => features.tokens,
    }
}

fn exact(report: &LoadReport) {
    let nothing: &[String] = &[];
    assert_eq!((&*report.missing, &*report.reshaped), (nothing, nothing), "{report}");
}

fn compare_gradients(
    name: &str,
    io: &Io,
    gradients: &Gradients,
    body: &VitBody,
    prefixes: [&str; 2],
) {
    let [embedding, block] = prefixes;
    let width = body.config().width;
    let flat = |expected: &(Vec<usize>, Vec<f32>), shape: Vec<usize>| (shape, expected.1.clone());
    let values = body.config().patch_values();
    if let Some(expected) = io.0.get(&format!("grad.{embedding}.weight")) {
        let got = gradient(gradients, &body.patch_embed.weight).transpose();
        close(name, got, &flat(expected, vec![width, values]), 1e-3);
    }
    for (part, key) in ["query", "key", "value"].into_iter().enumerate() {
        let key = format!("grad.{block}.0.attention.attention.{key}.weight");
        if let Some(expected) = io.0.get(&key) {
            let got =
                gradient(gradients, &body.transformer.blocks[0].attention.qkv.weight).transpose();
            let got = got.slice_dim(0, part * width..(part + 1) * width);
            close(&key, got, expected, 1e-3);
        }
    }
    if let Some(expected) = io.0.get(&format!("grad.{block}.0.attn.qkv.weight")) {
        let got = gradient(gradients, &body.transformer.blocks[0].attention.qkv.weight).transpose();
        close("qkv", got, expected, 1e-3);
    }
}

fn check_mae(name: &str, model: Mae, config: &MaeConfig, prefixes: [&str; 2]) {
    let io = Io::open(name);
    let (mask, kept) = io.masks(config.encoder.grid(), hidden_of(&io));
    let batch = MimBatch::new(io.tensor("pixel_values"), mask);
    let features = model.encoder.encode(batch.images.clone(), &batch.mask);
    let VisibleTokens { tokens, class_token, .. } = features;
    // The reference keeps the order of the noise; ours is that of the grid.
    let ordered: Vec<Tensor<3>> = kept
        .iter()
        .enumerate()
        .map(|(sample, cells)| {
            let rank = |cell: &usize| cells.iter().filter(|other| *other < cell).count() as i64;
            let rows: Vec<i64> = cells.iter().map(rank).collect();
            let count = rows.len();
            let rows = Tensor::from_data(TensorData::new(rows, [count]), &device());
            tokens.clone().slice_dim(0, sample..sample + 1).select(1, rows)
        })
        .collect();
    let tokens = Tensor::cat(ordered, 0);
    let features = match class_token {
        Some(token) => Tensor::cat(vec![token.unsqueeze_dim(1), tokens], 1),
        None => tokens,
    };
    close(&format!("{name} features"), features, &io.0["features"], 1e-4);
    let prediction = model.predict(&batch);
    let MaeTarget::Pixels(target) = &model.target else { panic!("{name} predicts pixels") };
    let placed = target.place(prediction, &batch);
    close(&format!("{name} reconstruction"), placed, &io.0["reconstruction"], 1e-4);
    close(&format!("{name} loss"), model.loss(batch.clone()).loss, &io.0["loss"], 1e-5);

    let model = burn::module::Module::train(model);
    let gradients = model.loss(batch).loss.backward();
    compare_gradients(name, &io, &gradients, &model.encoder.body, prefixes);
    let token = model.head.mask_token();
    let keys = ["grad.mask_token", "grad.decoder.mask_token"];
    let expected = keys.iter().find_map(|key| io.0.get(*key)).unwrap();
    let expected = (token.dims().to_vec(), expected.1.clone());
    close("mask token", gradient(&gradients, token), &expected, 1e-3);
}

fn hidden_of(io: &Io) -> usize {
    io.0.get("hidden").map_or(0, |(shape, _)| shape[1])
}

fn check_simmim(name: &str, model: SimMim, config: &SimMimConfig, prefixes: [&str; 2]) {
    let io = Io::open(name);
    let (mask, _) = io.masks(config.encoder.grid(), hidden_of(&io));
    let batch = MimBatch::new(io.tensor("pixel_values"), mask);
    let features = model.encoder.encode(batch.images.clone(), &batch.mask);
    close(&format!("{name} features"), with_class_token(features), &io.0["features"], 1e-4);
    let placed = model.target.place(model.predict(&batch), &batch);
    close(&format!("{name} reconstruction"), placed, &io.0["reconstruction"], 1e-4);
    close(&format!("{name} loss"), model.loss(batch.clone()).loss, &io.0["loss"], 1e-5);

    let model = burn::module::Module::train(model);
    let gradients = model.loss(batch).loss.backward();
    compare_gradients(name, &io, &gradients, &model.encoder.body, prefixes);
    let token = &model.encoder.mask_token;
    let key = ["grad.vit.embeddings.mask_token", "grad.encoder.mask_token"]
        .into_iter()
        .find(|key| io.0.contains_key(*key));
    let expected = (token.dims().to_vec(), io.0[key.unwrap()].1.clone());
    close("mask token", gradient(&gradients, token), &expected, 1e-3);
    if let Some(table) = model.encoder.body.transformer.relative_positions.first() {
        let key = "grad.encoder.rel_pos_bias.relative_position_bias_table";
        close(key, gradient(&gradients, &table.table), &io.0[key], 1e-3);
    }
}

/// Loads a transformers folder and compares everything its fixture holds.
fn check_folder(name: &str) {
    let io = Io::open(name);
    let folder = Transformers::open(folder(name)).unwrap();
    match folder.load(STRICT, &device()) {
        Ok(TransformersModel::Mae(loaded)) => {
            let prefixes = ["vit.embeddings.patch_embeddings.projection", "vit.encoder.layer"];
            check_mae(name, loaded.model, &loaded.config, prefixes);
        }
        Ok(TransformersModel::SimMim(loaded)) => {
            let prefixes = ["vit.embeddings.patch_embeddings.projection", "vit.encoder.layer"];
            check_simmim(name, loaded.model, &loaded.config, prefixes);
        }
        Ok(other) => check_encoder(name, &io, other),
        // Only a ViTModel has keys that the encoder has no place for: its pooler.
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains("2 unused (pooler.dense.bias, pooler.dense.weight)"),
                "{message}"
            );
            check_encoder(name, &io, folder.load(LoadOptions::default(), &device()).unwrap());
        }
    }
}

fn check_encoder(name: &str, io: &Io, model: TransformersModel) {
    let TransformersModel::Encoder(loaded) = model else { panic!("{name} is an encoder") };
    exact(&loaded.report);
    let whole = if io.0.contains_key("features_all") { "features_all" } else { "features" };
    let features = with_class_token(loaded.model.represent(io.tensor("pixel_values")));
    close(name, features, &io.0[whole], 1e-4);
    if io.0.contains_key("pixel_values_resized") {
        let features = with_class_token(loaded.model.represent(io.tensor("pixel_values_resized")));
        close(&format!("{name} resized"), features, &io.0["features_resized"], 1e-4);
    }
}

#[test]
fn every_transformers_folder_gives_its_numbers() {
    let mut checked = 0;
    for entry in fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if ["mae_", "vit_"].iter().any(|prefix| name.starts_with(prefix)) {
            check_folder(&name);
            checked += 1;
        }
    }
    assert!(checked >= 12, "{checked} folders");
}

/// The configuration of a fixture whose format has none.
fn sizes(name: &str) -> (VitConfig, Value) {
    let json: Value =
        serde_json::from_slice(&fs::read(folder(name).join("config.json")).unwrap()).unwrap();
    let size = |key: &str| json[key].as_u64().unwrap() as usize;
    let (height, width) = (json["image_size"][0].as_u64(), json["image_size"][1].as_u64());
    let image =
        ImageShape::new(size("channels"), height.unwrap() as usize, width.unwrap() as usize);
    let flag = |key: &str, default| json[key].as_bool().unwrap_or(default);
    let config =
        VitConfig::new(image, size("patch_size"), size("width"), size("depth"), size("heads"))
            .with_mlp_ratio(json["mlp_ratio"].as_f64().unwrap())
            .with_norm_epsilon(json["eps"].as_f64().unwrap())
            .with_class_token(flag("class_token", true))
            .with_layer_scale(flag("layer_scale", false).then_some(0.1))
            .with_qkv_bias(if flag("qkv_bias", true) { QkvBias::All } else { QkvBias::None });
    (config, json)
}

#[test]
fn timms_vision_transformers_give_their_numbers() {
    for name in
        ["timm_vit_rgb", "timm_vit_no_qkv_bias", "timm_vit_not_square", "timm_vit_no_class_token"]
    {
        let (config, _) = sizes(name);
        let config = config.with_positions(Positions::Learned);
        let file = folder(name).join("model.safetensors");
        let loaded = load_timm(file, &config, LoadOptions::default(), &device()).unwrap();
        exact(&loaded.report);
        let io = Io::open(name);
        let features = with_class_token(loaded.model.represent(io.tensor("pixel_values")));
        close(name, features, &io.0["features"], 1e-4);
    }
}

#[test]
fn official_masked_autoencoders_give_their_numbers() {
    for name in ["official_mae_full", "official_mae_gray"] {
        let (encoder, json) = sizes(name);
        let size = |key: &str| json[key].as_u64().unwrap() as usize;
        let decoder = DecoderConfig::new()
            .with_width(size("decoder_width"))
            .with_depth(size("decoder_depth"))
            .with_heads(size("decoder_heads"))
            .with_mlp_ratio(json["mlp_ratio"].as_f64().unwrap());
        let config = MaeConfig::new(encoder)
            .with_decoder(decoder)
            .with_normalized(json["norm_pix_loss"].as_bool().unwrap());
        let path = folder(name).join("model.pth");
        let loaded = load_official_mae(path, &config, STRICT, &device()).unwrap();
        check_mae(name, loaded.model, &config, ["patch_embed.proj", "blocks"]);
    }
    let name = "official_mae_encoder";
    let (config, _) = sizes(name);
    let io = Io::open(name);
    // The container of PyTorch since 1.6, and the one before it.
    for file in ["model.pth", "legacy.pth"] {
        let path = folder(name).join(file);
        let loaded = load_official_mae_encoder(path, &config, STRICT, &device()).unwrap();
        let features = with_class_token(loaded.model.represent(io.tensor("pixel_values")));
        close(file, features, &io.0["features_all"], 1e-4);
    }
}

#[test]
fn official_simmim_gives_its_numbers() {
    for name in
        ["official_simmim_vit", "official_simmim_vit_gray", "official_simmim_vit_not_square"]
    {
        let (encoder, _) = sizes(name);
        let encoder = encoder
            .with_positions(Positions::None)
            .with_relative_positions(RelativePositions::Shared)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_layer_scale(Some(0.1));
        let config =
            SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
        let path = folder(name).join("model.pth");
        let loaded = load_official_simmim(path, &config, STRICT, &device());
        check_simmim(
            name,
            loaded.unwrap().model,
            &config,
            ["encoder.patch_embed.proj", "encoder.blocks"],
        );
    }
}

#[test]
fn what_is_saved_loads_again_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    for name in ["mae_gray", "mae_hub_spelling", "vit_mim_rgb", "vit_mae_model"] {
        match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::Mae(loaded) => save_mae(out.path(), &loaded.model, &loaded.config),
            TransformersModel::SimMim(loaded) => {
                save_simmim(out.path(), &loaded.model, &loaded.config)
            }
            TransformersModel::Encoder(loaded) => {
                save_vit(out.path(), &loaded.model, &loaded.config)
            }
            _ => unreachable!("no other architecture is in the list"),
        }
        .unwrap();
        assert_eq!(weights_in(out.path()), weights_in(&folder(name)), "{name}");
        Transformers::open(out.path()).unwrap().load(STRICT, &device()).unwrap();
    }
}
