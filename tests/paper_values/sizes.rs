//! Parameters of the papers' encoders, as transformers 5 counts its own of the same numbers.

use burn::module::Module;
use burn_mim::encoder::EncoderConfig;
use burn_mim::method::{BeitV2Config, MaskFeatConfig, Method, Preset};
use burn_mim::nn::InitialWeights;
use burn_mim::{BeitConfig, ImageGptConfig, MaeConfig, SimMimConfig, SwinConfig, SwinV2Config};

use crate::common::device;

fn preset<M: Method>(name: &str) -> M {
    Preset::<M>::named(name).expect(name).method()
}

/// How many parameters an encoder has, without drawing one.
fn parameters<C: EncoderConfig<Encoder: Module>>(config: &C) -> usize {
    Module::num_params(&config.init(&mut InitialWeights::new(0, &device())))
}

/// `BeitModel` with a mask token and one shared table of relative positions.
#[test]
fn beits_encoders_are_as_large_as_beit_model() {
    let beit = |name| parameters(&preset::<BeitConfig>(name).encoder);
    let second = |name| parameters(&preset::<BeitV2Config>(name).beit.encoder);
    assert_eq!(beit("beit_base_patch16_224"), 85_666_128);
    assert_eq!(beit("beit_base_patch16_224_pt22k"), 85_666_128);
    assert_eq!(beit("beit_large_patch16_224"), 303_137_216);
    assert_eq!(second("beit_v2_base_patch16_224"), 85_666_128);
    assert_eq!(second("beit_v2_large_patch16_224"), 303_137_216);
    // SimMIM's ViT has BEiT's parts.
    let simmim: SimMimConfig = preset("simmim_vit_base_patch16_224");
    assert_eq!(parameters(&simmim.encoder), 85_666_128);
}

/// `SwinModel` and `Swinv2Model` with a mask token.
#[test]
fn simmims_swins_are_as_large_as_swin_model() {
    let swin = |name| parameters(&preset::<SimMimConfig<SwinConfig>>(name).encoder);
    assert_eq!(swin("simmim_swin_base_192"), 86_725_304);
    assert_eq!(swin("simmim_swin_base_192_800ep"), 86_725_304);
    assert_eq!(swin("simmim_swin_large_192"), 195_198_708);
    let second: SimMimConfig<SwinV2Config> = preset("simmim_swin_v2_base_192");
    assert_eq!(parameters(&second.encoder), 86_893_944);
}

/// `ViTModel` with a mask token.
#[test]
fn maskfeats_encoders_are_as_large_as_vit_model() {
    let maskfeat = |name| parameters(&preset::<MaskFeatConfig>(name).encoder);
    assert_eq!(maskfeat("maskfeat_vit_base_patch16_224"), 85_799_424);
    assert_eq!(maskfeat("maskfeat_vit_large_patch16_224"), 303_302_656);
}

/// `ViTModel` without one: the hidden patches are the decoder's.
#[test]
fn maes_encoders_are_as_large_as_vit_model() {
    let mae = |name| {
        let mae = preset::<MaeConfig>(name).init(&mut InitialWeights::new(0, &device()));
        Module::num_params(&mae.encoder)
    };
    assert_eq!(mae("mae_vit_base_patch16_224"), 85_798_656);
    assert_eq!(mae("mae_vit_large_patch16_224"), 303_301_632);
    assert_eq!(mae("mae_vit_huge_patch14_224"), 630_764_800);
}

/// `ImageGPTModel`; the paper says 76 M, 455 M and 1.4 G with the head.
#[test]
fn image_gpts_are_as_large_as_image_gpt_model() {
    let gpt = |name| {
        let gpt = preset::<ImageGptConfig>(name).encoder;
        Module::num_params(&gpt.init(&mut InitialWeights::new(0, &device())))
    };
    assert_eq!(gpt("image_gpt_small_32"), 76_420_096);
    assert_eq!(gpt("image_gpt_medium_32"), 454_965_248);
    assert_eq!(gpt("image_gpt_large_32"), 1_362_127_872);
    assert_eq!(gpt("image_gpt_large_48"), 1_364_093_952);
}
