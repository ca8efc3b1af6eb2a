//! What CMAE promises beside its numbers.

use burn::data::dataset::InMemDataset;
use burn::module::Module;

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Image, Loader, LoaderConfig, MimCollate, Sample};
use crate::encoder::Backbone;
use crate::task::PretextTask;
use crate::test_device;

/// The images that the model reads, and larger ones to crop them from.
const IMAGE: ImageShape = ImageShape::new(3, 8, 12);
const LARGE: ImageShape = ImageShape::new(3, 40, 60);

fn config() -> CmaeConfig {
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    CmaeConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_feature_decoder(decoder.clone())
        .with_decoder(decoder)
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_shift(2)
        .with_projector_hidden(6)
        .with_projection(4)
        .with_predictor_hidden(6)
}

fn refused(config: &CmaeConfig) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let shift = refused(&config().with_shift(8));
    assert!(shift.contains("a shift of 8 pixels leaves nothing of images of 8×12"), "{shift}");
    assert!(refused(&config().with_projection(0)).contains("projection must be at least 1"));
    assert!(refused(&config().with_temperature(-1.0)).contains("temperature must be"));
    assert!(refused(&config().with_contrast(f64::NAN)).contains("contrast must be"));
    assert!(refused(&config().with_momentum(2.0)).contains("momentum must be in [0, 1]"));
}

fn batch<C: Collate<Sample = Sample, Batch = MimBatch>>(collate: C) -> MimBatch {
    // Brightness grows from left to right and from top to bottom.
    let pixel = |i: usize| (i % 60 * 2 + i / 60 % 40 * 3) as u8;
    let pixels: Vec<u8> = (0..LARGE.values()).map(pixel).collect();
    let sample = Sample { image: Image::new(LARGE, pixels).unwrap(), label: None };
    let dataset = std::sync::Arc::new(InMemDataset::new(vec![sample; 8]));
    let config = LoaderConfig { batch_size: 8, seed: 3, workers: 0, training: true };
    let loader = Loader::new(dataset, collate, config, &test_device()).unwrap();
    loader.epoch(0, 0).next().unwrap().unwrap()
}

fn statistics() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] }
}

/// A batch whose views are augmented by `augmentation` and shifted by up to `shift`.
fn shifted(augmentation: Augmentation, shift: usize) -> MimBatch {
    let mask = config().mask().unwrap();
    batch(CmaeCollate::new(IMAGE, &statistics(), augmentation, mask, shift).unwrap())
}

#[test]
fn the_student_sees_what_mae_sees_and_colors_are_the_teachers() {
    let ours = shifted(Augmentation::cmae(), 2);
    let mask = config().mask().unwrap();
    let mae = batch(MimCollate::new(IMAGE, &statistics(), Augmentation::mae(), mask).unwrap());
    ours.images.into_data().assert_eq(&mae.images.into_data(), true);
    assert_eq!(ours.mask.samples(), mae.mask.samples());
}

#[test]
fn the_teachers_view_is_a_little_moved_and_without_a_shift_the_same() {
    let views = |batch: MimBatch| (batch.images, batch.target_view.unwrap());
    let (images, view) = views(shifted(Augmentation::mae(), 0));
    images.into_data().assert_eq(&view.into_data(), true);
    let (images, view) = views(shifted(Augmentation::mae(), 2));
    let moved: Vec<f32> =
        (images - view).mean_dim(1).mean_dim(2).mean_dim(3).into_data().try_to_vec().unwrap();
    assert!(moved.iter().any(|moved| *moved > 0.0) && moved.iter().any(|moved| *moved < 0.0));
    // A quarter of 40 rows of 3 levels each, and a sixth of 60 columns of 2.
    let most = (10.0 * 3.0 + 10.0 * 2.0) / 255.0 / 0.25;
    assert!(moved.iter().all(|moved| moved.abs() < most), "{moved:?}");
    // For evaluation nothing moves.
    let (images, view) = views(shifted(Augmentation::none(), 2));
    images.into_data().assert_eq(&view.into_data(), true);
}

#[test]
fn the_teacher_starts_as_the_student_and_gets_no_gradient() {
    let task = config().init(&mut InitialWeights::new(3, &test_device().autodiff()));
    let batch = shifted(Augmentation::none(), 0);
    let [features, known] = [&task.mae.encoder.body, &task.teacher.encoder]
        .map(|encoder| encoder.represent(batch.images.clone()).mean_pool().into_data());
    features.assert_eq(&known, true);
    let gradients = task.loss(batch).loss.backward();
    assert!(task.mae.encoder.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(task.teacher.encoder.patch_embed.weight.grad(&gradients).is_none());
    assert_eq!(task.layers_above("mae.encoder.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("projector.layers.0.linear.weight"), 0);
}

#[test]
fn the_features_that_may_collapse_are_measured_and_guessing_has_its_price() {
    let task = config().init(&mut InitialWeights::new(3, &test_device().autodiff())).valid();
    let batch = shifted(Augmentation::none(), 0);
    let measured = task.measure(batch.clone());
    let metric = |name: &str| {
        let found = measured.metrics.iter().find(|(metric, _)| *metric == name).unwrap();
        found.1.clone().into_scalar::<f32>()
    };
    let [(feature, seen), (target, known)] = &measured.embeddings[..] else { panic!("two") };
    assert_eq!((*feature, *target, seen.dims()), ("feature", "target", known.dims()));
    // All images are the same, and only what is hidden differs: the teacher sees no difference.
    let [first, second] = [0, 1].map(|row| known.clone().narrow(0, row, 1).into_data());
    first.assert_eq(&second, true);
    let sum = metric("reconstruction") + metric("contrast");
    assert!((measured.loss.into_scalar::<f32>() - sum).abs() < 1e-5);
    let guess = task.trivial_loss(&batch).unwrap().into_scalar::<f32>();
    let pixels = task.mae.trivial_loss(&batch).unwrap().into_scalar::<f32>();
    assert!((guess - pixels - 2.0 * 0.07 * 8f32.ln()).abs() < 1e-5);
}
