//! What LeJEPA promises beside its numbers.

use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{DType, FloatDType, Tensor};

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Image, Loader, LoaderConfig, MimCollate, Sample};
use crate::grid::Grid;
use crate::mask::Mask;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::method::{Method, Preset};
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);
const GRID: Grid = Grid::new(2, 3);

fn config() -> LeJepaConfig {
    LeJepaConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_masks(3)
        .with_projector_hidden(6)
        .with_embedding(4)
        .with_sigreg(SigReg::new().with_slices(5))
}

fn task(config: &LeJepaConfig) -> LeJepa {
    config.init(&mut InitialWeights::new(3, &test_device().autodiff()))
}

fn images(training: bool) -> MimCollate {
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let augmentation = if training { Augmentation::lejepa() } else { Augmentation::none() };
    let images = MimCollate::new(IMAGE, &statistics, augmentation, config().mask().unwrap());
    images.unwrap().with_masks(3).unwrap()
}

fn loader(training: bool) -> Loader<LeJepaCollate> {
    let sample = |number: usize| {
        let pixels = (0..IMAGE.values()).map(|i| (i * (number + 3) * 7 % 256) as u8).collect();
        Sample { image: Image::new(IMAGE, pixels).unwrap(), label: None }
    };
    let dataset = Arc::new(InMemDataset::new((0..12).map(sample).collect()));
    let config = LoaderConfig { batch_size: 4, seed: 3, workers: 0, training };
    let collate = LeJepaCollate::new(images(training), 4, 5);
    Loader::new(dataset, collate, config, &test_device()).unwrap()
}

fn batches(training: bool, epoch: u64) -> Vec<LeJepaBatch> {
    loader(training).epoch(epoch, 0).map(|batch| batch.unwrap()).collect()
}

fn batch() -> LeJepaBatch {
    batches(false, 0).swap_remove(0)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}

fn loss(task: &LeJepa, batch: LeJepaBatch) -> f32 {
    task.loss(batch).loss.into_scalar()
}

/// The parts of a loss, by name.
fn part(task: &LeJepa, batch: LeJepaBatch, name: &str) -> f32 {
    let metrics = task.measure(batch).metrics;
    let found = metrics.into_iter().find(|(metric, _)| *metric == name).unwrap();
    found.1.into_scalar()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let refused = |config: LeJepaConfig| config.validate().unwrap_err().to_string();
    assert!(refused(config().with_masks(0)).contains("masks must be at least 1"));
    assert!(refused(config().with_embedding(0)).contains("embedding must be at least 1"));
    assert!(refused(config().with_projector_hidden(0)).contains("projector_hidden must be"));
    let sigreg = SigReg::new().with_knots(0);
    assert!(refused(config().with_sigreg(sigreg)).contains("sigreg.knots must be"));
    for lambda in [-0.1, 1.1, f64::NAN] {
        assert!(refused(config().with_lambda(lambda)).contains("lambda must be in [0, 1]"));
    }
}

#[test]
fn a_batch_has_two_crops_of_each_image_with_several_masks_of_each() {
    let [first, ..] = &batches(true, 0)[..] else { panic!("no batch") };
    assert_eq!(first.sizes(), [4, 6]);
    assert_eq!(first.crops.images.dims(), [8, 3, 8, 12]);
    let masks = first.crops.mask.samples();
    assert_eq!(masks.len(), 24);
    assert!(masks.chunks(3).any(|of_crop| of_crop[0] != of_crop[1]));
    assert_eq!(first.directions.dims(), [4, 5]);
    let [one, other] = [0, 1].map(|crop| values(&first.crops.images.clone().narrow(0, crop, 1)));
    assert_ne!(one, other);
}

#[test]
fn directions_depend_on_the_batch_and_the_epoch_and_are_the_same_in_every_validation() {
    let drawn = |training, epoch| -> Vec<_> {
        batches(training, epoch).iter().map(|batch| values(&batch.directions)).collect()
    };
    let first = drawn(true, 0);
    assert_eq!(first.len(), 3);
    assert_ne!(first[0], first[1]);
    assert_eq!(drawn(true, 0), first);
    assert_ne!(drawn(true, 1), first);
    assert_eq!(drawn(false, 0), drawn(false, 1));
}

#[test]
fn what_is_hidden_of_a_view_does_not_reach_the_loss() {
    let task = task(&config());
    let LeJepaBatch { crops, directions } = batch();
    // One mask of each crop, so that what it hides is hidden from all views of the crop.
    let one: Vec<_> = crops.mask.samples().iter().step_by(3).cloned().collect();
    let mask = Mask::new(one, &test_device()).unwrap();
    let keep = mask.at(GRID).visible.contains().float().reshape([8, 1, 2, 1, 3, 1]);
    let keep = keep.expand([8, 3, 2, 4, 3, 4]).reshape([8, 3, 8, 12]);
    let of = |images| {
        let crops = MimBatch::new(images, mask.clone());
        loss(&task, LeJepaBatch { crops, directions: directions.clone() })
    };
    let whole = of(crops.images.clone());
    assert_eq!(of(crops.images.clone() * keep), whole);
    assert_ne!(of(crops.images * 0.5), whole);
}

#[test]
fn views_that_are_the_same_predict_each_other_and_others_do_not() {
    let task = task(&config()).valid();
    assert!(part(&task, batch(), "prediction") > 0.01);
    let LeJepaBatch { crops, directions } = batch();
    let mask = crops.mask.samples()[0].clone();
    let mask = Mask::new(vec![mask; 24], &test_device()).unwrap();
    // Without augmentation both crops show the middle.
    let same = LeJepaBatch { crops: MimBatch { mask, ..crops }, directions };
    assert!(part(&task, same.clone(), "prediction") < 1e-9);
    assert!(part(&task, same, "sigreg") > 0.1);
}

#[test]
fn lambda_divides_the_loss_between_its_parts() {
    for lambda in [0.0, 0.3, 1.0] {
        let task = task(&config().with_lambda(lambda)).valid();
        let [prediction, sigreg] =
            ["prediction", "sigreg"].map(|name| f64::from(part(&task, batch(), name)));
        let expected = (1.0 - lambda) * prediction + lambda * sigreg;
        let ours = f64::from(loss(&task, batch()));
        assert!((ours - expected).abs() < 1e-5, "{ours} and {expected}");
        let measured: f32 = task.measure(batch()).loss.into_scalar();
        assert!((f64::from(measured) - ours).abs() < 1e-6);
    }
}

#[test]
fn the_class_token_is_embedded_and_without_one_the_mean_of_the_cells() {
    let learns = |config: &LeJepaConfig| {
        let task = task(config);
        let gradients = task.loss(batch()).loss.backward();
        assert!(task.encoder.body.patch_embed.weight.grad(&gradients).is_some());
        assert!(task.projector.layers[0].linear.weight.grad(&gradients).is_some());
        assert_eq!(task.layers_above("encoder.body.patch_embed.weight"), 3);
        assert_eq!(task.layers_above("projector.layers.0.linear.weight"), 0);
        task.encoder.body.class_token.map(|token| token.grad(&gradients).is_some())
    };
    assert_eq!(learns(&config()), Some(true));
    let encoder = config().encoder.with_class_token(false);
    assert_eq!(learns(&LeJepaConfig { encoder, ..config() }), None);
}

#[test]
fn the_vectors_of_encoder_and_projector_are_measured() {
    let measured = task(&config()).valid().measure(batch());
    let named = |(name, rows): &(&'static str, Tensor<2>)| (*name, rows.dims());
    let embeddings: Vec<_> = measured.embeddings.iter().map(named).collect();
    assert_eq!(embeddings, [("feature", [24, 8]), ("embedding", [24, 4])]);
}

#[test]
fn the_trivial_loss_is_that_of_normal_numbers_which_no_image_decides() {
    let trivial = |lambda, images: usize| -> f64 {
        let task = task(&config().with_lambda(lambda)).valid();
        let one = MimBatch::new(Tensor::zeros([2, 3, 8, 12], &test_device()), batch().crops.mask);
        let masks = (0..images).flat_map(|_| one.mask.samples()[..6].to_vec());
        let crops = MimBatch {
            images: one.images.repeat_dim(0, images),
            mask: Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap(),
            ..one
        };
        let batch = LeJepaBatch { crops, directions: Tensor::zeros([4, 5], &test_device()) };
        task.trivial_loss(&batch).unwrap().into_scalar::<f32>().into()
    };
    // Without SIGReg all embeddings may be the same; with nothing else they may be anything normal.
    assert_eq!(trivial(0.0, 64), 0.0);
    let normal = config().sigreg.expected(64, 1.0);
    assert!((trivial(1.0, 64) - normal).abs() < 0.02 * normal);
    // Of a small batch it is best to be the same everywhere, of a large one to be nearly normal.
    let zeros = config().sigreg.expected(2, 0.0);
    assert!((trivial(0.05, 2) - 0.05 * zeros).abs() < 1e-6);
    let nearly = 0.95 * 5.0 / 6.0 + 0.05 * config().sigreg.expected(512, 1.0);
    assert!(trivial(0.05, 512) < nearly && trivial(0.05, 512) > 0.7 * nearly);
}

#[test]
fn half_precision_is_that_of_the_encoder_alone() {
    let task = task(&config()).valid();
    let whole = loss(&task, batch());
    let same = task.loss_in(batch(), FloatDType::F32).unwrap().loss.into_scalar::<f32>();
    assert!((same - whole).abs() < 1e-6, "{same} and {whole}");
    let half = task.loss_in(batch(), FloatDType::BF16).unwrap().loss;
    assert_eq!(half.dtype(), DType::F32);
}

#[test]
fn small_images_of_any_shape_have_views() {
    for (height, width) in [(8, 8), (32, 32), (8, 32), (28, 28)] {
        LeJepaConfig::small_images(ImageShape::new(1, height, width)).validate().unwrap();
    }
}

#[test]
fn the_published_views_are_one_batch_of_512_images() {
    let published = LeJepaConfig::presets().into_iter().skip(2);
    for Preset { name, recipe, batch_size, .. } in published {
        assert_eq!((recipe.effective_batch(batch_size), recipe.accumulation), (512, 1), "{name}");
    }
}

#[test]
#[should_panic(expected = "crops come in pairs, got 3")]
fn an_odd_number_of_crops_panics() {
    let mut batch = batch();
    batch.crops.images = batch.crops.images.narrow(0, 0, 3);
    batch.sizes();
}

#[test]
fn embeddings_of_a_sample_of_one_are_finite() {
    let task = task(&config()).valid();
    let LeJepaBatch { crops, directions } = batch();
    let crops = crops.first(2).unwrap();
    let loss = loss(&task, LeJepaBatch { crops, directions });
    assert!(loss.is_finite(), "{loss}");
}

/// `tests/parity/lejepa.py` makes what is compared with.
#[test]
fn three_steps_are_those_of_pytorch() {
    let file = read("lejepa.safetensors", "steps");
    let encoder =
        VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2).with_positions(Positions::Learned);
    let config = LeJepaConfig::new(encoder)
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_masks(2)
        .with_projector_hidden(7)
        .with_embedding(5)
        // Of the 17 places of the whole axis, those that are not negative.
        .with_sigreg(SigReg::new().with_slices(11).with_knots(9).with_t_max(5.0))
        .with_lambda(0.3);
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps("steps", task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), GRID).unwrap();
        let crops = MimBatch::new(tensor(&file, &format!("crops.{step}")), mask);
        LeJepaBatch { crops, directions: tensor(&file, &format!("directions.{step}")) }
    });
}
