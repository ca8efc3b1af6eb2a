//! Small models and data for the integration tests.
#![allow(dead_code, reason = "each test file uses its own part")]

#[cfg(not(all(feature = "flex", feature = "train")))]
compile_error!("the tests train on flex: test with the default features");

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig, MimCollate, source::MemoryDataset};
use burn_mim::encoder::BackboneConfig;
use burn_mim::method::{IJepaBatch, LeJepaBatch, MilanBatch};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::rng::{Purpose, stream};
use burn_mim::train::{History, Pretraining, Progress, Recipe};
use burn_mim::{
    ConvNextV2Config, DecoderConfig, FcMaeConfig, IJepaConfig, ImageShape, LeJepaConfig, MaeConfig,
    Mask, MaskConfig, MaskStrategy, MimBatch, PretextTask, SimMimConfig, SwinConfig, TaskOutput,
    TeacherConfig, VitConfig,
};

/// 3×16×16 images.
pub(crate) const IMAGE: ImageShape = ImageShape::square(3, 16);

/// An encoder of two small blocks.
pub(crate) fn encoder(image: ImageShape) -> VitConfig {
    VitConfig::new(image, 4, 16, 2, 2)
}

/// A masked autoencoder around it.
pub(crate) fn mae(image: ImageShape) -> MaeConfig {
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    MaeConfig::new(encoder(image)).with_decoder(decoder)
}

/// SimMIM around it, with mask units of two patches.
pub(crate) fn simmim(image: ImageShape) -> SimMimConfig {
    let encoder = SimMimConfig::base_patch16().encoder;
    let encoder = VitConfig { image, patch: 4, width: 16, depth: 2, heads: 2, ..encoder };
    SimMimConfig::new(encoder).with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 })
}

/// FCMAE on a ConvNeXt V2 of two stages, with a narrow decoder.
pub(crate) fn fcmae(image: ImageShape) -> FcMaeConfig {
    let encoder = ConvNextV2Config::new(image, 2, vec![8, 12], vec![1, 2]);
    let fcmae = FcMaeConfig::new(encoder);
    FcMaeConfig { decoder: fcmae.decoder.clone().with_width(16), ..fcmae }
}

/// Swin of two stages: windows of 2 × 2 tokens, every second block's shifted.
pub(crate) fn swin(image: ImageShape) -> SwinConfig {
    SwinConfig::new(image, 2, 8, vec![2, 2], vec![2, 4], 2)
}

/// A task that says nothing of precision: it computes in its parameters' type alone.
#[derive(Module, Debug)]
pub(crate) struct Plain<T: Module> {
    pub(crate) inner: T,
}

impl<T: PretextTask<Batch = MimBatch>> PretextTask for Plain<T> {
    type Batch = MimBatch;
    type Observed = T::Observed;

    fn loss(&self, batch: MimBatch) -> TaskOutput<T::Observed> {
        self.inner.loss(batch)
    }
}

/// `count` images of smooth waves, each different.
pub(crate) fn waves(image: ImageShape, count: usize) -> Arc<MemoryDataset> {
    let pixel = |sample: usize, place: usize| {
        let ImageShape { height, width, .. } = image;
        let (x, y) = (place % width, place / width % height);
        let phase = (sample * 7 + place / (width * height) * 3) as f32;
        let wave = ((x as f32 * 0.4 + phase).sin() + (y as f32 * 0.3 - phase).cos()) / 4.0 + 0.5;
        (wave * 255.0) as u8
    };
    let pixels = (0..count * image.values())
        .map(|i| pixel(i / image.values(), i % image.values()))
        .collect();
    Arc::new(MemoryDataset::new(image, pixels, Some((0..count).map(|i| i % 2).collect())).unwrap())
}

/// Batches of 8 of 40 images for training, or of 12 others for validation.
pub(crate) fn loader(
    image: ImageShape,
    mask: impl MaskStrategy + 'static,
    training: bool,
    workers: usize,
) -> Loader<MimCollate> {
    loader_on(&device(), image, mask, training, workers)
}

/// Both loaders of [`IMAGE`], as [`loader`] makes them.
pub(crate) fn loaders(mask: impl MaskStrategy + Clone + 'static) -> [Loader<MimCollate>; 2] {
    [true, false].map(|training| loader(IMAGE, mask.clone(), training, 0))
}

/// As [`loader`], with batches on `device`.
pub(crate) fn loader_on(
    device: &Device,
    image: ImageShape,
    mask: impl MaskStrategy + 'static,
    training: bool,
    workers: usize,
) -> Loader<MimCollate> {
    sized_loader_on(device, image, mask, training, [8, workers])
}

/// As [`loader`], with batches of another size.
pub(crate) fn sized_loader(
    image: ImageShape,
    mask: impl MaskStrategy + 'static,
    training: bool,
    size: usize,
) -> Loader<MimCollate> {
    sized_loader_on(&device(), image, mask, training, [size, 0])
}

fn sized_loader_on(
    device: &Device,
    image: ImageShape,
    mask: impl MaskStrategy + 'static,
    training: bool,
    [batch_size, workers]: [usize; 2],
) -> Loader<MimCollate> {
    let channels = image.channels;
    let statistics = ChannelStatistics { mean: vec![0.5; channels], std: vec![0.25; channels] };
    let augmentation = if training { Augmentation::mae() } else { Augmentation::none() };
    let collate = MimCollate::new(image, &statistics, augmentation, Arc::new(mask)).unwrap();
    let config = LoaderConfig { batch_size, seed: 5, workers, training };
    let dataset = waves(image, if training { 43 } else { 12 });
    Loader::new(dataset, collate, config, device).unwrap()
}

/// A recipe of a few epochs.
pub(crate) fn recipe(epochs: usize) -> Recipe {
    Recipe::mae()
        .with_epochs(epochs)
        .with_base_lr(3e-2)
        .with_warmup_epochs(0.5)
        .with_clip_norm(Some(1.0))
        .with_ema(Some(0.9))
}

/// A silent run with seed 1.
pub(crate) fn pretraining(folder: &Path, recipe: Recipe) -> Pretraining {
    Pretraining::new(folder, recipe).seed(1).progress(Progress::Silent)
}

/// Losses without what the clock decides.
pub(crate) fn losses(history: &History) -> Vec<[f64; 3]> {
    history.epochs.iter().map(|e| [e.train_loss, e.valid_loss, e.learning_rate]).collect()
}

/// The device every test runs on.
pub(crate) fn device() -> Device {
    Device::flex()
}

/// Initial weights of `seed` that can be trained.
pub(crate) fn weights(seed: u64) -> InitialWeights {
    InitialWeights::new(seed, &device().autodiff())
}

/// `count` images of unit normal noise.
pub(crate) fn noise(image: ImageShape, count: usize) -> Tensor<4> {
    let ImageShape { channels, height, width, .. } = image;
    let shape = [count, channels, height, width];
    InitialWeights::new(99, &device()).param(shape, Init::Normal { std: 1.0 }).val()
}

/// `images` with masks drawn from `mask`.
pub(crate) fn masked(images: Tensor<4>, mask: &impl MaskStrategy) -> MimBatch {
    let stream = |sample| stream(1, Purpose::Mask, 0, sample);
    let samples: Vec<_> =
        (0..images.dims()[0] as u64).map(|sample| mask.sample(&mut stream(sample))).collect();
    MimBatch::new(images, Mask::new(samples, &device()).unwrap())
}

/// `images` with contexts and target blocks as `config` draws them.
pub(crate) fn blocks(config: &IJepaConfig, images: Tensor<4>) -> IJepaBatch {
    let blocks = config.mask().unwrap();
    let mut batch = blocks.for_batch(&mut stream(1, Purpose::BatchMask, 0, 0));
    (0..images.dims()[0] as u64).for_each(|sample| {
        batch.draw(&mut stream(1, Purpose::Mask, 0, sample));
    });
    IJepaBatch { images, masks: batch.masks(&device()).unwrap() }
}

/// A frozen teacher for students of this encoder, which is wider.
pub(crate) fn teacher(student: &VitConfig) -> TeacherConfig {
    TeacherConfig::new(BackboneConfig::Vit(VitConfig { width: 24, ..student.clone() }))
}

/// Statistics of images of so many channels.
pub(crate) fn statistics(channels: usize) -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5; channels], std: vec![0.25; channels] }
}

/// `batch` with so much noise that it decides alone what a semantic mask hides.
pub(crate) fn noised(batch: MimBatch) -> MilanBatch {
    let cells = [batch.size(), batch.mask.grid().cells()];
    let noise = InitialWeights::new(98, &device()).param(cells, Init::Normal { std: 1e3 }).val();
    MilanBatch { images: batch, noise: Some(noise) }
}

/// `crops`, two of an image side by side, with a mask each, and directions.
pub(crate) fn views(config: &LeJepaConfig, crops: Tensor<4>) -> LeJepaBatch {
    let shape = [config.embedding, config.sigreg.slices];
    let directions = InitialWeights::new(98, &device()).param(shape, Init::Normal { std: 1.0 });
    LeJepaBatch { crops: masked(crops, &config.mask().unwrap()), directions: directions.val() }
}
