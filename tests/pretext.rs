//! The tasks that choose or continue instead of filling in: what they promise as the others do.
#![cfg(feature = "train")]

mod common;

use std::path::Path;
use std::sync::Arc;

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::source::MemoryDataset;
use burn_mim::data::{ChannelStatistics, Collate, Loader, LoaderConfig, MimCollate, Sample};
use burn_mim::encoder::{GptConfig, ResidualConfig};
use burn_mim::method::{ContextBatch, ContextCollate, ImageGptCollate};
use burn_mim::method::{ContextConfig, ImageGptConfig, PatchPairs, SelfieConfig};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::train::{Recipe, RunFolder};
use burn_mim::{
    Backbone, ContextPrediction, ConvNextV2Config, Grid, ImageShape, PretextTask, ResNetConfig,
};
use common::{device, losses, noise, pretraining, recipe, waves, weights};

/// Neither square nor RGB.
const IMAGE: ImageShape = ImageShape::new(2, 16, 24);

fn statistics() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5; 2], std: vec![0.25; 2] }
}

fn residual() -> ResidualConfig {
    ResidualConfig::new(2).with_widths(vec![8, 8]).with_groups(2)
}

fn context() -> ContextConfig {
    let pairs = PatchPairs::new(IMAGE, 4, 1, 1).with_min_pixels(4);
    ContextConfig::new(residual(), pairs).with_hidden(8)
}

fn selfie() -> SelfieConfig {
    SelfieConfig::new(IMAGE, residual()).with_depth(1).with_heads(2)
}

fn image_gpt() -> ImageGptConfig {
    ImageGptConfig::new(GptConfig::new(ImageShape::new(2, 4, 6), 8, 1, 2).with_colors(5))
}

fn palette() -> Option<Tensor<2>> {
    Some(InitialWeights::new(4, &device()).param([5, 2], Init::Normal { std: 0.5 }).val())
}

/// Two runs of two epochs, which must give the same bits: their losses, and the trained task, which
/// reads its weights from the folder.
fn trained_twice<T, C>(
    folder: &Path,
    task: impl Fn() -> T,
    collate: impl Fn(bool) -> C,
) -> (Vec<[f64; 3]>, T)
where
    T: PretextTask<Batch = C::Batch>,
    C: Collate<Sample = Sample>,
{
    let run = |workers| {
        let loader = |training| {
            let config = LoaderConfig { batch_size: 8, seed: 5, workers, training };
            let images = waves(IMAGE, if training { 43 } else { 12 });
            Loader::new(images, collate(training), config, &device()).unwrap()
        };
        let run = pretraining(folder, recipe(2));
        losses(&run.run(task(), &loader(true), &loader(false)).unwrap().history)
    };
    let first = run(0);
    assert_eq!(run(2), first);
    (first, RunFolder::new(folder).load_into(task()).unwrap())
}

fn augmentation(training: bool) -> Augmentation {
    if training { Augmentation::simmim() } else { Augmentation::none() }
}

/// What evaluation and a user of the encoder call.
fn represents(encoder: &impl Backbone, images: Tensor<4>, grid: Grid) {
    let features = encoder.represent(images);
    assert_eq!(features.grid, grid);
    let [batch, cells, width] = features.tokens.dims();
    assert_eq!((cells, width), (grid.cells(), encoder.width()));
    assert_eq!(features.mean_pool().dims(), [batch, width]);
}

#[test]
fn context_prediction_repeats_to_the_bit_and_its_encoder_reads_whole_images() {
    let (config, folder) = (context(), tempfile::tempdir().unwrap());
    let collate = |training| {
        ContextCollate::new(&config.pairs, &statistics(), augmentation(training)).unwrap()
    };
    let (losses, task) = trained_twice(folder.path(), || config.init(&mut weights(3)), collate);
    assert!(losses.iter().flatten().all(|loss| loss.is_finite()));
    represents(&task.encoder, noise(IMAGE, 3), Grid::new(8, 12));
}

#[test]
fn selfie_repeats_to_the_bit_and_its_encoder_reads_whole_images_patch_by_patch() {
    let (config, folder) = (selfie(), tempfile::tempdir().unwrap());
    let collate = |training| {
        let mask = config.mask().unwrap();
        MimCollate::new(IMAGE, &statistics(), augmentation(training), mask).unwrap()
    };
    let (losses, task) = trained_twice(folder.path(), || config.init(&mut weights(3)), collate);
    assert!(losses.iter().flatten().all(|loss| loss.is_finite()));
    represents(&task.encoder, noise(IMAGE, 3), Grid::new(2, 3));
    // The network that reads patches reads whole images too, as the paper fine-tunes it.
    represents(&task.encoder.network, noise(IMAGE, 3), Grid::new(8, 12));
}

#[test]
fn image_gpt_repeats_to_the_bit_under_both_objectives_and_keeps_its_palette() {
    for config in [image_gpt(), image_gpt().bert()] {
        let folder = tempfile::tempdir().unwrap();
        let collate = |training| ImageGptCollate::new(&config, augmentation(training)).unwrap();
        // A model that is about to be loaded has any palette.
        let (losses, task) =
            trained_twice(folder.path(), || config.init(palette(), &mut weights(3)), collate);
        assert!(losses.iter().flatten().all(|loss| loss.is_finite()));
        let kept = task.encoder.palette.as_ref().unwrap().val().into_data();
        kept.assert_eq(&palette().unwrap().into_data(), true);
        represents(&task.encoder, noise(config.encoder.image, 3), Grid::new(4, 6));
    }
}

#[test]
fn selfie_learns_where_patches_belong_from_what_is_in_them() {
    let config = selfie().with_patch(4);
    let mask = config.mask().unwrap();
    let collate = MimCollate::new(IMAGE, &statistics(), augmentation(false), mask).unwrap();
    let loader = |training| {
        let config = LoaderConfig { batch_size: 16, seed: 5, workers: 0, training };
        Loader::new(gradients(256), collate.clone(), config, &device()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe::mae().with_epochs(8).with_base_lr(8e-2).with_warmup_epochs(1.0);
    let run = pretraining(folder.path(), recipe);
    let run = run.run(config.init(&mut weights(3)), &loader(true), &loader(false)).unwrap();
    let accuracy = run.history.last().unwrap().valid_metrics["accuracy"];
    // Chance among 12 candidates is 0.083.
    assert!(accuracy > 0.25, "{:?}", run.history.epochs);
}

/// Images that grow brighter from left to right and, in the other channel, downwards.
fn gradients(count: usize) -> Arc<MemoryDataset> {
    let pixel = |index: usize| {
        let (sample, place) = (index / IMAGE.values(), index % IMAGE.values());
        let (channel, place) = (place / (16 * 24), place % (16 * 24));
        let way = if channel == 0 { place % 24 * 8 } else { place / 24 * 12 };
        (way + sample * 37 % 60) as u8
    };
    let pixels = (0..count * IMAGE.values()).map(pixel).collect();
    Arc::new(MemoryDataset::new(IMAGE, pixels, None).unwrap())
}

/// A step's loss of context prediction on `encoder`, and how many of its parameters have a gradient.
fn contexts(encoder: impl Backbone, cells: usize, weights: &mut InitialWeights) -> (f32, usize) {
    let task = ContextPrediction::new(encoder, cells, 8, weights);
    let plain = &mut InitialWeights::new(7, &device());
    let mut patches = || plain.param([4, 2, 32, 32], Init::Normal { std: 1.0 }).val();
    let positions = Tensor::from_ints([0, 3, 7, 4], &device());
    let batch = ContextBatch { centers: patches(), neighbors: patches(), positions };
    let loss = task.loss(batch).loss;
    let gradients = GradientsParams::from_grads(loss.backward(), &task.encoder);
    (loss.into_scalar(), gradients.len())
}

#[test]
fn context_prediction_trains_any_network_of_convolutions() {
    let weights = &mut InitialWeights::new(0, &device().autodiff());
    let config = ResNetConfig::new(2, vec![1, 1], vec![4, 8], false).with_stem(4);
    let (resnet, cells) = (config.init(weights), config.grid([32, 32]).cells());
    let (loss, learning) = contexts(resnet, cells, weights);
    // A kernel, a scale and a shift of the stem, of both convolutions of each block, and of a projection.
    assert!(loss.is_finite() && learning == 3 * (1 + 2 * 2 + 1), "{loss} {learning}");
    let convnext = ConvNextV2Config::small_images(ImageShape::square(2, 32)).init(weights);
    let (loss, learning) = contexts(convnext, 16, weights);
    assert!(loss.is_finite() && learning > 50, "{loss} {learning}");
}
