//! One small configuration of each kind, with every part that a configuration can have.

use burn_mim::encoder::RelativePositions;
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, VqConfig, VqOutput};
use burn_mim::task::BeitV2Config;
use burn_mim::{
    BeitConfig, ContextConfig, EncoderConfig, GradientTargetConfig, ImageGptConfig, ImageShape,
    MaeConfig, MaskFeatConfig, Normalization, RestorationConfig, SelfieConfig, SimMimConfig,
    SwinConfig, SwinV2Config, TaskConfig, TokenizerConfig, VitConfig,
};

const IMAGE: ImageShape = ImageShape::square(3, 32);

/// A method on each of its encoders and targets.
pub(crate) fn tasks() -> Vec<TaskConfig> {
    let palette = TokenizerConfig::Palette(PaletteConfig::new(IMAGE).with_cell(4));
    let bert = ImageGptConfig::small_images(ImageShape::square(3, 8)).bert();
    let vit = VitConfig::new(IMAGE, 4, 128, 4, 4)
        .with_positions(Positions::Learned)
        .with_relative_positions(RelativePositions::PerBlock)
        .with_qkv_bias(QkvBias::QueryValue)
        .with_layer_scale(Some(0.1))
        .with_drop_path(0.1);
    let swin_v2 = SwinV2Config::small_images(IMAGE)
        .with_pretrained_windows(vec![4, 4])
        .with_extra_norm_every(Some(2));
    vec![
        MaeConfig::small_images(IMAGE).into(),
        simmim(vit.into()).with_normalization(Normalization::Cell).into(),
        simmim(SwinConfig::small_images(IMAGE).into()).into(),
        simmim(swin_v2.into()).with_normalization(Normalization::Sliding { side: 9 }).into(),
        BeitConfig::small_images(palette.clone()).into(),
        BeitV2Config::small_images(palette).into(),
        MaskFeatConfig::small_images(IMAGE).into(),
        MaskFeatConfig::small_images(IMAGE).with_target(GradientTargetConfig::Sobel).into(),
        ContextConfig::small_images(IMAGE).into(),
        SelfieConfig::small_images(IMAGE).into(),
        // Without its own objective a mask ratio may be anything.
        bert.into(),
        RestorationConfig::small_images(IMAGE).into(),
    ]
}

/// Every tokenizer.
pub(crate) fn tokenizers() -> Vec<TokenizerConfig> {
    let features = VqConfig::small_images(IMAGE).with_output(VqOutput::Features { width: 8 });
    vec![
        TokenizerConfig::Palette(PaletteConfig::new(IMAGE).with_cell(4)),
        TokenizerConfig::Vq(VqConfig::small_images(IMAGE)),
        TokenizerConfig::Vq(features),
        TokenizerConfig::Dvae(DvaeConfig::small_images(IMAGE)),
    ]
}

fn simmim(encoder: EncoderConfig) -> SimMimConfig<EncoderConfig> {
    SimMimConfig::new(encoder).with_mask_unit(16)
}
