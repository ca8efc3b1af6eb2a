//! What a masked autoencoder that tells images apart promises beside its numbers.

use std::sync::Arc;

use burn::data::dataset::InMemDataset;
use burn::module::Module;

use super::*;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{Image, Loader, LoaderConfig, Sample};
use crate::image::ChannelStatistics;
use crate::method::{DataFacts, Method};
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);
const TEMPERATURE: f64 = 0.2;

fn plain() -> MaeConfig {
    MaeConfig::new(VitConfig::new(IMAGE, 4, 8, 2, 2))
        .with_decoder(DecoderConfig::new().with_width(8).with_depth(1).with_heads(2))
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
}

fn contrasting() -> MaeConfig {
    let contrast = ViewContrastConfig::new().with_hidden(6).with_projection(4);
    plain().with_contrast(Some(contrast.with_temperature(TEMPERATURE)))
}

/// A batch of four images that `config` augments.
fn batch(config: &MaeConfig, augmentation: Augmentation) -> MimBatch {
    let image = |seed: usize| {
        let pixels = (0..IMAGE.values()).map(|i| (i * (seed + 3) * 37 % 251) as u8).collect();
        Sample { image: Image::new(IMAGE, pixels).unwrap(), label: Some(seed) }
    };
    let dataset = Arc::new(InMemDataset::new((0..4).map(image).collect()));
    let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
    let collate = config.collate(&DataFacts::new(statistics), augmentation).unwrap();
    let of_loader = LoaderConfig { batch_size: 4, seed: 3, workers: 0, training: true };
    let loader = Loader::new(dataset, collate, of_loader, &test_device()).unwrap();
    loader.epoch(0, 0).next().unwrap().unwrap()
}

fn task(config: &MaeConfig) -> MaeTask {
    config.init_task(&mut InitialWeights::new(3, &test_device().autodiff()))
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    contrasting().validate().unwrap();
    let refused = |change: fn(ViewContrastConfig) -> ViewContrastConfig| {
        let contrast = change(ViewContrastConfig::new());
        plain().with_contrast(Some(contrast)).validate().unwrap_err().to_string()
    };
    assert!(refused(|c| c.with_weight(0.0)).contains("contrast.weight must be"));
    assert!(refused(|c| c.with_temperature(f64::NAN)).contains("contrast.temperature must be"));
    assert!(refused(|c| c.with_projection(0)).contains("contrast.projection must be at least 1"));
    assert!(refused(|c| c.with_layers(0)).contains("contrast.layers must be at least 1"));
}

#[test]
fn each_image_is_followed_by_a_second_view_of_its_own() {
    let config = contrasting();
    let pairs = batch(&config, Augmentation::mae());
    let single = batch(&plain(), Augmentation::mae());
    assert_eq!((pairs.size(), single.size()), (8, 4));
    let image =
        |batch: &MimBatch, index: usize| batch.images.clone().narrow(0, index, 1).into_data();
    for index in 0..4 {
        // The first view is that of a masked autoencoder without a contrast, to the bit.
        image(&pairs, 2 * index).assert_eq(&image(&single, index), true);
        assert_eq!(pairs.mask.samples()[2 * index], single.mask.samples()[index]);
        assert_ne!(image(&pairs, 2 * index), image(&pairs, 2 * index + 1));
    }
    // Without augmentation the views differ in their masks alone.
    let pairs = batch(&config, Augmentation::none());
    image(&pairs, 4).assert_eq(&image(&pairs, 5), true);
    let masks = pairs.mask.samples();
    assert!((0..4).any(|index| masks[2 * index] != masks[2 * index + 1]));
}

#[test]
fn a_contrast_adds_its_loss_and_its_parameters_and_changes_no_others() {
    let (with, without) = (task(&contrasting()), task(&plain()));
    let paths = |task: &MaeTask| {
        let named = crate::nn::named_parameters(task).into_iter();
        named.map(|parameter| parameter.path).collect::<Vec<_>>()
    };
    let (longer, shorter) = (paths(&with), paths(&without));
    assert_eq!(longer[..shorter.len()], shorter);
    assert!(longer[shorter.len()..].iter().all(|path| path.starts_with("contrast.projector.")));

    let batch = batch(&contrasting(), Augmentation::mae());
    let (with, without) = (with.valid(), without.valid());
    let loss = without.loss(batch.clone()).loss.into_scalar::<f32>();
    let measured = with.measure(batch.clone());
    let metric = |name: &str| {
        let found = measured.metrics.iter().find(|(metric, _)| *metric == name).unwrap();
        found.1.clone().into_scalar::<f32>()
    };
    assert_eq!(metric("reconstruction"), loss);
    let sum = loss + metric("contrast");
    assert!((measured.loss.clone().into_scalar::<f32>() - sum).abs() < 1e-5);
    assert!((with.loss(batch.clone()).loss.into_scalar::<f32>() - sum).abs() < 1e-5);
    let guess = with.trivial_loss(&batch).unwrap() - without.trivial_loss(&batch).unwrap();
    assert!((guess.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-5);
}

#[test]
#[should_panic(expected = "views come in pairs, got 3")]
fn an_odd_number_of_views_panics_with_it() {
    let batch = batch(&contrasting(), Augmentation::none()).first(3).unwrap();
    task(&contrasting()).loss(batch);
}
