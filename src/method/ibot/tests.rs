use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{FloatDType, Tensor, Tolerance};

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Image, Loader, LoaderConfig, MimCollate, Sample};
use crate::encoder::{Backbone, VitBody};
use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::method::{Method, Preset};
use crate::nn::{Init, trainable};
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);

fn config() -> IBotConfig {
    IBotConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_mask(MaskConfig::blocks(0.5, 1))
        .with_head_hidden(6)
        .with_bottleneck(5)
        .with_outputs(7)
}

fn task() -> IBot {
    config().init(&mut InitialWeights::new(3, &test_device().autodiff()))
}

fn images(seed: u64) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(seed, &test_device()).param([2, 3, 8, 12], init).val()
}

fn batch() -> MimBatch {
    let masks = [[0, 1, 5], [1, 2, 4]];
    let masks = masks.map(|cells| UnitMask::from_indices(Grid::new(2, 3), cells).unwrap());
    let mask = Mask::new(masks, &test_device()).unwrap();
    MimBatch { target_view: Some(images(2)), ..MimBatch::new(images(1), mask) }
}

fn weight(body: &VitBody) -> Vec<f32> {
    body.patch_embed.weight.val().into_data().iter().collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let refused = |config: IBotConfig| config.validate().unwrap_err().to_string();
    let encoder = config().encoder.with_class_token(false);
    let without = IBotConfig { encoder, ..config() };
    assert!(refused(without).contains("iBOT needs an encoder with a class token"));
    assert!(refused(config().with_mask_spread(0.5)).contains("ratio"));
    assert!(refused(config().with_mask_spread(-0.1)).contains("at least 0, got -0.1"));
    assert!(refused(config().with_head_hidden(0)).contains("head_hidden must be at least 1"));
    assert!(refused(config().with_bottleneck(0)).contains("bottleneck must be at least 1"));
    assert!(refused(config().with_outputs(1 << 21)).contains("outputs must be at most"));
    assert!(refused(config().with_student_temperature(0.0)).contains("student_temperature must"));
    let teacher = config().with_teacher_temperature([0.04, f64::NAN]);
    assert!(refused(teacher).contains("teacher_temperature must be in (0, 100]"));
    assert!(refused(config().with_temperature_warmup(0.0)).contains("temperature_warmup must be"));
    assert!(refused(config().with_center_momentum(1.5)).contains("center_momentum must be in"));
    assert!(refused(config().with_class_loss(-1.0)).contains("class_loss must be"));
    assert!(refused(config().with_patch_loss(f64::INFINITY)).contains("patch_loss must be"));
    assert!(refused(config().with_momentum(Momentum::constant(2.0))).contains("momentum.start"));
}

#[test]
fn hidden_pixels_reach_the_teacher_alone() {
    let task = task();
    let seen = task.see(&batch(), None);
    let visible = batch().mask.at(Grid::new(2, 3)).visible.contains();
    let keep = visible.float().reshape([2, 1, 2, 1, 3, 1]).expand([2, 3, 2, 4, 3, 4]);
    let images = batch().images * keep.reshape([2, 3, 8, 12]);
    let other = task.see(&MimBatch { images, ..batch() }, None);
    assert_eq!(values(other.student.class), values(seen.student.class));
    assert_eq!(values(other.student.patches), values(seen.student.patches));
    assert_ne!(values(other.teacher.patches), values(seen.teacher.patches));
}

#[test]
fn without_a_second_view_the_student_compares_an_image_with_itself() {
    let task = task();
    let itself = MimBatch { target_view: Some(images(1)), ..batch() };
    let alone = MimBatch { target_view: None, ..batch() };
    let [itself, alone] = [itself, alone].map(|batch| task.loss(batch).loss.into_scalar::<f32>());
    assert_eq!(itself, alone);
}

#[test]
fn the_center_of_cells_follows_the_mean_output_of_all_cells_of_both_views() {
    let task = task();
    let means = task.see(&batch(), None).means;
    let both = Tensor::cat(vec![images(1), images(2)], 0);
    let known = task.encoder.represent(both);
    let cells = task.teacher_head.forward(known.tokens).mean_dim(1).mean_dim(0);
    let class = task.teacher_head.forward(known.class_token.unwrap()).mean_dim(0);
    let close = Tolerance::absolute(1e-6);
    means
        .patches
        .into_data()
        .assert_approx_eq::<f32>(&cells.squeeze_dim::<2>(1).into_data(), close);
    means.class.into_data().assert_approx_eq::<f32>(&class.into_data(), close);
}

#[test]
fn the_teacher_starts_as_the_student_and_gets_no_gradient() {
    let task = task();
    assert_eq!(weight(&task.encoder), weight(&task.student.body));
    let gradients = task.loss(batch()).loss.backward();
    assert!(task.student.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(task.student.mask_token.grad(&gradients).is_some());
    assert!(task.head.directions.grad(&gradients).is_some());
    assert!(task.encoder.patch_embed.weight.grad(&gradients).is_none());
    assert!(task.teacher_head.directions.grad(&gradients).is_none());
    assert_eq!(task.layers_above("student.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("head.directions"), 0);
}

#[test]
fn lengths_are_trained_only_where_they_are_asked_for() {
    let free = config().with_lengths(true);
    let free = free.init(&mut InitialWeights::new(3, &test_device().autodiff()));
    let gradients = free.loss(batch()).loss.backward();
    assert!(free.head.lengths.as_ref().unwrap().grad(&gradients).is_some());
    assert!(task().head.lengths.is_none());
    // They begin at 1, and so change nothing yet.
    let [free, fixed] = [free, task()].map(|task| task.loss(batch()).loss.into_scalar::<f32>());
    assert_eq!(free, fixed);
}

/// A step after which the teacher's outputs were on average `class` and `patches` in its two batches.
fn step(progress: f64, class: [f64; 2], patches: [f64; 2]) -> StepEnd<OutputMeans> {
    let full = |value| Tensor::full([1, 7], value, &test_device());
    let batch =
        |index: usize| OutputMeans { class: full(class[index]), patches: full(patches[index]) };
    StepEnd { progress, observed: vec![batch(0), batch(1)] }
}

#[test]
fn centers_follow_the_mean_of_a_steps_batches_and_the_temperature_the_run() {
    let config = config().with_center_momentum(0.75).with_temperature_warmup(0.5);
    let task = config.init(&mut InitialWeights::new(3, &test_device().autodiff()));
    assert!((values(task.temperature.val())[0] - 0.04).abs() < 1e-7);
    let task = task.after_step(step(0.25, [1.0, 3.0], [-2.0, -2.0]));
    assert_eq!(values(task.class_center.val()), [0.5; 7]);
    assert_eq!(values(task.patch_center.val()), [-0.5; 7]);
    assert!((values(task.temperature.val())[0] - 0.055).abs() < 1e-7);
    let task = task.after_step(step(0.75, [0.0, 0.0], [0.0, 0.0]));
    assert_eq!(values(task.class_center.val()), [0.375; 7]);
    assert!((values(task.temperature.val())[0] - 0.07).abs() < 1e-7);
    assert!(!task.class_center.is_require_grad() && !task.temperature.is_require_grad());
}

#[test]
fn a_center_takes_from_the_teacher_what_all_images_share() {
    let mut task = task();
    let output = task.teacher_shares(task.see(&batch(), None).teacher);
    let center = task.class_center.val().add_scalar(3.0);
    task.class_center = Param::from_tensor(center).set_require_grad(false);
    // One number for all outputs does not change what is chosen.
    let shifted = task.teacher_shares(task.see(&batch(), None).teacher);
    let close = Tolerance::absolute(1e-4);
    shifted.class.into_data().assert_approx_eq::<f32>(&output.class.into_data(), close);
    let only_first = Tensor::from_floats([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], &test_device());
    task.class_center = Param::from_tensor(only_first).set_require_grad(false);
    let rest = task.teacher_shares(task.see(&batch(), None).teacher).class;
    assert!(values(rest.narrow(1, 0, 1)).iter().all(|share| *share < 1e-6));
}

/// The task after a step that moved the student, and the teacher half as far.
fn moved() -> IBot {
    let weights = &mut InitialWeights::new(9, &test_device().autodiff());
    let other = config().with_momentum(Momentum::constant(0.5)).init(weights);
    let (student, head, config) = (other.student, other.head, other.config);
    IBot { student, head, config, ..task() }.after_step(step(0.5, [0.0; 2], [0.0; 2]))
}

#[test]
fn what_is_kept_is_the_teacher_which_follows_and_can_be_trained() {
    let (start, task) = (task(), moved());
    let expected = weight(&start.encoder).into_iter().zip(weight(&task.student.body));
    let halfway = weight(&task.encoder).into_iter().zip(expected);
    assert!(halfway.into_iter().all(|(got, (old, new))| (got - (old + new) / 2.0).abs() < 1e-6));
    let directions = |head: &DinoHead| values(head.directions.val());
    assert_ne!(directions(&task.teacher_head), directions(&start.teacher_head));
    assert_ne!(directions(&task.teacher_head), directions(&task.head));
    let kept = IBotConfig::kept(&task);
    assert_eq!(weight(&kept), weight(&task.encoder));
    let kept = trainable(kept, &test_device().autodiff());
    let gradients = kept.represent(images(1)).tokens.sum().backward();
    assert!(kept.patch_embed.weight.grad(&gradients).is_some());
}

#[test]
fn a_run_that_begins_with_given_weights_begins_with_two_equal_encoders() {
    let begun = config().begin(moved());
    assert_eq!(weight(&begun.student.body), weight(&begun.encoder));
    let gradients = begun.loss(batch()).loss.backward();
    assert!(begun.student.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(begun.encoder.patch_embed.weight.grad(&gradients).is_none());
}

#[test]
fn validation_tells_both_losses_that_of_the_mean_choice_and_the_features() {
    let config = config().with_class_loss(0.5).with_patch_loss(2.0);
    let task = config.init(&mut InitialWeights::new(3, &test_device().autodiff())).valid();
    let measured = task.measure(batch());
    let [("class", class), ("patches", patches), ("trivial", trivial)] = &measured.metrics[..]
    else {
        panic!("three metrics")
    };
    let [class, patches, trivial] =
        [class, patches, trivial].map(|metric| metric.clone().into_scalar::<f32>());
    let loss = measured.loss.into_scalar::<f32>();
    assert!((loss - 0.5 * class - 2.0 * patches).abs() < 1e-5);
    assert!((loss - task.loss(batch()).loss.into_scalar::<f32>()).abs() < 1e-6);
    // The entropies of choices among 7, of cells half.
    assert!(trivial > 0.0 && trivial < (0.5 + 2.0 * 0.5) * 7f32.ln(), "{trivial}");
    let [("feature", feature), ("target", target)] = &measured.embeddings[..] else {
        panic!("two embeddings")
    };
    assert_eq!((feature.dims(), target.dims()), ([2, 8], [2, 5]));
}

#[test]
fn half_precision_comes_close_to_single() {
    let task = task().valid();
    let whole = task.loss(batch()).loss.into_scalar::<f32>();
    let same = task.loss_in(batch(), FloatDType::F32).unwrap().loss.into_scalar::<f32>();
    assert!((same - whole).abs() < 1e-6, "{same} and {whole}");
}

/// A batch of four images on the collate of the method, or a change of it.
fn collated(augmentation: Augmentation, change: fn(MimCollate) -> MimCollate) -> MimBatch {
    let sample = |number: usize| {
        let pixels = (0..IMAGE.values()).map(|i| (i * (number + 3) * 7 % 256) as u8).collect();
        Sample { image: Image::new(IMAGE, pixels).unwrap(), label: None }
    };
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let collate = config().collate(&crate::method::DataFacts::new(statistics), augmentation);
    let dataset = Arc::new(InMemDataset::new((0..4).map(sample).collect()));
    let config = LoaderConfig { batch_size: 4, seed: 3, workers: 0, training: true };
    let loader = Loader::new(dataset, change(collate.unwrap()), config, &test_device()).unwrap();
    loader.epoch(0, 0).next().unwrap().unwrap()
}

#[test]
fn the_two_views_of_an_image_are_augmented_apart() {
    let data = |tensor: Tensor<4>| tensor.into_data();
    let MimBatch { images, target_view, .. } = collated(Augmentation::ibot(), |collate| collate);
    assert_ne!(data(images.clone()), data(target_view.clone().unwrap()));
    // The first view is what there is without a second.
    let both = collated(Augmentation::ibot(), MimCollate::with_second_views);
    let view = |batch: &Tensor<4>, number| {
        let views = batch.clone().reshape([4, 2, IMAGE.values()]);
        views.slice_dim(1, number..number + 1).reshape([4, 3, 8, 12])
    };
    let others = both.target_view.unwrap();
    assert_eq!(data(view(&both.images, 0)), data(images.clone()));
    assert_eq!(data(view(&both.images, 1)), data(target_view.clone().unwrap()));
    assert_eq!(data(view(&others, 0)), data(target_view.unwrap()));
    assert_eq!(data(view(&others, 1)), data(images));
    let plain = collated(Augmentation::none(), |collate| collate);
    assert_eq!(data(plain.images), data(plain.target_view.unwrap()));
}

#[test]
fn the_published_batches_hold_1024_images_at_a_rate_of_2e_3() {
    for Preset { name, recipe, batch_size, .. } in IBotConfig::presets().into_iter().skip(1) {
        assert_eq!(recipe.effective_batch(batch_size), 1024, "{name}");
        assert!((recipe.base_lr * recipe.lr_scale(batch_size) - 2e-3).abs() < 1e-12, "{name}");
    }
}
