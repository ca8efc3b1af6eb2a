//! transformers' VideoMAE.

use std::fs;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_mim::checkpoint::{
    LoadOptions, Transformers, TransformersModel, save_clip_encoder, save_videomae,
};
use burn_mim::{
    Backbone, ClipBatch, ClipVit, ClipVitConfig, Encoder, ImageShape, PretextTask, VideoMae,
};

use crate::io::{Io, STRICT, close, device, folder, gradient, weights_in};

const WHOLE: [&str; 3] = ["videomae", "videomae_raw", "videomae_gray"];
const ENCODERS: [&str; 2] = ["videomae_model", "videomae_model_masked"];

/// The clips of a fixture, `[b, c, frames, h, w]`.
fn clips(io: &Io) -> Tensor<5> {
    io.tensor::<5>("pixel_values").permute([0, 2, 1, 3, 4])
}

fn masked(io: &Io, config: &ClipVitConfig) -> ClipBatch {
    let bits = &io.0["bool_masked_pos"];
    let hidden = bits.1.iter().filter(|bit| **bit > 0.0).count() / bits.0[0];
    ClipBatch::new(clips(io), io.masks(config.grid().flat(), hidden).0)
}

fn whole(name: &str) -> VideoMae {
    let loaded = Transformers::open(folder(name)).unwrap().load(STRICT, &device());
    let TransformersModel::VideoMae(loaded) = loaded.unwrap() else { panic!("{name}") };
    loaded.model
}

fn encoder(name: &str, options: LoadOptions) -> ClipVit {
    let loaded = Transformers::open(folder(name)).unwrap().load(options, &device());
    let TransformersModel::ClipEncoder(loaded) = loaded.unwrap() else { panic!("{name}") };
    loaded.model
}

fn features(encoder: &ClipVit, io: &Io) -> Tensor<3> {
    match io.0.contains_key("bool_masked_pos") {
        true => {
            let batch = masked(io, encoder.config());
            encoder.encode(batch.clips, &batch.mask).tokens
        }
        false => encoder.represent(clips(io)).tokens,
    }
}

#[test]
fn every_masked_autoencoder_gives_its_features_predictions_and_loss() {
    for name in WHOLE {
        let (io, model) = (Io::open(name), whole(name));
        let batch = masked(&io, model.encoder.config());
        let features = model.encoder.encode(batch.clips.clone(), &batch.mask).tokens;
        close(&format!("{name} features"), features, &io.0["features"], 1e-5);
        close(&format!("{name} logits"), model.predict(&batch), &io.0["logits"], 1e-5);
        close(&format!("{name} loss"), model.loss(batch).loss, &io.0["loss"], 1e-5);
    }
}

#[test]
fn every_masked_autoencoder_gives_its_gradients() {
    for name in WHOLE {
        let (io, model) = (Io::open(name), whole(name).train());
        let batch = masked(&io, model.encoder.config());
        let gradients = model.loss(batch).loss.backward();
        let (encoder, head) = (&model.encoder, &model.head);
        let width = encoder.config().width;
        let blocks = &encoder.transformer.blocks;
        let expected = |key: &str| io.0[&format!("grad.{key}")].clone();

        let (shape, values) = expected("videomae.embeddings.patch_embeddings.projection.weight");
        let flat = (vec![width, shape[1..].iter().product()], values);
        close(name, gradient(&gradients, &encoder.patch_embed.weight).transpose(), &flat, 1e-3);
        let query = gradient(&gradients, &blocks[0].attention.qkv.weight).narrow(1, 0, width);
        let key = "videomae.encoder.layer.0.attention.attention.query.weight";
        close(name, query.transpose(), &expected(key), 1e-3);
        let key = "videomae.encoder.layer.1.layernorm_after.weight";
        close(name, gradient(&gradients, &blocks[1].norm2.gamma), &expected(key), 1e-3);

        let embed = gradient(&gradients, &head.embed.weight).transpose();
        close(name, embed, &expected("encoder_to_decoder.weight"), 1e-3);
        let token = gradient(&gradients, &head.mask_token).unsqueeze::<3>();
        close(name, token, &expected("mask_token"), 1e-3);
        let inner = head.mask_token.dims()[1];
        let value = &head.transformer.blocks[0].attention.qkv.weight;
        let value = gradient(&gradients, value).narrow(1, 2 * inner, inner).transpose();
        let key = "decoder.decoder_layers.0.attention.attention.value.weight";
        close(name, value, &expected(key), 1e-3);
        let norm = gradient(&gradients, &head.transformer.norm.as_ref().unwrap().gamma);
        close(name, norm, &expected("decoder.norm.weight"), 1e-3);
        let bias = gradient(&gradients, head.projection.bias.as_ref().unwrap());
        close(name, bias, &expected("decoder.head.bias"), 1e-3);
    }
}

#[test]
fn every_encoder_gives_its_features() {
    for name in ENCODERS {
        let io = Io::open(name);
        close(name, features(&encoder(name, STRICT), &io), &io.0["features"], 1e-5);
    }
    let name = "videomae_classifier";
    let opened = Transformers::open(folder(name)).unwrap();
    let loaded = opened.clip_encoder(LoadOptions::default(), &device()).unwrap();
    assert!(loaded.report.missing.is_empty(), "{}", loaded.report);
    let unused = ["classifier.bias", "classifier.weight", "fc_norm.bias", "fc_norm.weight"];
    assert_eq!(loaded.report.unused, unused);
    let io = Io::open(name);
    close(name, features(&loaded.model, &io), &io.0["features"], 1e-5);
}

#[test]
fn the_encoder_of_a_whole_model_is_read_alone() {
    for name in WHOLE {
        let io = Io::open(name);
        let opened = Transformers::open(folder(name)).unwrap();
        let loaded = opened.clip_encoder(LoadOptions::default(), &device()).unwrap();
        loaded.report.require_all(name).unwrap();
        close(name, features(&loaded.model, &io), &io.0["features"], 1e-5);
    }
}

#[test]
fn what_is_written_has_the_same_tensors_and_is_the_same_model() {
    for name in WHOLE {
        let opened = Transformers::open(folder(name)).unwrap();
        let loaded = opened.videomae(STRICT, &device()).unwrap();
        let out = tempfile::tempdir().unwrap();
        save_videomae(out.path(), &loaded.model, &loaded.config).unwrap();
        assert!(weights_in(out.path()) == weights_in(&folder(name)), "{name}");
        let again = Transformers::open(out.path()).unwrap();
        assert_eq!(again.architecture(), "VideoMAEForPreTraining");
        assert_eq!(again.videomae(STRICT, &device()).unwrap().config, loaded.config);
    }
    for name in ENCODERS {
        let encoder = encoder(name, STRICT);
        let out = tempfile::tempdir().unwrap();
        save_clip_encoder(out.path(), &encoder).unwrap();
        assert!(weights_in(out.path()) == weights_in(&folder(name)), "{name}");
        let again = Transformers::open(out.path()).unwrap();
        let again = again.clip_encoder(STRICT, &device()).unwrap();
        assert_eq!(&again.config, encoder.config());
    }
}

#[test]
fn what_no_model_has_and_missing_weights_are_named() {
    for (key, value, expected) in [
        ("num_frames", "5", "a clip of 5 frames cannot be cut into tubelets of 2 frames"),
        ("num_frames", "1e14", "the frames of a clip must be at most"),
        ("tubelet_size", "4", "has the shape [12, 3, 2, 4, 4], expected [12, 3, 4, 4, 4]"),
        ("tubelet_size", "0", "tubelets of 0 frames"),
        ("patch_size", "[4, 2]", "patches of 4×2 pixels are not square"),
        ("hidden_act", "\"mish\"", "hidden_act \"mish\" is not supported"),
        ("num_attention_heads", "5", "5 heads do not divide a width of 12"),
        ("decoder_num_attention_heads", "3", "3 heads do not divide a width of 10"),
        ("num_hidden_layers", "3", "encoder.layer.2."),
        ("model_type", "\"timesformer\"", "the model_type \"timesformer\""),
    ] {
        let out = tempfile::tempdir().unwrap();
        let file = "model.safetensors";
        fs::copy(folder("videomae").join(file), out.path().join(file)).unwrap();
        let bytes = fs::read(folder("videomae").join("config.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        json[key] = serde_json::from_str(value).unwrap();
        fs::write(out.path().join("config.json"), json.to_string()).unwrap();
        let loaded = Transformers::open(out.path())
            .and_then(|opened| opened.load(LoadOptions::default(), &device()))
            .and_then(|model| model.report().require_all(out.path()));
        let message = loaded.unwrap_err().to_string();
        assert!(message.contains(expected), "{key}: {message}");
    }
}

#[test]
fn clips_of_another_size_and_models_of_images_are_refused() {
    let opened = Transformers::open(folder("videomae")).unwrap();
    let opened = opened.with_image(ImageShape::square(3, 16));
    let message = opened.load(LoadOptions::default(), &device()).unwrap_err().to_string();
    assert!(message.contains("reads frames of 3×8×12 alone, not of 3×16×16"), "{message}");
    let vit = Transformers::open(folder("vit_model")).unwrap();
    let message = vit.clip_encoder(LoadOptions::default(), &device()).unwrap_err().to_string();
    assert!(message.contains("a ViTModel does not read clips"), "{message}");
}

#[test]
fn what_transformers_has_no_place_for_is_not_written() {
    let opened = Transformers::open(folder("videomae_gray")).unwrap();
    let loaded = opened.videomae(STRICT, &device()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let config = loaded.config;
    let refused =
        |config| save_videomae(out.path(), &loaded.model, &config).unwrap_err().to_string();
    assert!(refused(config.clone().with_normalized(false)).contains("raw pixels"));
    let decoder = config.decoder.clone().with_final_norm_epsilon(1e-6);
    assert!(refused(config.with_decoder(decoder)).contains("an epsilon of 1e-5"));
}
