//! One small configuration of each kind, with every part that a configuration can have.

use burn_mim::encoder::{BackboneConfig, GptConfig, RelativePositions, ResidualConfig};
use burn_mim::method::{BeitV2Config, PatchPairs};
use burn_mim::nn::{Positions, QkvBias};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, VqConfig, VqOutput};
use burn_mim::{
    AskedConfig, BeitConfig, CaeConfig, CmaeConfig, ContextConfig, ConvDecoderConfig,
    Data2VecConfig, Data2VecV1Config, DecoderAttention, DecoderConfig, EncoderConfig, EvaConfig,
    FeatureConfig, FeatureLayers, GradientTargetConfig, IBotConfig, IJepaConfig, ImageGptConfig,
    ImageShape, LeJepaConfig, MaeConfig, MaeTargetConfig, MaskConfig, MaskFeatConfig, MilanConfig,
    MultiBlockConfig, Normalization, RefineConfig, RestorationConfig, SelfieConfig, SigReg,
    SimMimConfig, SparkConfig, SwinConfig, SwinV2Config, TeacherConfig, TokenizerConfig,
    UNetDecoderConfig, ViewContrastConfig, VitConfig,
};

use crate::any_method::AnyMethod;

const IMAGE: ImageShape = ImageShape::square(3, 32);

/// A method on each of its encoders and targets.
pub(crate) fn methods() -> Vec<Box<dyn AnyMethod>> {
    let palette = TokenizerConfig::Palette(PaletteConfig::new(IMAGE).with_patch(4));
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
    let sliding = Normalization::Sliding { side: 9 };
    vec![
        Box::new(MaeConfig::small_images(IMAGE)),
        Box::new(simmim(vit, 16).with_normalization(Normalization::Cell)),
        Box::new(simmim(SwinConfig::small_images(IMAGE), 16)),
        Box::new(simmim(swin_v2, 16).with_normalization(sliding)),
        Box::new(BeitConfig::small_images(palette.clone())),
        Box::new(SparkConfig::small_images(IMAGE)),
        Box::new(CaeConfig::small_images(palette.clone())),
        Box::new(BeitV2Config::small_images(palette)),
        Box::new(MaskFeatConfig::small_images(IMAGE)),
        Box::new(MaskFeatConfig::small_images(IMAGE).with_target(GradientTargetConfig::Sobel)),
        Box::new(ContextConfig::small_images(IMAGE)),
        Box::new(SelfieConfig::small_images(IMAGE)),
        // Without its own objective a mask may be anything.
        Box::new(bert),
        Box::new(RestorationConfig::small_images(IMAGE)),
        Box::new(RefineConfig::small_images(IMAGE)),
        Box::new(CmaeConfig::small_images(IMAGE)),
        Box::new(IJepaConfig::small_images(IMAGE)),
        Box::new(IBotConfig::small_images(IMAGE)),
        Box::new(LeJepaConfig::small_images(IMAGE)),
        Box::new(Data2VecConfig::small_images(IMAGE)),
        Box::new(Data2VecV1Config::small_images(IMAGE)),
        Box::new(EvaConfig::small_images(IMAGE)),
        Box::new(MilanConfig::small_images(IMAGE)),
        Box::new(RefineConfig::small(SwinConfig::small_images(IMAGE))),
    ]
}

/// Every tokenizer.
pub(crate) fn tokenizers() -> Vec<TokenizerConfig> {
    let features = VqConfig::small_images(IMAGE).with_output(VqOutput::Features { width: 8 });
    vec![
        TokenizerConfig::Palette(PaletteConfig::new(IMAGE).with_patch(4)),
        TokenizerConfig::Vq(VqConfig::small_images(IMAGE)),
        TokenizerConfig::Vq(features),
        TokenizerConfig::Dvae(DvaeConfig::small_images(IMAGE)),
    ]
}

fn simmim<C: EncoderConfig>(encoder: C, unit: usize) -> SimMimConfig<C> {
    SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit, ratio: 0.6 })
}

/// Images of the tiny configurations.
const TINY: ImageShape = ImageShape::new(2, 8, 12);

/// A method on each of its encoders and targets, so small that its loss takes no time.
pub(crate) fn tiny_methods() -> Vec<Box<dyn AnyMethod>> {
    let vit = VitConfig::new(TINY, 4, 8, 2, 2);
    let palette = PaletteConfig::new(TINY).with_patch(4).with_vocabulary(5);
    let swin = SwinConfig::new(TINY, 2, 4, vec![1, 2], vec![1, 2], 2);
    let residual = ResidualConfig::new(2).with_widths(vec![4, 8]).with_groups(2);
    let gpt = ImageGptConfig::new(GptConfig::new(ImageShape::new(2, 3, 4), 8, 1, 2).with_colors(5));
    let pairs = PatchPairs::new(TINY, 2, 0, 1).with_min_pixels(1);
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let vq = VqConfig::new(vit.clone()).with_vocabulary(5).with_code_width(4);
    let beit = BeitConfig::new(vit.clone(), TokenizerConfig::Palette(palette))
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 1));
    let beit_v2 = BeitConfig::new(vit.clone(), TokenizerConfig::Vq(vq))
        .with_mask(MaskConfig::blocks(75.0 / 196.0, 2));
    let square = VitConfig { image: ImageShape::square(2, 12), ..vit.clone() };
    let (sliding, hog) = (
        Normalization::Sliding { side: 3 },
        GradientTargetConfig::Hog { cell: 2, window: Some(4) },
    );
    let swin_v2 = SwinV2Config::new(swin.clone()).with_pretrained_windows(vec![2, 2]);
    let cmae = CmaeConfig::new(vit.clone())
        .with_decoder(decoder.clone())
        .with_feature_decoder(decoder.clone())
        .with_shift(2);
    let data2vec = Data2VecConfig::new(vit.clone())
        .with_decoder(ConvDecoderConfig::new().with_width(4).with_depth(2).with_groups(2))
        .with_mask(MaskConfig::InverseBlock { unit: None, ratio: 0.5, side: 2, adjust: 0.1 })
        .with_masks(2);
    let ijepa = IJepaConfig::new(vit.clone())
        .with_predictor(decoder.clone())
        .with_mask(MultiBlockConfig::small_images(vit.grid()));
    let teacher = TeacherConfig::new(BackboneConfig::Vit(vit.clone()));
    let eva = EvaConfig::new(vit.clone(), teacher.clone()).with_mask(MaskConfig::blocks(0.5, 1));
    let milan = MilanConfig::new(vit.clone(), teacher).with_decoder(decoder.clone());
    let ibot = IBotConfig::new(vit.clone())
        .with_mask(MaskConfig::blocks(0.5, 1))
        .with_head_hidden(6)
        .with_bottleneck(4)
        .with_outputs(5);
    let lejepa = LeJepaConfig::new(vit.clone())
        .with_masks(1)
        .with_projector_hidden(6)
        .with_embedding(4)
        .with_sigreg(SigReg::new().with_slices(4).with_knots(5));
    let spark = SparkConfig::new(TINY, residual.clone())
        .with_patch(4)
        .with_decoder(UNetDecoderConfig::new().with_width(8).with_groups(2));
    let refine = RefineConfig::new(vit.clone()).with_frozen(1).with_queue(9);
    let maskfeat = MaskFeatConfig::new(vit.clone()).with_target(hog);
    vec![
        Box::new(MaeConfig::new(vit.clone()).with_decoder(decoder.clone())),
        Box::new(
            MaeConfig::new(vit.clone())
                .with_decoder(decoder.with_attention(DecoderAttention::Cross))
                .with_target(MaeTargetConfig::pixels_and_hog())
                .with_contrast(Some(ViewContrastConfig::new()))
                .with_asked(AskedConfig::Part { share: 0.25 }),
        ),
        Box::new(
            Data2VecV1Config::new(vit.clone())
                .with_features(FeatureConfig::new(FeatureLayers::Output {}))
                .with_mask(MaskConfig::blocks(0.5, 1)),
        ),
        Box::new(data2vec.with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 2 }))),
        Box::new(cmae.with_projector_hidden(6).with_projection(4).with_predictor_hidden(6)),
        Box::new(ijepa),
        Box::new(eva),
        Box::new(milan),
        Box::new(ibot),
        Box::new(lejepa),
        Box::new(simmim(vit, 4).with_normalization(Normalization::Cell)),
        Box::new(simmim(swin, 4)),
        Box::new(simmim(swin_v2, 4).with_normalization(sliding)),
        Box::new(spark),
        Box::new(CaeConfig::new(beit.clone()).with_regressor_depth(2).with_decoder_depth(1)),
        Box::new(beit),
        Box::new(BeitV2Config::new(beit_v2).with_early_blocks(1).with_condenser_blocks(1)),
        Box::new(maskfeat.with_mask(MaskConfig::blocks(0.4, 1))),
        Box::new(ContextConfig::new(residual.clone(), pairs).with_hidden(4)),
        Box::new(SelfieConfig::new(TINY, residual).with_patch(4).with_depth(1).with_heads(2)),
        Box::new(gpt.clone()),
        Box::new(gpt.bert()),
        Box::new(RestorationConfig::new(square).with_features(4)),
        Box::new(refine.with_projector_hidden(6).with_projection(4).with_predictor_hidden(6)),
    ]
}

/// Every tokenizer, likewise.
pub(crate) fn tiny_tokenizers() -> Vec<TokenizerConfig> {
    let vit = VitConfig::new(TINY, 4, 8, 1, 2).with_drop_path(0.5);
    let vq = VqConfig::new(vit).with_vocabulary(5).with_code_width(4);
    let features = vq.clone().with_output(VqOutput::Features { width: 3 });
    let dvae = DvaeConfig::new(TINY).with_patch(2).with_vocabulary(5).with_hidden(4);
    let dvae = dvae.with_blocks(1).with_code_width(4);
    vec![
        TokenizerConfig::Palette(PaletteConfig::new(TINY).with_patch(2).with_vocabulary(5)),
        TokenizerConfig::Vq(vq),
        TokenizerConfig::Vq(features),
        TokenizerConfig::Dvae(dvae),
    ]
}
