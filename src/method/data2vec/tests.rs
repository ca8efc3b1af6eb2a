use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Tensor, Tolerance};

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Image, Loader, LoaderConfig, MimCollate, Sample};
use crate::encoder::Backbone;
use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::nn::Init;
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);

fn config() -> Data2VecConfig {
    Data2VecConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_decoder(ConvDecoderConfig::new().with_width(8).with_depth(2).with_groups(2))
        .with_mask(MaskConfig::InverseBlock { unit: None, ratio: 0.5, side: 2, adjust: 0.1 })
        .with_masks(3)
        .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 2 }))
}

fn task(config: &Data2VecConfig) -> Data2Vec {
    config.init(&mut InitialWeights::new(3, &test_device().autodiff()))
}

fn images() -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 3, 8, 12], init).val()
}

fn mask(hidden: impl IntoIterator<Item = [usize; 3]>) -> Mask {
    let masks = hidden.into_iter();
    let masks = masks.map(|cells| UnitMask::from_indices(Grid::new(2, 3), cells).unwrap());
    Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap()
}

/// Three masks of each of two images.
const HIDDEN: [[usize; 3]; 6] = [[0, 1, 2], [3, 4, 5], [0, 2, 4], [1, 3, 5], [0, 1, 3], [2, 4, 5]];

fn loss(task: &Data2Vec, batch: MimBatch) -> f32 {
    task.loss(batch).loss.into_scalar()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let refused = |config: Data2VecConfig| config.validate().unwrap_err().to_string();
    assert!(refused(config().with_masks(0)).contains("masks must be at least 1"));
    assert!(refused(config().with_class_loss(-1.0)).contains("class_loss must be"));
    let encoder = config().encoder.with_class_token(false);
    let class_token = Data2VecConfig { encoder, ..config() };
    assert!(refused(class_token.clone()).contains("needs an encoder with a class token"));
    class_token.with_class_loss(0.0).validate().unwrap();
    let layers = FeatureConfig::new(FeatureLayers::Mlps { last: 3 });
    assert!(refused(config().with_features(layers)).contains("a teacher of 2"));
    let momentum = Momentum::new(0.9, 2.0);
    assert!(refused(config().with_momentum(momentum)).contains("momentum.end"));
}

#[test]
fn several_masks_of_an_image_are_as_many_images_of_one_mask() {
    let task = task(&config());
    let together = loss(&task, MimBatch::new(images(), mask(HIDDEN)));
    let one = |index: usize| {
        let image = images().narrow(0, index / 3, 1);
        loss(&task, MimBatch::new(image, mask([HIDDEN[index]])))
    };
    let mean = (0..6).map(one).sum::<f32>() / 6.0;
    assert!((together - mean).abs() < 1e-5, "{together} and {mean}");
}

#[test]
fn the_teacher_starts_as_the_student_sees_hidden_cells_and_gets_no_gradient() {
    let task = task(&config());
    let [features, known] = [&task.encoder, &task.target.teacher]
        .map(|encoder| encoder.represent(images()).tokens.inner().into_data());
    features.assert_approx_eq::<f32>(&known, Tolerance::absolute(1e-6));
    let gradients = task.loss(MimBatch::new(images(), mask(HIDDEN))).loss.backward();
    let gets = |encoder: &crate::encoder::VisibleVit| {
        encoder.body.patch_embed.weight.grad(&gradients).is_some()
    };
    assert!(gets(&task.encoder) && !gets(&task.target.teacher));
    assert_eq!(task.layers_above("encoder.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("decoder.projection.weight"), 0);
}

#[test]
fn class_tokens_learn_only_where_their_loss_has_a_weight() {
    let batch = || MimBatch::new(images(), mask(HIDDEN));
    let with = task(&config().with_class_loss(0.5));
    let without = task(&config().with_class_loss(0.0));
    let measured = with.valid().measure(batch());
    let metric = |name: &str| {
        let found = measured.metrics.iter().find(|(metric, _)| *metric == name).unwrap();
        found.1.clone().into_scalar::<f32>()
    };
    assert!((metric("cells") - loss(&without, batch())).abs() < 1e-5);
    let sum = metric("cells") + 0.5 * metric("class");
    assert!((measured.loss.into_scalar::<f32>() - sum).abs() < 1e-5);
    let named = |(name, rows): &(&'static str, Tensor<2>)| (*name, rows.dims());
    let embeddings: Vec<_> = measured.embeddings.iter().map(named).collect();
    let [(_, [masks, _]), _] = embeddings[..] else { panic!("{embeddings:?}") };
    assert_eq!(embeddings, [("feature", [masks, 8]), ("target", [masks, 8])]);
    assert!(without.valid().measure(batch()).metrics.iter().all(|(name, _)| *name != "class"));
}

#[test]
fn guessing_the_mean_of_all_targets_has_a_price() {
    let task = task(&config().with_class_loss(0.0)).valid();
    let guess = task.trivial_loss(&MimBatch::new(images(), mask(HIDDEN))).unwrap();
    // Targets have variance 1 over the features, and a mean over cells that is nearly 0 in each.
    let guess = guess.into_scalar::<f32>() / 8f32.sqrt();
    assert!(guess > 0.7 && guess < 1.0, "{guess}");
}

#[test]
fn batches_have_several_masks_of_each_image_the_first_as_without_the_others() {
    let pixels: Vec<u8> = (0..IMAGE.values()).map(|i| i as u8).collect();
    let sample = Sample { image: Image::new(IMAGE, pixels).unwrap(), label: None };
    let batch = |masks| {
        let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let strategy = config().mask().unwrap();
        let collate = MimCollate::new(IMAGE, &statistics, Augmentation::mae(), strategy).unwrap();
        let dataset = Arc::new(InMemDataset::new(vec![sample.clone(); 8]));
        let config = LoaderConfig { batch_size: 4, seed: 3, workers: 0, training: true };
        let collate = collate.with_masks(masks).unwrap();
        let loader = Loader::new(dataset, collate, config, &test_device()).unwrap();
        loader.epoch(0, 0).next().unwrap().unwrap()
    };
    let (one, three) = (batch(1), batch(3));
    assert_eq!((one.masks_per_image(), three.masks_per_image()), (1, 3));
    three.images.to_data().assert_eq(&one.images.into_data(), true);
    let masks = three.mask.samples();
    let first: Vec<_> = masks.iter().step_by(3).cloned().collect();
    assert_eq!(first, one.mask.samples());
    assert!(masks.chunks(3).any(|of_image| of_image[0] != of_image[1]));
    let two = three.clone().first(2).unwrap();
    assert_eq!((two.size(), two.mask.samples()), (2, &masks[..6]));
}
