//! Published weights: safetensors, shards and their index, pickles, and what describes them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_mim::checkpoint::{LoadOptions, Transformers, load_official_mae_encoder};
use burn_mim::{ImageShape, Result, VitConfig};

use crate::campaign::{Seed, fuzz};

/// A folder of the parity tests, without the tensors that it compares.
fn fixture(name: &str) -> Seed {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name);
    let mut seed = crate::campaign::folder(&folder);
    seed.retain(|(path, _)| path != Path::new("io.safetensors"));
    assert!(!seed.is_empty(), "{name} is empty");
    seed
}

/// Loads a folder of transformers.
fn transformers(folder: &Path) -> Result<()> {
    Transformers::open(folder)?.load(LoadOptions::default(), &Device::flex()).map(drop)
}

/// Loads the encoder of the file `model.pth`, which has no configuration beside it.
fn official_encoder(folder: &Path) -> Result<()> {
    let config = VitConfig::new(ImageShape::new(5, 20, 8), 4, 16, 2, 4);
    let (file, device) = (folder.join("model.pth"), Device::flex());
    load_official_mae_encoder(file, &config, LoadOptions::default(), &device).map(drop)
}

fn ends_in(end: &'static str) -> impl Fn(&Path) -> bool {
    move |path: &Path| path.to_string_lossy().ends_with(end)
}

#[test]
fn damaged_safetensors_are_refused_or_read() {
    let seeds = ["mae_raw", "mae_five_channels"].map(fixture);
    fuzz("safetensors", 40, &seeds, ends_in(".safetensors"), transformers);
}

#[test]
fn damaged_shards_and_indexes_are_refused_or_read() {
    let seeds = [fixture("mae_shards")];
    fuzz("shards", 40, &seeds, |path| path != Path::new("config.json"), transformers);
}

#[test]
fn damaged_pickles_are_refused_or_read() {
    // The container of PyTorch since 1.6, and the one before it.
    let pickle = |file: &str| -> Seed {
        let mut seed = fixture("official_mae_encoder");
        seed.retain(|(path, _)| path == Path::new(file));
        seed[0].0 = PathBuf::from("model.pth");
        seed
    };
    let seeds = ["model.pth", "legacy.pth"].map(pickle);
    fuzz("pickles", 40, &seeds, |_| true, official_encoder);
}

#[test]
fn damaged_configurations_of_transformers_are_refused_or_read() {
    let names = [
        "mae_raw",
        "vit_mim_rgb",
        "vit_model",
        "beit_mim_shared",
        "beit_model",
        "swin_mim_three_stages",
        "swin_v2_mim_padded",
        "convnext_v2_model",
        "image_gpt_model",
        "hiera_mae",
        "hiera_model_unpooled",
        "videomae",
    ];
    let seeds = names.map(fixture);
    fuzz("transformers-configurations", 60, &seeds, ends_in("config.json"), transformers);
}
