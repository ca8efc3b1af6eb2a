//! One small configuration of each kind, with every part that a configuration can have.

use burn_mim::encoder::{GptConfig, RelativePositions, ResidualConfig};
use burn_mim::method::{BeitV2Config, PatchPairs};
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, VqConfig, VqOutput};
use burn_mim::{
    BeitConfig, ContextConfig, DecoderConfig, EncoderConfig, GradientTargetConfig, ImageGptConfig,
    ImageShape, MaeConfig, MaskFeatConfig, Normalization, RestorationConfig, SelfieConfig,
    SimMimConfig, SwinConfig, SwinV2Config, TaskConfig, TokenizerConfig, VitConfig,
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

/// Images of the tiny configurations.
const TINY: ImageShape = ImageShape::new(2, 8, 12);

/// A method on each of its encoders and targets, so small that its loss takes no time.
pub(crate) fn tiny_tasks() -> Vec<TaskConfig> {
    let vit = VitConfig::new(TINY, 4, 8, 2, 2);
    let palette = PaletteConfig::new(TINY).with_cell(4).with_vocabulary(5);
    let swin = SwinConfig::new(TINY, 2, 4, vec![1, 2], vec![1, 2], 2);
    let residual = ResidualConfig::new(2).with_widths(vec![4, 8]).with_groups(2);
    let gpt = ImageGptConfig::new(GptConfig::new(ImageShape::new(2, 3, 4), 8, 1, 2).with_colors(5));
    let pairs = PatchPairs::new(TINY, 2, 0, 1).with_min_pixels(1);
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let simmim = |encoder| SimMimConfig::<EncoderConfig>::new(encoder).with_mask_unit(4);
    let vq = VqConfig::new(vit.clone()).with_vocabulary(5).with_code_width(4);
    let beit = BeitConfig::new(vit.clone(), TokenizerConfig::Palette(palette)).with_min_block(1);
    let beit_v2 = BeitConfig::new(vit.clone(), TokenizerConfig::Vq(vq)).with_min_block(2);
    let square = VitConfig { image: ImageShape::square(2, 12), ..vit.clone() };
    vec![
        MaeConfig::new(vit.clone()).with_decoder(decoder).into(),
        simmim(vit.clone().into()).with_normalization(Normalization::Cell).into(),
        simmim(swin.clone().into()).into(),
        simmim(SwinV2Config::new(swin).with_pretrained_windows(vec![2, 2]).into())
            .with_normalization(Normalization::Sliding { side: 3 })
            .into(),
        beit.into(),
        BeitV2Config::new(beit_v2).with_early_blocks(1).with_condenser_blocks(1).into(),
        MaskFeatConfig::new(vit)
            .with_target(GradientTargetConfig::Hog { cell: 2, window: Some(4) })
            .with_min_block(1)
            .into(),
        ContextConfig::new(residual.clone(), pairs).with_hidden(4).into(),
        SelfieConfig::new(TINY, residual).with_patch(4).with_depth(1).with_heads(2).into(),
        gpt.clone().into(),
        gpt.bert().into(),
        RestorationConfig::new(square).with_features(4).into(),
    ]
}

/// Every tokenizer, likewise.
pub(crate) fn tiny_tokenizers() -> Vec<TokenizerConfig> {
    let vit = VitConfig::new(TINY, 4, 8, 1, 2).with_drop_path(0.5);
    let vq = VqConfig::new(vit).with_vocabulary(5).with_code_width(4);
    let features = vq.clone().with_output(VqOutput::Features { width: 3 });
    let dvae = DvaeConfig::new(TINY).with_cell(2).with_vocabulary(5).with_hidden(4);
    let dvae = dvae.with_blocks(1).with_code_width(4);
    vec![
        TokenizerConfig::Palette(PaletteConfig::new(TINY).with_cell(2).with_vocabulary(5)),
        TokenizerConfig::Vq(vq),
        TokenizerConfig::Vq(features),
        TokenizerConfig::Dvae(dvae),
    ]
}
