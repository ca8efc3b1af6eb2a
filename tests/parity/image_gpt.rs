//! transformers' ImageGPT.

use std::fs;

use burn::tensor::{Int, Tensor};
use burn_mim::PretextTask;
use burn_mim::checkpoint::{Transformers, TransformersModel, save_image_gpt, save_pixel_gpt};
use burn_mim::method::{ImageGpt, ImageGptBatch};
use burn_mim::{Grid, encoder::PixelGpt};
use safetensors::tensor::SafeTensors;

use crate::io::{Io, STRICT, close, device, folder, gradient};

fn ids(io: &Io) -> Tensor<2, Int> {
    io.tensor::<2>("input_ids").int()
}

fn check_encoder(name: &str, io: &Io, encoder: &PixelGpt) {
    close(&format!("{name} features"), encoder.gpt.forward(ids(io)), &io.0["features"], 1e-4);
    for layer in 0..=encoder.gpt.transformer.blocks.len() {
        let tokens = encoder.gpt.embed(ids(io));
        let [_, count, width] = tokens.dims();
        let positions = encoder.gpt.positions.table.val().slice([0..count, 0..width]);
        let features = encoder.gpt.transform(tokens + positions.unsqueeze(), layer);
        close(&format!("{name} layer {layer}"), features, &io.0[&format!("layer.{layer}")], 1e-4);
    }
}

fn check_model(name: &str, io: &Io, model: ImageGpt) {
    check_encoder(name, io, &model.encoder);
    close(&format!("{name} logits"), model.logits(ids(io)), &io.0["logits"], 1e-4);
    if !io.0.contains_key("loss") {
        return;
    }
    // The fixture's ids are a start and all pixels but the last, which the image has.
    let images = model.encoder.images(io.tensor::<2>("image_ids").int(), Grid::new(3, 3));
    let model = burn::module::Module::train(model);
    let output = model.loss(ImageGptBatch { images, mask: None });
    close(&format!("{name} loss"), output.loss.clone(), &io.0["loss"], 1e-5);
    let gradients = output.loss.backward();
    let gpt = &model.encoder.gpt;
    let key = |key: &str| io.0[&format!("grad.transformer.{key}")].clone();
    close("embedding", gradient(&gradients, &gpt.token_embed), &key("wte.weight"), 1e-3);
    let qkv = gradient(&gradients, &gpt.transformer.blocks[0].attention.qkv.weight);
    close("qkv", qkv, &key("h.0.attn.c_attn.weight"), 1e-3);
    let norm = gradient(&gradients, &gpt.transformer.blocks[1].norm2.gamma);
    close("norm", norm, &key("h.1.ln_2.weight"), 1e-3);
    let head = gradient(&gradients, &model.head.weight).transpose();
    close("head", head, &io.0["grad.lm_head.weight"], 1e-3);
}

#[test]
fn every_image_gpt_folder_gives_its_numbers() {
    let mut checked = 0;
    for entry in fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("image_gpt_") {
            continue;
        }
        let io = Io::open(&name);
        match Transformers::open(folder(&name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::ImageGpt(loaded) => check_model(&name, &io, loaded.model),
            TransformersModel::PixelGpt(loaded) => check_encoder(&name, &io, &loaded.model),
            other => panic!("{name} is {other:?}"),
        }
        checked += 1;
    }
    assert!(checked >= 5, "{checked} folders");
}

#[test]
fn what_is_saved_loads_again_to_the_same_bits() {
    for name in ["image_gpt_loss", "image_gpt_model"] {
        let out = tempfile::tempdir().unwrap();
        match Transformers::open(folder(name)).unwrap().load(STRICT, &device()).unwrap() {
            TransformersModel::ImageGpt(loaded) => {
                save_image_gpt(out.path(), &loaded.model, &loaded.config).unwrap();
            }
            TransformersModel::PixelGpt(loaded) => {
                save_pixel_gpt(out.path(), &loaded.model, &loaded.config).unwrap();
            }
            other => panic!("{name} is {other:?}"),
        }
        let tensors = |path: &std::path::Path| {
            let bytes = fs::read(path.join("model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let tensors = file.tensors().into_iter();
            let mut tensors: Vec<_> = tensors
                .map(|(key, view)| (key, view.shape().to_vec(), view.data().to_vec()))
                .collect();
            tensors.sort();
            tensors
        };
        assert_eq!(tensors(out.path()), tensors(&folder(name)), "{name}");
        let palette = "preprocessor_config.json";
        assert_eq!(out.path().join(palette).exists(), folder(name).join(palette).exists());
        Transformers::open(out.path()).unwrap().load(STRICT, &device()).unwrap();
    }
}
