//! Methods with a teacher, to which no gradient may come, and one without, which has gradients
//! everywhere.

use burn::tensor::FloatDType;
use burn_mim::method::RefineBatch;
use burn_mim::{
    CmaeConfig, ConvDecoderConfig, Data2VecConfig, DecoderConfig, EvaConfig, FeatureConfig,
    FeatureLayers, IBotConfig, IJepaConfig, LeJepaConfig, MaskConfig, MilanConfig, MimBatch,
    MultiBlockConfig, RefineConfig, SigReg,
};

use super::common::{blocks, encoder, masked, noise, noised, statistics, teacher, views, weights};
use super::{IMAGE, check, tiny};

#[test]
fn gradients_of_cmae_are_those_of_its_loss_and_its_teacher_has_none() {
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let config = CmaeConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_decoder(decoder.clone())
        .with_feature_decoder(decoder)
        .with_shift(1)
        .with_temperature(1.0)
        .with_projector_hidden(6)
        .with_projection(5)
        .with_predictor_hidden(6);
    let batch = masked(noise(IMAGE, 4).cast(FloatDType::F64), &config.mask().unwrap());
    let fixed = check(config.init(&mut weights(3)), &batch);
    let is_fixed = |path: &String| path.starts_with("teacher.") || path.ends_with(".table");
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}

#[test]
fn gradients_of_data2vec_are_those_of_its_loss_and_its_teacher_has_none() {
    let config = Data2VecConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_decoder(ConvDecoderConfig::new().with_width(8).with_depth(2).with_groups(2))
        .with_mask(MaskConfig::InverseBlock { unit: None, ratio: 0.5, side: 2, adjust: 0.1 })
        .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 1 }));
    let batch = masked(noise(IMAGE, 4).cast(FloatDType::F64), &config.mask().unwrap());
    let fixed = check(config.init(&mut weights(3)), &batch);
    let is_fixed = |path: &String| path.starts_with("target.teacher.") || path.ends_with(".table");
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}

#[test]
fn gradients_of_ijepa_are_those_of_its_loss_and_its_target_encoder_has_none() {
    let predictor = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let config = IJepaConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_predictor(predictor)
        .with_mask(MultiBlockConfig::small_images(encoder(IMAGE).grid()));
    let batch = blocks(&config, noise(IMAGE, 4).cast(FloatDType::F64));
    let fixed = check(config.init(&mut weights(3)), &batch);
    let is_fixed = |path: &String| path.starts_with("encoder.") || path.ends_with(".table");
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}

#[test]
fn gradients_of_ibot_are_those_of_its_loss_and_its_teacher_and_centers_have_none() {
    let config = IBotConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_head_hidden(6)
        .with_bottleneck(5)
        .with_outputs(7)
        .with_lengths(true)
        .with_student_temperature(1.0)
        .with_teacher_temperature([0.5, 0.5]);
    let images = noise(IMAGE, 8).cast(FloatDType::F64);
    let batch = masked(images.clone().narrow(0, 0, 4), &config.mask().unwrap());
    let batch = MimBatch { target_view: Some(images.narrow(0, 4, 4)), ..batch };
    let fixed = check(config.init(&mut weights(3)), &batch);
    let moved = ["class_center", "patch_center", "temperature"];
    let is_fixed = |path: &String| {
        path.starts_with("encoder.")
            || path.starts_with("teacher_head.")
            || path.ends_with(".table")
            || moved.contains(&path.as_str())
    };
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}

#[test]
fn gradients_of_lejepa_are_those_of_its_loss_and_nothing_but_positions_has_none() {
    let config = LeJepaConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_projector_hidden(6)
        .with_embedding(5)
        .with_sigreg(SigReg::new().with_slices(7).with_knots(5))
        .with_lambda(0.3)
        .with_masks(1);
    let batch = views(&config, noise(IMAGE, 8).cast(FloatDType::F64));
    let fixed = check(config.init(&mut weights(3)), &batch);
    assert!(fixed.iter().all(|path| path.ends_with(".table")), "{fixed:?}");
}

#[test]
fn gradients_of_refinement_are_those_of_its_loss_and_its_teacher_and_queue_have_none() {
    let config = RefineConfig::new(tiny(encoder(IMAGE)).with_drop_path(0.0))
        .with_projector_hidden(6)
        .with_projection(5)
        .with_predictor_hidden(6)
        .with_queue(7)
        .with_temperature(1.0)
        .with_mask(Some(MaskConfig::Mae { ratio: 0.5 }));
    let MimBatch { images: views, mask, .. } =
        masked(noise(IMAGE, 8).cast(FloatDType::F64), &config.mask().unwrap().unwrap());
    let fixed = check(config.init(&mut weights(3)), &RefineBatch { views, mask: Some(mask) });
    assert!(fixed.contains(&"queue".to_string()), "{fixed:?}");
    let is_fixed = |path: &String| path.starts_with("teacher.") || path.ends_with(".table");
    assert!(fixed.iter().all(|path| path == "queue" || is_fixed(path)), "{fixed:?}");
}

#[test]
fn gradients_of_eva_are_those_of_its_loss_and_its_teacher_has_none() {
    let student = tiny(encoder(IMAGE)).with_drop_path(0.0);
    let config =
        EvaConfig::new(student.clone(), teacher(&student)).with_mask(MaskConfig::blocks(0.5, 2));
    let batch = masked(noise(IMAGE, 4).cast(FloatDType::F64), &config.mask().unwrap());
    let fixed = check(config.init(&statistics(2), &mut weights(3)), &batch);
    let is_fixed = |path: &String| path.starts_with("target.teacher.") || path.ends_with(".table");
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}

#[test]
fn gradients_of_milan_are_those_of_its_loss_and_its_teacher_has_none() {
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let student = tiny(encoder(IMAGE)).with_drop_path(0.0);
    let config = MilanConfig::new(student.clone(), teacher(&student));
    let config = config.with_decoder(decoder);
    let images = noise(IMAGE, 4).cast(FloatDType::F64);
    let mut batch = noised(masked(images, &config.mask().unwrap()));
    batch.noise = batch.noise.map(|noise| noise.cast(FloatDType::F64));
    let fixed = check(config.init(&statistics(2), &mut weights(3)), &batch);
    let is_fixed = |path: &String| path.starts_with("target.teacher.") || path.ends_with(".table");
    assert!(fixed.len() > 20 && fixed.iter().all(is_fixed), "{fixed:?}");
}
