//! Configurations as users write them.

use std::path::Path;

use burn_mim::data::augment::Augmentation;
use burn_mim::method::{BeitV2Config, Method};
use burn_mim::target::tokenizer::{PaletteConfig, VqConfig};
use burn_mim::train::Recipe;
use burn_mim::{
    BeitConfig, CaeConfig, ClipShape, CmaeConfig, ContextConfig, ConvNextV2Config, Data2VecConfig,
    Data2VecV1Config, Error, EvaConfig, FcMaeConfig, HieraMaeConfig, IBotConfig, IJepaConfig,
    ImageGptConfig, ImageShape, LeJepaConfig, MaeConfig, MaskConfig, MaskFeatConfig, MilanConfig,
    RefineConfig, RestorationConfig, Result, SelfieConfig, SimMimConfig, SparkConfig, SwinConfig,
    SwinV2Config, TokenizerConfig, VideoMaeConfig,
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
    let palette = TokenizerConfig::Palette(PaletteConfig::new(image).with_patch(4));
    let beit = BeitConfig::small_images(palette);
    let swin = SwinConfig::new(image, 2, 8, vec![2, 2], vec![2, 4], 2);
    let swin_v2 = SwinV2Config::new(swin.clone());
    let mask = MaskConfig::Simmim { unit: 8, ratio: 0.6 };
    check(MaeConfig::small_images(image));
    check(SimMimConfig::in_small_squares(ConvNextV2Config::small_images(image)));
    check(SimMimConfig::new(swin).with_mask(mask.clone()));
    check(SimMimConfig::new(swin_v2).with_mask(mask));
    check(beit.clone());
    check(CaeConfig::small_images(beit.tokenizer.clone()));
    check(BeitV2Config::small_images(beit.tokenizer));
    check(MaskFeatConfig::small_images(image));
    check(ContextConfig::small_images(image));
    check(SelfieConfig::small_images(image));
    check(SparkConfig::small_images(image));
    check(ImageGptConfig::small_images(image));
    check(RestorationConfig::small_images(image));
    check(RefineConfig::small_images(image));
    check(CmaeConfig::small_images(image));
    check(IJepaConfig::small_images(image));
    check(IBotConfig::small_images(image));
    check(LeJepaConfig::small_images(image));
    check(Data2VecConfig::small_images(image));
    check(Data2VecV1Config::small_images(image));
    check(EvaConfig::small_images(image));
    check(FcMaeConfig::small_images(image));
    check(HieraMaeConfig::small_images(image));
    check(MilanConfig::small_images(image));
    check(VideoMaeConfig::small_clips(ClipShape::new(image, 4)));
}

fn check<M: Method>(method: M) {
    let name = format!("methods-{}{}", M::NAME, M::VARIANT);
    fuzz(&name, 20, &[json(&method)], |_| true, |folder| read::<M>(folder)?.validate());
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
