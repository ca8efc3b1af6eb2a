//! What I-JEPA promises beside its numbers.

use std::sync::Arc;

use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{FloatDType, Tolerance};

use super::*;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Image, Loader, LoaderConfig, Sample};
use crate::encoder::{Backbone, VitBody};
use crate::grid::Grid;
use crate::mask::{BlockMasks, Mask, UnitMask};
use crate::method::{Method, Preset};
use crate::nn::trainable;
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 16, 24);
const GRID: Grid = Grid::new(4, 6);

fn config() -> IJepaConfig {
    IJepaConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2).with_class_token(false))
        .with_predictor(DecoderConfig::new().with_width(12).with_depth(2).with_heads(3))
        .with_mask(MultiBlockConfig::small_images(GRID))
        .with_momentum(Momentum::new(0.5, 1.0))
}

fn task(config: &IJepaConfig) -> IJepa {
    config.init(&mut InitialWeights::new(3, &test_device().autodiff()))
}

fn refused(config: &IJepaConfig) -> String {
    config.validate().unwrap_err().to_string()
}

fn loader(samples: usize, batch_size: usize, training: bool) -> Loader<IJepaCollate> {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let augmentation = if training { Augmentation::ijepa() } else { Augmentation::none() };
    let mask = config().mask().unwrap();
    let collate = IJepaCollate::new(IMAGE, &statistics, augmentation, mask).unwrap();
    let sample = |number: usize| {
        let pixels = (0..IMAGE.values()).map(|i| (i * (number + 3) * 7 % 256) as u8).collect();
        Sample { image: Image::new(IMAGE, pixels).unwrap(), label: None }
    };
    let dataset = Arc::new(InMemDataset::new((0..samples).map(sample).collect()));
    let config = LoaderConfig { batch_size, seed: 3, workers: 0, training };
    Loader::new(dataset, collate, config, &test_device()).unwrap()
}

fn batch() -> IJepaBatch {
    loader(4, 4, false).epoch(0, 0).next().unwrap().unwrap()
}

fn loss(task: &IJepa, batch: IJepaBatch) -> f32 {
    task.loss(batch).loss.into_scalar::<f32>()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let large = config().with_mask(MultiBlockConfig::new().with_min_context(24));
    assert!(refused(&large).contains("fewer than 24 cells (min_context)"));
    assert!(refused(&config().with_momentum(Momentum::new(2.0, 1.0))).contains("momentum"));
    let heads = DecoderConfig::new().with_width(12).with_heads(5);
    assert!(refused(&config().with_predictor(heads)).contains("5 heads do not divide"));
    let mut uncut = config();
    uncut.encoder.patch = 5;
    assert!(refused(&uncut).contains("cannot be cut into squares of 5"));
    assert!(IJepaConfig::small_images(ImageShape::square(3, 30)).validate().is_err());
}

#[test]
fn small_grids_of_any_shape_have_a_context_and_targets() {
    for (height, width) in [(8, 8), (16, 16), (32, 32), (8, 32), (28, 28)] {
        IJepaConfig::small_images(ImageShape::new(1, height, width)).validate().unwrap();
    }
}

#[test]
fn a_batch_has_contexts_and_blocks_of_one_size_that_depend_on_the_epoch() {
    let drawn = |epoch| -> Vec<_> {
        let loader = loader(12, 4, true);
        let of = |batch: IJepaBatch| {
            let BlockMasks { context, targets } = batch.masks;
            let counts = (context.at(GRID).visible.count(), targets.at(GRID).asked.count());
            assert_eq!((context.samples().len(), targets.samples().len()), (4, 16));
            (counts, context.samples().to_vec())
        };
        loader.epoch(epoch, 0).map(|batch| of(batch.unwrap())).collect()
    };
    let first = drawn(0);
    assert_eq!(first.len(), 3);
    assert_eq!(drawn(0), first);
    assert_ne!(drawn(1), first);
}

#[test]
fn what_is_not_in_the_context_does_not_reach_the_prediction() {
    let task = task(&config());
    let batch = batch();
    let predicted = task.see(&batch, None).predicted.into_data();
    let visible = batch.masks.context.at(GRID).visible.contains();
    let keep = visible.float().reshape([4, 1, 4, 1, 6, 1]).expand([4, 3, 4, 4, 6, 4]);
    let images = batch.images.clone() * keep.reshape([4, 3, 16, 24]);
    let other = task.see(&IJepaBatch { images, ..batch }, None);
    other.predicted.into_data().assert_eq(&predicted, true);
}

#[test]
fn a_block_is_predicted_without_the_other_blocks() {
    let task = task(&config());
    let batch = batch();
    let all = task.see(&batch, None);
    // The first image's second block alone.
    let one = |mask: &Mask| mask.samples()[1].clone();
    let targets = &batch.masks.targets;
    let asked: Vec<bool> = targets.at(GRID).asked.contains().into_data().iter().collect();
    let asked = UnitMask::new(GRID, asked[24..48].to_vec()).unwrap();
    let alone = Mask::new([one(targets)], &test_device()).unwrap().with_asked([asked]).unwrap();
    let context = Mask::new([batch.masks.context.samples()[0].clone()], &test_device()).unwrap();
    let images = batch.images.slice_dim(0, 0..1);
    let masks = BlockMasks { context, targets: alone };
    let alone = task.see(&IJepaBatch { images, masks }, None);
    for (whole, part) in [(all.predicted, alone.predicted), (all.value, alone.value)] {
        let whole = whole.slice_dim(0, 1..2).into_data();
        whole.assert_approx_eq::<f32>(&part.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn targets_are_normalized_features_of_the_target_encoder_without_gradient() {
    let task = task(&config());
    let batch = batch();
    let value = task.see(&batch, None).value;
    let [blocks, cells, _] = value.dims();
    assert_eq!((blocks, cells), (16, batch.masks.targets.at(GRID).asked.count()));
    let mean: Vec<f32> = value.clone().mean_dim(2).into_data().iter().collect();
    let square: Vec<f32> = value.square().mean_dim(2).into_data().iter().collect();
    assert!(mean.iter().all(|mean| mean.abs() < 1e-5), "{mean:?}");
    assert!(square.iter().all(|square| (square - 1.0).abs() < 1e-3), "{square:?}");
    let gradients = task.loss(batch).loss.backward();
    assert!(task.context_encoder.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(task.predictor.mask_token.grad(&gradients).is_some());
    assert!(task.encoder.patch_embed.weight.grad(&gradients).is_none());
    assert_eq!(task.layers_above("context_encoder.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("predictor.embed.weight"), 0);
}

/// The task after a step that moved the context encoder, and the target encoder half as far.
fn moved() -> IJepa {
    let (mut first, second) = (task(&config()), config().with_momentum(Momentum::constant(0.5)));
    let other = second.init(&mut InitialWeights::new(9, &test_device().autodiff()));
    first.context_encoder = other.context_encoder;
    first.after_step(StepEnd { progress: 0.0, observed: vec![()] })
}

fn weight(body: &VitBody) -> Vec<f32> {
    body.patch_embed.weight.val().into_data().iter().collect()
}

#[test]
fn the_target_encoder_starts_as_the_context_encoder_and_follows_it() {
    let start = task(&config());
    assert_eq!(weight(&start.encoder), weight(&start.context_encoder.body));
    let after = moved();
    let expected = weight(&start.encoder).into_iter().zip(weight(&after.context_encoder.body));
    let halfway = weight(&after.encoder).into_iter().zip(expected);
    assert!(halfway.into_iter().all(|(got, (old, new))| (got - (old + new) / 2.0).abs() < 1e-6));
}

#[test]
fn what_is_kept_are_the_weights_of_the_target_encoder_and_they_can_be_trained() {
    let task = moved();
    let kept = IJepaConfig::kept(&task);
    assert_eq!(weight(&kept), weight(&task.encoder));
    let images = batch().images;
    let features = IJepaConfig::encoder(&task).represent(images.clone()).tokens.into_data();
    kept.represent(images.clone()).tokens.into_data().assert_eq(&features, true);
    let kept = trainable(kept, &test_device().autodiff());
    let gradients = kept.represent(images).tokens.sum().backward();
    assert!(kept.patch_embed.weight.grad(&gradients).is_some());
    assert!(!kept.positions.as_ref().unwrap().table.is_require_grad());
}

#[test]
fn a_run_that_begins_with_given_weights_begins_with_two_equal_encoders() {
    let begun = config().begin(moved());
    assert_eq!(weight(&begun.context_encoder.body), weight(&begun.encoder));
    let gradients = begun.loss(batch()).loss.backward();
    assert!(begun.context_encoder.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(begun.encoder.patch_embed.weight.grad(&gradients).is_none());
    // Nothing changes where nothing was given.
    let fresh = task(&config());
    let (same, before) = (config().begin(fresh.clone()), loss(&fresh, batch()));
    assert_eq!(loss(&same, batch()), before);
}

#[test]
fn validation_tells_the_loss_of_the_mean_and_the_features_of_both_encoders() {
    let task = task(&config()).valid();
    let measured = task.measure(batch());
    let [("trivial", trivial)] = &measured.metrics[..] else { panic!("one metric") };
    assert!(trivial.clone().into_scalar::<f32>() > 0.05);
    assert!((measured.loss.into_scalar::<f32>() - loss(&task, batch())).abs() < 1e-6);
    let [("feature", feature), ("target", target)] = &measured.embeddings[..] else {
        panic!("two embeddings");
    };
    assert_eq!([feature.dims(), target.dims()], [[4, 8]; 2]);
    let pooled = task.encoder.represent(batch().images).mean_pool().into_data();
    target.to_data().assert_approx_eq::<f32>(&pooled, Tolerance::absolute(1e-6));
}

#[test]
fn a_class_token_and_registers_are_part_of_the_context() {
    let mut config = config();
    config.encoder = config.encoder.with_class_token(true).with_registers(2);
    let task = task(&config);
    let gradients = task.loss(batch()).loss.backward();
    assert!(task.context_encoder.body.class_token.as_ref().unwrap().grad(&gradients).is_some());
}

#[test]
fn half_precision_comes_close_to_single() {
    let task = task(&config()).valid();
    let whole = loss(&task, batch());
    let same = task.loss_in(batch(), FloatDType::F32).unwrap().loss.into_scalar::<f32>();
    assert!((same - whole).abs() < 1e-6, "{same} and {whole}");
}

#[test]
fn the_picture_shows_context_targets_and_how_well_they_are_predicted() {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let task = task(&config()).valid();
    let sheet = ijepa_sheet("Title", &task, &batch(), &statistics).unwrap();
    assert_eq!(sheet.rows().len(), 4);
    let masks = batch().masks;
    let asked: Vec<bool> = masks.targets.at(GRID).asked.contains().into_data().iter().collect();
    for (number, row) in sheet.rows().iter().enumerate() {
        let context = &masks.context.samples()[number];
        for cell in 0..GRID.cells() {
            let (x, y) = (cell % 6 * 4, cell / 6 * 4);
            let is_target = (0..4).any(|block| asked[(number * 4 + block) * 24 + cell]);
            let seen = |column: usize| row[column].pixel(x, y) == row[0].pixel(x, y);
            assert_eq!(seen(1), !context.bits()[cell], "{number} {cell}");
            assert_eq!(seen(2), is_target, "{number} {cell}");
        }
    }
}

#[test]
fn the_published_batches_hold_2048_images() {
    let published = IJepaConfig::presets().into_iter().skip(1);
    for Preset { name, recipe, batch_size, .. } in published {
        assert_eq!(recipe.effective_batch(batch_size), 2048, "{name}");
    }
}
