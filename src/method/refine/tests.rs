//! What a refinement promises beside its numbers.

use burn::module::Module;
use burn::tensor::Tensor;

use super::*;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Image, Loader, LoaderConfig, Sample};
use crate::encoder::{Backbone, SwinConfig, SwinV2Config, VitBody};
use crate::nn::Init;
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);

fn config() -> RefineConfig {
    RefineConfig::small(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_projector_hidden(6)
        .with_projection(4)
        .with_predictor_hidden(6)
        .with_queue(5)
}

fn weights(seed: u64) -> InitialWeights {
    InitialWeights::new(seed, &test_device().autodiff())
}

fn noise(count: usize) -> Tensor<4> {
    let shape = [count, IMAGE.channels, IMAGE.height, IMAGE.width];
    InitialWeights::new(9, &test_device()).param(shape, Init::Normal { std: 1.0 }).val()
}

fn refused(config: &RefineConfig) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    assert!(refused(&config().with_queue(0)).contains("queue must be at least 1, got 0"));
    let frozen = refused(&config().with_frozen(3));
    assert!(frozen.contains("frozen must be at most the encoder's 2 blocks, got 3"), "{frozen}");
    assert!(refused(&config().with_temperature(0.0)).contains("temperature must be"));
    assert!(refused(&config().with_momentum(1.5)).contains("momentum must be in [0, 1], got 1.5"));
    let plain = RefineConfig { encoder: config().encoder.with_class_token(false), ..config() };
    plain.validate().unwrap();
    let message = refused(&plain.with_pooling(RefinedFeatures::Both));
    assert!(message.contains("no class token"), "{message}");
    let swin = RefineConfig::small(SwinConfig::small_images(ImageShape::square(3, 32)));
    swin.validate().unwrap();
    let masked = swin.with_mask(Some(MaskConfig::Mae { ratio: 0.5 }));
    assert!(masked.validate().unwrap_err().to_string().contains("masked views need a ViT"));
}

#[test]
fn every_encoder_is_refined_and_its_teacher_starts_as_the_student() {
    fn check<C: RefinableConfig>(encoder: C) {
        let task = RefineConfig::small(encoder).with_queue(8).init(&mut weights(3));
        let init = Init::Normal { std: 1.0 };
        let views = InitialWeights::new(9, &test_device()).param([4, 3, 32, 32], init).val();
        let features = task.encoder.represent(views.clone()).mean_pool();
        let known = task.teacher.encoder.represent(views.clone()).mean_pool();
        known.into_data().assert_eq(&features.into_data(), true);
        let loss = task.loss(RefineBatch { views, mask: None }).loss;
        assert!(loss.into_scalar::<f32>().is_finite());
    }
    let image = ImageShape::square(3, 32);
    check(VitConfig::new(image, 8, 16, 2, 2));
    check(SwinConfig::small_images(image));
    check(SwinV2Config::small_images(image));
}

#[test]
fn the_newest_projections_take_the_place_of_the_oldest() {
    let task = config().init(&mut weights(3));
    let rows = |task: &Refinement<VitBody>| -> Vec<f32> {
        task.queue.val().into_data().try_to_vec().unwrap()
    };
    let old = rows(&task);
    let of = |value: f32| Tensor::<2>::full([2, 4], value, &test_device());
    let task = task.after_step(StepEnd { progress: 0.5, observed: vec![of(1.0), of(2.0)] });
    let new = rows(&task);
    assert_eq!((&new[..8], &new[8..16]), (&[2.0; 8][..], &[1.0; 8][..]));
    assert_eq!(new[16..], old[..4]);
    // More than there is room for: the last are kept.
    let task = task.after_step(StepEnd { progress: 1.0, observed: vec![of(3.0); 4] });
    assert_eq!(rows(&task), [3.0; 20]);
}

#[test]
fn frozen_layers_get_no_gradient_and_those_above_do() {
    let task = config().with_frozen(1).init(&mut weights(3));
    let loss = task.loss(RefineBatch { views: noise(6), mask: None }).loss;
    let gradients = loss.backward();
    let body = &task.encoder;
    assert!(body.patch_embed.weight.grad(&gradients).is_none());
    assert!(body.transformer.blocks[0].mlp.fc1.weight.grad(&gradients).is_none());
    assert!(body.transformer.blocks[1].mlp.fc1.weight.grad(&gradients).is_some());
    assert!(task.teacher.encoder.patch_embed.weight.grad(&gradients).is_none());
    assert!(!task.queue.is_require_grad());
    assert_eq!(task.layers_above("encoder.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("projector.layers.0.linear.weight"), 0);
}

#[test]
fn the_features_of_student_and_teacher_are_measured_for_a_collapse() {
    let task = config().init(&mut weights(3)).valid();
    let measured = task.measure(RefineBatch { views: noise(8), mask: None });
    let [(feature, seen), (target, known)] = &measured.embeddings[..] else { panic!("two") };
    assert_eq!((*feature, *target, seen.dims()[0]), ("feature", "target", 4));
    // The teacher begins as the student.
    seen.to_data().assert_eq(&known.to_data(), true);
}

#[test]
fn guessing_is_the_logarithm_of_the_batch() {
    let batch = RefineBatch { views: noise(10), mask: None };
    let guess = config().init(&mut weights(3)).trivial_loss(&batch).unwrap();
    assert!((guess.into_scalar::<f32>() - 5f32.ln()).abs() < 1e-6);
}

fn loader<C: Collate<Sample = Sample>>(collate: C) -> Loader<C> {
    let pixels = |image: usize| (0..IMAGE.values()).map(move |i| (i * (7 + image) % 251) as u8);
    let sample = |image| Sample {
        image: Image::new(IMAGE, pixels(image).collect::<Vec<_>>()).unwrap(),
        label: None,
    };
    let dataset =
        std::sync::Arc::new(burn::data::dataset::InMemDataset::new((0..3).map(sample).collect()));
    let config = LoaderConfig { batch_size: 3, seed: 3, workers: 0, training: true };
    Loader::new(dataset, collate, config, &test_device()).unwrap()
}

#[test]
fn the_first_view_is_that_of_every_other_method_and_the_second_is_another() {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let augmentation = Augmentation::two_views();
    let mask = config().with_mask(Some(MaskConfig::Mae { ratio: 0.5 })).mask().unwrap().unwrap();
    let both = RefineCollate::new(IMAGE, &statistics, augmentation, Some(mask.clone())).unwrap();
    let both = loader(both).epoch(0, 0).next().unwrap().unwrap();
    let one = crate::data::MimCollate::new(IMAGE, &statistics, augmentation, mask).unwrap();
    let one = loader(one).epoch(0, 0).next().unwrap().unwrap();
    let [count, ..] = both.views.dims();
    assert_eq!(count, 6);
    let first = both.views.clone().slice_dim(0, 0..3).into_data();
    first.assert_eq(&one.images.into_data(), true);
    assert_ne!(first, both.views.slice_dim(0, 3..6).into_data());
    let masks = both.mask.unwrap();
    assert_eq!(masks.samples()[..3], one.mask.samples()[..]);
    assert_ne!(masks.samples()[3..], one.mask.samples()[..]);
}

#[test]
fn without_a_mask_nothing_is_hidden() {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let collate = RefineCollate::new(IMAGE, &statistics, Augmentation::none(), None).unwrap();
    let batch = loader(collate).epoch(0, 0).next().unwrap().unwrap();
    assert!(batch.mask.is_none());
    // Not augmented, both views are the image.
    let view = |range| batch.views.clone().slice_dim(0, range).into_data();
    view(0..3).assert_eq(&view(3..6), true);
}
