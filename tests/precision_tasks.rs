//! Every task that is trained computes in half precision too, to nearly the same gradients.
#![cfg(feature = "train")]

mod common;
#[path = "common/precision.rs"]
mod half;

use burn::tensor::{Int, Tensor};
use burn_mim::encoder::{GptConfig, ResidualConfig};
use burn_mim::eval::{Classification, LabelledBatch, Pooling};
use burn_mim::method::{
    BeitV2Config, ContextBatch, ContextConfig, DvaeSchedule, DvaeTask, ImageGptBatch,
    ImageGptConfig, PatchPairs, PixelObjective, RefineBatch, RefineConfig, RestorationConfig,
    SelfieConfig, TeacherObjective, VqTask,
};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig, VqOutput};
use burn_mim::{
    CaeConfig, CmaeConfig, ConvDecoderConfig, Data2VecConfig, DecoderConfig, EvaConfig,
    FeatureConfig, FeatureLayers, IBotConfig, IJepaConfig, ImageShape, LeJepaConfig, MaeConfig,
    MaskConfig, MilanConfig, MultiBlockConfig, RestorationBatch, SigReg, SparkConfig,
    TokenizerBatch, ViewContrastConfig, VitConfig,
};
use common::{
    IMAGE, blocks, device, encoder, masked, noise, noised, statistics, teacher, views, weights,
};
use half::{nearly_the_same, nearly_the_same_but_for_kinks};

/// Images with values in [0, 1].
fn unit(count: usize) -> Tensor<4> {
    (noise(IMAGE, count) * 0.2 + 0.5).clamp(0.0, 1.0)
}

fn residual() -> ResidualConfig {
    ResidualConfig::new(IMAGE.channels).with_widths(vec![8, 16]).with_groups(4)
}

#[test]
fn beit_v2() {
    let palette = PaletteConfig::new(IMAGE).with_patch(4).with_vocabulary(8);
    let tokenizer = palette.fit(unit(8), 0).unwrap();
    let config = BeitV2Config::small_images(TokenizerConfig::Palette(palette));
    let config = BeitV2Config {
        early_blocks: 1,
        beit: burn_mim::BeitConfig { encoder: encoder(IMAGE), ..config.beit },
        ..config
    };
    let mut batch = masked(noise(IMAGE, 4), &config.beit.mask().unwrap());
    batch.target_view = Some(unit(4));
    let (mean, std) = ([0.5; 3], [0.2; 3]);
    nearly_the_same(&config.init(tokenizer, &mean, &std, &mut weights(3)), &batch);
}

#[test]
fn cae() {
    let palette = PaletteConfig::new(IMAGE).with_patch(4).with_vocabulary(8);
    let tokenizer = palette.fit(unit(8), 0).unwrap();
    let config = CaeConfig::small_images(TokenizerConfig::Palette(palette));
    let config = CaeConfig {
        beit: burn_mim::BeitConfig { encoder: encoder(IMAGE), ..config.beit },
        ..config
    };
    let mut batch = masked(noise(IMAGE, 4), &config.beit.mask().unwrap());
    batch.target_view = Some(unit(4));
    let (mean, std) = ([0.5; 3], [0.2; 3]);
    nearly_the_same(&config.init(tokenizer, &mean, &std, &mut weights(3)), &batch);
}

#[test]
fn spark() {
    let config = SparkConfig::small_images(IMAGE);
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn a_masked_autoencoder_with_a_contrast() {
    let config = MaeConfig::new(encoder(IMAGE)).with_contrast(Some(ViewContrastConfig::new()));
    let config =
        config.with_decoder(DecoderConfig::new().with_width(16).with_depth(1).with_heads(2));
    let batch = masked(noise(IMAGE, 8), &config.mask().unwrap());
    nearly_the_same_but_for_kinks(&config.init_task(&mut weights(3)), &batch);
}

#[test]
fn context_prediction() {
    let pairs = PatchPairs::new(ImageShape::square(3, 32), 8, 1, 1);
    let config = ContextConfig::new(residual(), pairs).with_hidden(16);
    let patches = |seed| {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &device()).param([4, 3, 8, 8], init).val()
    };
    let positions = Tensor::<1, Int>::from_ints([0, 7, 3, 5], &device());
    let batch = ContextBatch { centers: patches(1), neighbors: patches(2), positions };
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn contrastive_masked_autoencoder() {
    let decoder = DecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
    let config = CmaeConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_decoder(decoder.clone())
        .with_feature_decoder(decoder)
        .with_shift(1)
        .with_projector_hidden(16)
        .with_projection(8)
        .with_predictor_hidden(16);
    let batch = masked(noise(IMAGE, 8), &config.mask().unwrap());
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn data2vec() {
    let config = Data2VecConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_decoder(ConvDecoderConfig::new().with_width(16).with_depth(2).with_groups(2))
        .with_mask(MaskConfig::InverseBlock { unit: None, ratio: 0.5, side: 2, adjust: 0.1 })
        .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 2 }));
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn joint_embedding_prediction() {
    let predictor = DecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
    let config = IJepaConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_predictor(predictor)
        .with_mask(MultiBlockConfig::small_images(encoder(IMAGE).grid()));
    let batch = blocks(&config, noise(IMAGE, 4));
    nearly_the_same(&config.init(&mut weights(3)), &batch);
}

#[test]
fn a_frozen_teachers_features_with_a_mask_token() {
    let config = EvaConfig::new(encoder(IMAGE), teacher(&encoder(IMAGE)))
        .with_mask(MaskConfig::blocks(0.5, 2));
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same(&config.init(&statistics(3), &mut weights(3)), &batch);
}

#[test]
fn a_frozen_teachers_features_with_a_prompting_decoder() {
    let decoder = DecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
    let config = MilanConfig::new(encoder(IMAGE), teacher(&encoder(IMAGE))).with_decoder(decoder);
    let batch = noised(masked(noise(IMAGE, 4), &config.mask().unwrap()));
    nearly_the_same(&config.init(&statistics(3), &mut weights(3)), &batch);
}

#[test]
fn pre_training_with_an_online_tokenizer() {
    let config = IBotConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_mask(MaskConfig::blocks(0.3, 2))
        // Gradients grow as rows shrink, which few features do in each layer, out of the range of F16.
        .with_head_hidden(2048)
        .with_bottleneck(64)
        .with_outputs(12)
        // What divides the teacher's outputs multiplies what rounding does to them.
        .with_teacher_temperature([0.1, 0.1]);
    let mut batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    batch.target_view = Some(noise(IMAGE, 8).narrow(0, 4, 4));
    nearly_the_same(&config.init(&mut weights(3)), &batch);
}

#[test]
fn embeddings_without_a_teacher() {
    let config = LeJepaConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_projector_hidden(16)
        .with_embedding(8)
        .with_sigreg(SigReg::new().with_slices(8))
        .with_masks(1);
    let batch = views(&config, noise(IMAGE, 16));
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn refinement() {
    let config = RefineConfig::new(encoder(IMAGE).with_drop_path(0.0))
        .with_projector_hidden(16)
        .with_projection(8)
        .with_predictor_hidden(16)
        .with_temperature(1.0)
        // With more than one, rounding may choose another neighbor.
        .with_queue(1);
    let batch = RefineBatch { views: noise(IMAGE, 16), mask: None };
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn selfie() {
    let config = SelfieConfig::new(IMAGE, residual()).with_patch(4).with_depth(1);
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same_but_for_kinks(&config.init(&mut weights(3)), &batch);
}

#[test]
fn image_gpt_with_either_objective() {
    let image = ImageShape::square(3, 6);
    let sizes = GptConfig::new(image, 16, 2, 2).with_colors(12);
    for config in [ImageGptConfig::new(sizes.clone()), ImageGptConfig::new(sizes).bert()] {
        let images = noise(image, 4);
        let mask = config.mask().unwrap().map(|mask| masked(images.clone(), &mask).mask);
        let palette = Tensor::cat(vec![images.clone().reshape([4 * 3, 36]).narrow(1, 0, 3)], 0);
        let batch = ImageGptBatch { images, mask };
        nearly_the_same(&config.init(Some(palette), &mut weights(3)), &batch);
    }
}

#[test]
fn restoration_with_and_without_contrast() {
    let sizes = VitConfig::new(IMAGE, 4, 16, 2, 2).with_class_token(false);
    for contrast in [0.0, 0.1] {
        let config = RestorationConfig::new(sizes.clone()).with_features(4).with_contrast(contrast);
        let (corrupted, clean) = (noise(IMAGE, 4), noise(IMAGE, 8).narrow(0, 4, 4));
        let batch = RestorationBatch { corrupted, clean, corruption: 1 };
        nearly_the_same(&config.init(&[0.5; 3], &[0.25; 3], &mut weights(3)), &batch);
    }
}

#[test]
fn tokenizers_by_vector_quantization() {
    let batch = TokenizerBatch { images: unit(4), noise: None };
    let sizes = || VqConfig::new(encoder(IMAGE).with_class_token(false)).with_vocabulary(6);
    let tokenizer = sizes().init(&mut weights(3));
    nearly_the_same_but_for_kinks(
        &VqTask { tokenizer, objective: PixelObjective { patch: 4 } },
        &batch,
    );
    let teacher = encoder(IMAGE).init(&mut weights(5));
    let tokenizer = sizes().with_output(VqOutput::Features { width: 16 }).init(&mut weights(3));
    let objective = TeacherObjective::new(teacher, &[0.5; 3], &[0.25; 3]);
    nearly_the_same_but_for_kinks(&VqTask { tokenizer, objective }, &batch);
}

#[test]
fn discrete_variational_autoencoders() {
    let config = DvaeConfig::new(IMAGE)
        .with_patch(4)
        .with_vocabulary(6)
        .with_hidden(4)
        .with_blocks(1)
        .with_code_width(4);
    let task = DvaeTask::new(config.init(&mut weights(3)), DvaeSchedule::new());
    let noise = Some(Tensor::ones([4, 16, 6], &device()));
    nearly_the_same(&task, &TokenizerBatch { images: unit(4), noise });
}

#[test]
fn fine_tuning() {
    let body = encoder(IMAGE).init(&mut weights(3)).body;
    let task = Classification::new(body, Pooling::Mean, 3, &mut weights(4));
    let targets = Tensor::from_floats(
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
        &device(),
    );
    let batch = LabelledBatch { images: noise(IMAGE, 4), targets, labels: vec![0, 1, 2, 0] };
    nearly_the_same(&task, &batch);
}
