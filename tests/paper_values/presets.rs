//! Every preset as JSON: constructors of sizes, recipes and the like, and the runs of
//! `Method::presets`.

use burn_mim::data::augment::{Augmentation, RandAugment};
use burn_mim::encoder::{GptConfig, ResidualConfig};
use burn_mim::eval::{AttentiveProbe, FineTuning, LinearProbe, Mixing, RandomErasing};
use burn_mim::method::{
    BeitV2Config, BuiltIn, DvaeSchedule, Method, Methods, PatchPairs, Preset, PresetEntry,
};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, VqConfig};
use burn_mim::train::Recipe;
use burn_mim::{
    BeitConfig, CaeConfig, ClipDecoderConfig, ClipShape, ClipVitConfig, CmaeConfig, ContextConfig,
    ConvNextDecoderConfig, ConvNextV2Config, Data2VecConfig, Data2VecV1Config, DecoderConfig,
    EvaConfig, FcMaeConfig, HieraConfig, HieraMaeConfig, IBotConfig, IJepaConfig, ImageGptConfig,
    ImageShape, LeJepaConfig, MaeConfig, MaeTargetConfig, MaskFeatConfig, MilanConfig,
    RefineConfig, ResNetConfig, RestorationConfig, SelfieConfig, SimMimConfig, SparkConfig,
    SwinConfig, SwinV2Config, TokenizerConfig, VideoMaeConfig, VitConfig,
};
use serde_json::{Value, json, to_value};

/// What models for small images are made for here.
const SMALL: ImageShape = ImageShape::new(3, 32, 48);

/// Clips of them.
const CLIP: ClipShape = ClipShape::new(SMALL, 4);

/// `$type::$name` of each constructor, without arguments or with those that are given.
macro_rules! presets {
    ($($type:ident { $($name:ident $(($($argument:expr),+))?),* $(,)? })*) => {
        vec![$($((
            concat!(stringify!($type), "::", stringify!($name)).to_string(),
            to_value($type::$name($($($argument),+)?)).unwrap(),
        )),*),*]
    };
}

fn tokenizer() -> TokenizerConfig {
    TokenizerConfig::Palette(PaletteConfig::new(SMALL).with_patch(4))
}

/// All by name with what they hold. `new` of a configuration is its defaults.
pub(super) fn presets() -> Vec<(String, Value)> {
    let mut all = constructors();
    all.extend(BuiltIn::presets().iter().map(run));
    all.extend([
        numbers::<ContextConfig>("context_patch96_512"),
        numbers::<SelfieConfig>("selfie_patch8_32"),
        numbers::<SelfieConfig>("selfie_patch32_224"),
        numbers::<ImageGptConfig>("image_gpt_large_48"),
        numbers::<RestorationConfig>("restoration_ipt_48"),
    ]);
    all
}

/// The run of a preset, with what its recipe comes to.
fn run(preset: &PresetEntry) -> (String, Value) {
    let PresetEntry { recipe, batch_size, .. } = preset;
    let image = preset.image.frame();
    assert_eq!((image.channels, image.height), (3, image.width));
    let value = json!({
        "side": image.width,
        "batch_size": batch_size,
        "effective_batch": recipe.effective_batch(*batch_size),
        "peak_lr": recipe.base_lr * recipe.lr_scale(*batch_size),
        "recipe": recipe,
        "augmentation": preset.augmentation,
    });
    (format!("Preset::{}", preset.name), value)
}

/// The numbers of a preset that no constructor makes.
fn numbers<M: Method>(name: &str) -> (String, Value) {
    let preset = Preset::<M>::named(name).expect(name);
    (format!("Numbers::{name}"), to_value(preset.method()).unwrap())
}

fn constructors() -> Vec<(String, Value)> {
    presets! {
        VitConfig { tiny_patch16, small_patch16, base_patch16, large_patch16, huge_patch14 }
        SwinConfig { tiny, small, base, large, small_images(SMALL) }
        SwinV2Config { tiny, small, base, large, huge, giant, small_images(SMALL) }
        ConvNextV2Config {
            atto, femto, pico, nano, tiny, base, large, huge, small_images(SMALL),
        }
        ConvNextDecoderConfig { new }
        ClipDecoderConfig { new }
        ClipVitConfig { small_patch16, base_patch16, large_patch16, small_clips(CLIP) }
        VideoMaeConfig { small_patch16, base_patch16, large_patch16, small_clips(CLIP) }
        GptConfig { small, medium, large }
        ResidualConfig { new(3) }
        DecoderConfig { new }
        MaeConfig {
            base_patch16, large_patch16, huge_patch14, small_images(SMALL), cross_small_patch16,
            cross_base_patch16, cross_small_images(SMALL), two_views_small_images(SMALL),
        }
        MaeTargetConfig { hog, pixels_and_hog }
        SimMimConfig { base_patch16, swin_base, swin_large, swin_v2_base, small_images(SMALL) }
        MaskFeatConfig { base_patch16, large_patch16, small_images(SMALL) }
        BeitConfig { base_patch16, large_patch16, small_images(tokenizer()) }
        BeitV2Config { base_patch16(512), large_patch16(512), small_images(tokenizer()) }
        CaeConfig { base_patch16, large_patch16, small_images(tokenizer()) }
        VqConfig { base_patch16(512), small_images(SMALL) }
        DvaeConfig { dalle_encoder, small_images(SMALL) }
        DvaeSchedule { new }
        PaletteConfig { new(SMALL) }
        ImageGptConfig { small, medium, large, small_images(SMALL) }
        PatchPairs { large_images(SMALL), small_images(SMALL) }
        ContextConfig { small_images(SMALL) }
        SelfieConfig { small_images(SMALL) }
        SparkConfig { small_images(SMALL), resnet50(SMALL) }
        ResNetConfig {
            resnet18(3), resnet34(3), resnet50(3), resnet101(3), resnet152(3), resnet200(3),
        }
        RestorationConfig { small_images(SMALL) }
        CmaeConfig { base_patch16, small_images(SMALL) }
        IJepaConfig {
            base_patch16, large_patch16, huge_patch14, giant_patch16, small_images(SMALL),
        }
        IBotConfig { small_patch16, base_patch16, large_patch16, small_images(SMALL) }
        LeJepaConfig { small_patch8, large_patch14, huge_patch14, small_images(SMALL) }
        Data2VecV1Config { base_patch16, large_patch16, small_images(SMALL) }
        Data2VecConfig { base_patch16, large_patch16, huge_patch14, small_images(SMALL) }
        EvaConfig { giant_patch14, small_images(SMALL) }
        FcMaeConfig { new(ConvNextV2Config::base()), small_images(SMALL) }
        HieraConfig { tiny, small, base, base_plus, large, huge, small_images(SMALL) }
        HieraMaeConfig { tiny, small, base, base_plus, large, huge, small_images(SMALL) }
        MilanConfig { base_patch16, large_patch16, small_images(SMALL) }
        RefineConfig { base_patch16, large_patch16, small_images(SMALL) }
        Recipe { mae, simmim, simmim_800, beit, maskfeat, restoration, refine, data2vec, ijepa }
        Augmentation {
            mae, simmim, beit, maskfeat, two_views, colors, cmae, ijepa, ibot, lejepa, videomae,
            none,
        }
        FineTuning {
            mae_base, mae_large, mae_huge, simmim_base, beit_base, small_images(20), fitting(1_200_000, 600),
        }
        RandAugment { papers }
        Mixing { papers, none }
        RandomErasing { none }
        LinearProbe { mae, sgd }
        AttentiveProbe { efficient, one_query }
    }
}
