//! What MILAN promises beside its numbers.

use std::sync::Arc;

use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{Image, Loader, LoaderConfig, Sample};
use crate::encoder::{AnyBackbone, BackboneConfig, SwinConfig};
use crate::grid::Grid;
use crate::mask::{GridMask, Mask, UnitMask};
use crate::method::{DataFacts, Method};
use crate::nn::Init;
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 16, 24);
const GRID: Grid = Grid::new(4, 6);

fn statistics() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] }
}

fn vit(width: usize) -> VitConfig {
    VitConfig::new(IMAGE, 4, width, 2, 2)
}

fn config() -> MilanConfig {
    let teacher = TeacherConfig::new(BackboneConfig::Vit(vit(12)));
    MilanConfig::new(vit(8), teacher)
        .with_decoder(DecoderConfig::new().with_width(8).with_depth(1).with_heads(2))
}

fn task(config: &MilanConfig) -> Milan {
    config.init(&statistics(), &mut InitialWeights::new(3, &test_device().autodiff()))
}

fn drawn<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    InitialWeights::new(seed, &test_device()).param(shape, Init::Normal { std: 1.0 }).val()
}

/// Two images of which 18 of 24 patches are hidden.
fn batch(noise: Option<Tensor<2>>) -> MilanBatch {
    let masks = [0, 6].map(|first| UnitMask::from_indices(GRID, first..first + 18).unwrap());
    let images = MimBatch::new(drawn(1, [2, 3, 16, 24]), Mask::new(masks, &test_device()).unwrap());
    MilanBatch { images, noise }
}

fn loss(task: &Milan, batch: MilanBatch) -> f32 {
    task.loss(batch).loss.into_scalar()
}

fn refused(config: &MilanConfig) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let coarse = TeacherConfig::new(BackboneConfig::Vit(VitConfig { patch: 8, ..vit(12) }));
    let grids = refused(&MilanConfig { teacher: coarse, ..config() });
    assert!(grids.contains("the teacher has 2×3 of them, the student 4×6"), "{grids}");
    let units = config().with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.5 });
    assert!(refused(&units).contains("single patches of 4×6"), "{}", refused(&units));
    units.with_semantic(false).validate().unwrap();
    let blocks = config().with_features(FeatureConfig::new(FeatureLayers::Blocks { last: 1 }));
    assert!(refused(&blocks).contains("semantic false"));
    blocks.with_semantic(false).validate().unwrap();
    let heads = DecoderConfig::new().with_width(8).with_heads(5);
    assert!(refused(&config().with_decoder(heads)).contains("5 heads do not divide"));
}

#[test]
fn the_teacher_gets_no_gradient_and_all_else_does() {
    let task = task(&config());
    let gradients = task.loss(batch(Some(drawn(2, [2, 24])))).loss.backward();
    assert!(task.encoder.body.patch_embed.weight.grad(&gradients).is_some());
    assert!(task.encoder.body.class_token.as_ref().unwrap().grad(&gradients).is_some());
    assert!(task.decoder.mask_token.grad(&gradients).is_some());
    let AnyBackbone::Vit(body) = &task.target.teacher.network else { panic!("a ViT") };
    assert!(body.patch_embed.weight.grad(&gradients).is_none());
    assert_eq!(task.layers_above("encoder.body.patch_embed.weight"), 3);
}

/// Which cells are visible, as the teacher and this noise have it.
fn visible(task: &Milan, noise: Tensor<2>) -> Vec<bool> {
    let images = batch(None).images;
    let (_, scores) = task.target.teacher.represent_scored(images.images);
    let mask = GridMask::of_scores(GRID, scores.log() + noise, 6);
    mask.visible.contains().into_data().iter().collect()
}

#[test]
fn patches_stay_visible_as_often_as_the_teacher_attends_to_them() {
    let task = task(&config()).valid();
    let images = batch(None).images.images;
    let (features, scores) = task.target.teacher.represent_scored(images);
    assert_eq!((features.grid, scores.dims()), (GRID, [2, 24]));
    let scores: Vec<f32> = scores.into_data().iter().collect();
    // Of all cells one: each with the probability of its attention, which is a softmax but for the
    // class token's own share.
    let mut times = [0f32; 24];
    for seed in 0..400 {
        let item = crate::rng::stream(seed, crate::rng::Purpose::Mask, 0, 0);
        let noise: Vec<f32> = crate::method::tokenizers::gumbel_noise(item).take(24).collect();
        let sum = noise.iter().zip(&scores).map(|(noise, score)| noise + score.ln());
        let first = sum.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
        times[first] += 1.0 / 400.0;
    }
    let total: f32 = scores[..24].iter().sum();
    let off = times.iter().zip(&scores).map(|(time, score)| (time - score / total).abs());
    assert!(off.fold(0.0, f32::max) < 0.06, "{times:?} {scores:?}");
    // With noise that is larger than any difference the noise decides alone.
    let noise = drawn(2, [2, 24]) * 1e4;
    let chosen = visible(&task, noise.clone());
    assert_eq!(chosen.iter().filter(|chosen| **chosen).count(), 12);
    let noise: Vec<f32> = noise.into_data().iter().collect();
    for (noise, chosen) in noise.chunks(24).zip(chosen.chunks(24)) {
        let of =
            |wanted: bool| noise.iter().zip(chosen).filter(move |(_, chosen)| **chosen == wanted);
        let least = of(true).map(|(noise, _)| *noise).fold(f32::MAX, f32::min);
        assert!(of(false).all(|(noise, _)| *noise < least));
    }
}

#[test]
fn what_is_hidden_by_a_semantic_mask_does_not_reach_the_prediction() {
    let task = task(&config()).valid();
    let noise = drawn(2, [2, 24]);
    let chosen = visible(&task, noise.clone());
    // Masks that hide the same cells come to the same loss.
    let masks = chosen
        .chunks(24)
        .map(|chosen| UnitMask::from_indices(GRID, (0..24).filter(|&cell| !chosen[cell])).unwrap());
    let mask = Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap();
    let given = MilanBatch { images: MimBatch { mask, ..batch(None).images }, noise: None };
    assert_eq!(loss(&task, batch(Some(noise))), loss(&task, given));
}

#[test]
fn a_teacher_without_class_token_is_asked_by_the_mean_of_its_features() {
    let image = ImageShape::square(3, 16);
    let swin = SwinConfig::new(image, 4, 8, vec![2], vec![2], 2);
    for network in
        [BackboneConfig::Swin(swin), BackboneConfig::Vit(vit(12).with_class_token(false))]
    {
        let images = drawn(1, [2, 3, network.image().height, network.image().width]);
        let network = network.init(&mut InitialWeights::new(0, &test_device()));
        let (_, scores) = network.represent_scored(images);
        let sums: Vec<f32> = scores.clone().sum_dim(1).into_data().iter().collect();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{sums:?}");
        assert!(scores.min().into_scalar::<f32>() > 0.0);
    }
}

#[test]
fn batches_have_noise_that_depends_on_the_sample_and_the_epoch_alone() {
    let pixels: Vec<u8> = (0..IMAGE.values()).map(|i| i as u8).collect();
    let sample = Sample { image: Image::new(IMAGE, pixels).unwrap(), label: None };
    let batch = |config: &MilanConfig, epoch, workers| {
        let facts = DataFacts::new(statistics());
        let collate = Method::collate(config, &facts, Augmentation::mae()).unwrap();
        let dataset = Arc::new(InMemDataset::new(vec![sample.clone(); 8]));
        let config = LoaderConfig { batch_size: 4, seed: 3, workers, training: true };
        let loader = Loader::new(dataset, collate, config, &test_device()).unwrap();
        loader.epoch(epoch, 0).next().unwrap().unwrap()
    };
    let noise = |epoch, workers| batch(&config(), epoch, workers).noise.unwrap().into_data();
    let first = noise(0, 0);
    assert_eq!(first.shape().as_slice(), [4, 24]);
    first.assert_eq(&noise(0, 2), true);
    assert_ne!(first, noise(1, 0));
    assert!(batch(&config().with_semantic(false), 0, 0).noise.is_none());
}

#[test]
fn half_precision_of_whole_numbers_is_the_same_and_validation_tells_three_vectors() {
    let task = task(&config()).valid();
    let batch = || batch(Some(drawn(2, [2, 24])));
    let whole = loss(&task, batch());
    let same = task.loss_in(batch(), FloatDType::F32).unwrap().loss.into_scalar::<f32>();
    assert!((same - whole).abs() < 1e-6, "{same} and {whole}");
    let measured = task.measure(batch());
    assert_eq!(measured.loss.into_scalar::<f32>(), whole);
    let named = |(name, rows): &(&'static str, Tensor<2>)| (*name, rows.dims());
    let embeddings: Vec<_> = measured.embeddings.iter().map(named).collect();
    assert_eq!(embeddings, [("feature", [2, 8]), ("prediction", [2, 12]), ("target", [2, 12])]);
    let trivial = task.trivial_loss(&batch()).unwrap().into_scalar::<f32>();
    assert!(trivial > 0.0 && trivial < 1.0, "{trivial}");
}
