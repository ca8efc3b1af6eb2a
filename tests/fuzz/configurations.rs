//! Configurations as users write them.

use std::path::Path;

use burn_mim::data::augment::Augmentation;
use burn_mim::encoder::EncoderConfig;
use burn_mim::method::{BeitV2Config, TaskConfig};
use burn_mim::target::tokenizer::{PaletteConfig, VqConfig};
use burn_mim::train::Recipe;
use burn_mim::{
    BeitConfig, ContextConfig, Error, ImageGptConfig, ImageShape, MaeConfig, MaskFeatConfig,
    RestorationConfig, Result, SelfieConfig, SimMimConfig, SwinConfig, SwinV2Config,
    TokenizerConfig,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::campaign::{Seed, file, fuzz};

fn json(value: &impl Serialize) -> Seed {
    file("config.json", serde_json::to_vec_pretty(value).unwrap())
}

fn read<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    let path = folder.join("config.json");
    let bytes = std::fs::read(&path).unwrap();
    serde_json::from_slice(&bytes).map_err(|error| Error::data(&path, error))
}

#[test]
fn damaged_configurations_of_methods_are_refused_or_valid() {
    let image = ImageShape::square(3, 16);
    let palette = TokenizerConfig::Palette(PaletteConfig::new(image).with_cell(4));
    let beit = BeitConfig::small_images(palette);
    let swin = SwinConfig::new(image, 2, 8, vec![2, 2], vec![2, 4], 2);
    let swin_v2 = SwinV2Config::new(swin.clone());
    let simmim = |encoder: EncoderConfig| SimMimConfig::new(encoder).with_mask_unit(8);
    let tasks: Vec<TaskConfig> = vec![
        MaeConfig::small_images(image).into(),
        simmim(swin.into()).into(),
        simmim(swin_v2.into()).into(),
        beit.clone().into(),
        BeitV2Config::small_images(beit.tokenizer.clone()).into(),
        MaskFeatConfig::small_images(image).into(),
        ContextConfig::small_images(image).into(),
        SelfieConfig::small_images(image).into(),
        ImageGptConfig::small_images(image).into(),
        RestorationConfig::small_images(image).into(),
    ];
    let seeds: Vec<Seed> = tasks.iter().map(json).collect();
    let valid = |folder: &Path| read::<TaskConfig>(folder)?.validate();
    fuzz("methods", 200, &seeds, |_| true, valid);
}

#[test]
fn damaged_configurations_of_parts_are_refused_or_valid() {
    let image = ImageShape::square(3, 16);
    let tokenizers = [json(&TokenizerConfig::Vq(VqConfig::small_images(image)))];
    let valid = |folder: &Path| read::<TokenizerConfig>(folder)?.validate();
    fuzz("tokenizer-configurations", 60, &tokenizers, |_| true, valid);
    let recipes = [Recipe::mae(), Recipe::simmim(), Recipe::beit()].map(|recipe| json(&recipe));
    fuzz("recipes", 60, &recipes, |_| true, |folder| read::<Recipe>(folder)?.validate());
    let augmentations = [Augmentation::mae(), Augmentation::beit()].map(|kept| json(&kept));
    fuzz(
        "augmentations",
        60,
        &augmentations,
        |_| true,
        |folder| read::<Augmentation>(folder)?.validate(),
    );
}
