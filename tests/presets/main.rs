//! Presets: names that lead to a method, and numbers for images of any shape.
#![cfg(feature = "run")]

mod page;
mod shapes;

use std::collections::BTreeSet;

use burn_mim::method::{BuiltIn, Methods, Preset};
use burn_mim::{SimMimConfig, SwinConfig, SwinV2Config};

#[test]
fn a_name_leads_to_its_method_and_variant() {
    let found = BuiltIn::preset("simmim_swin_v2_small_images").unwrap();
    assert_eq!((found.method, found.variant), ("simmim", "swin-v2"));
    let preset = Preset::<SimMimConfig<SwinV2Config>>::named(found.name).unwrap();
    preset.method().validate().unwrap();
    assert!(Preset::<SimMimConfig<SwinConfig>>::named(found.name).is_none());
}

#[test]
fn an_unknown_name_is_told_the_nearest_right_ones() {
    let message = BuiltIn::preset("mae_smal_image").unwrap_err().to_string();
    let start =
        "invalid configuration: unknown preset `mae_smal_image`; did you mean `mae_small_images`";
    assert!(message.starts_with(start), "{message}");
    let message = BuiltIn::preset("beit_larg_patch16_224").unwrap_err().to_string();
    assert!(message.contains("did you mean `beit_large_patch16_224`, `beit_"), "{message}");
    let message = BuiltIn::preset("q").unwrap_err().to_string();
    assert!(message.contains("expected one of mae_small_images, "), "{message}");
}

#[test]
fn no_two_presets_have_the_same_name_and_each_begins_with_its_methods() {
    let all = BuiltIn::presets();
    let names: BTreeSet<_> = all.iter().map(|preset| preset.name).collect();
    assert_eq!(names.len(), all.len());
    for preset in &all {
        assert!(preset.name.starts_with(preset.method), "{} of {}", preset.name, preset.method);
        assert!(!preset.about.contains('\n') && preset.about.len() < 160, "{}", preset.about);
    }
    for method in BuiltIn::NAMES {
        assert!(all.iter().any(|preset| preset.method == *method), "{method} has no preset");
    }
}
