//! One loss of a configuration on noise, by the shortest way to it.

use burn::tensor::{Device, Int, Tensor};
use burn_mim::method::{
    ContextBatch, DvaeSchedule, DvaeTask, ImageGptBatch, PixelObjective, VqObjective, VqTask,
};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::rng::{Purpose, stream};
use burn_mim::target::tokenizer::{DvaeConfig, VqConfig, VqOutput};
use burn_mim::{
    EncoderConfig, ImageShape, Mask, MaskStrategy, MimBatch, PretextTask, RestorationBatch,
    TaskConfig, Tokenizer, TokenizerBatch, TokenizerConfig,
};

/// Images of a batch.
const BATCH: usize = 2;

fn weights() -> InitialWeights {
    InitialWeights::new(1, &Device::flex())
}

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    InitialWeights::new(2, &Device::flex()).param(shape, Init::Normal { std: 1.0 }).val()
}

fn images(ImageShape { channels, height, width }: ImageShape) -> Tensor<4> {
    noise([BATCH, channels, height, width])
}

/// What a tokenizer reads: values in [0, 1].
fn pixels(image: ImageShape) -> Tensor<4> {
    (images(image) * 0.2 + 0.5).clamp(0.0, 1.0)
}

fn number(loss: Tensor<1>) -> f32 {
    loss.into_scalar()
}

/// The loss of a method.
///
/// # Panics
///
/// When a part does, as `init` does with what `validate` says.
pub(crate) fn of_task(task: &TaskConfig) -> f32 {
    let weights = &mut weights();
    // What is not valid may have any number of channels.
    let channels = task.image().channels.min(64);
    let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
    match task {
        TaskConfig::Mae(config) => masked(config.init(weights), task),
        TaskConfig::MaskFeat(config) => masked(config.init(weights), task),
        TaskConfig::Selfie(config) => masked(config.init(weights), task),
        TaskConfig::SimMim(config) => match config.encoder.clone() {
            EncoderConfig::Vit(vit) => {
                masked(config.clone().map_encoder(|_| vit).init(weights), task)
            }
            EncoderConfig::Swin(swin) => {
                masked(config.clone().map_encoder(|_| swin).init(weights), task)
            }
            EncoderConfig::SwinV2(swin) => {
                masked(config.clone().map_encoder(|_| swin).init(weights), task)
            }
            other => panic!("{other:?} is new: add it here"),
        },
        TaskConfig::Beit(config) => {
            let tokenizer = config.tokenizer.init(weights);
            masked(config.init(tokenizer, &mean, &std, weights), task)
        }
        TaskConfig::BeitV2(config) => {
            let tokenizer = config.beit.tokenizer.init(weights);
            masked(config.init(tokenizer, &mean, &std, weights), task)
        }
        TaskConfig::Context(config) => {
            let model = config.init(weights);
            let positions = Tensor::<1, Int>::from_ints([3, 7], &Device::flex());
            let (centers, neighbors) = (images(config.pairs.shape()), images(config.pairs.shape()));
            number(model.loss(ContextBatch { centers, neighbors, positions }).loss)
        }
        TaskConfig::ImageGpt(config) => {
            let sizes = &config.encoder;
            let palette = noise([sizes.colors.min(64), channels]);
            let model = config.init(Some(palette), weights);
            let mask = config.mask().unwrap().map(|strategy| mask(&strategy));
            number(model.loss(ImageGptBatch { images: images(sizes.image), mask }).loss)
        }
        TaskConfig::Restoration(config) => {
            let model = config.init(&mean, &std, weights);
            let images = images(config.encoder.image);
            let corrupted = images.clone() + 0.1;
            let corruption = config.corruptions.len() - 1;
            number(model.loss(RestorationBatch { corrupted, clean: images, corruption }).loss)
        }
        other => panic!("{other:?} is new: add it here"),
    }
}

fn mask(strategy: &dyn MaskStrategy) -> Mask {
    let samples = (0..BATCH as u64).map(|i| strategy.sample(&mut stream(1, Purpose::Mask, 0, i)));
    Mask::new(samples.collect::<Vec<_>>(), &Device::flex()).unwrap()
}

fn masked<T: PretextTask<Batch = MimBatch>>(model: T, task: &TaskConfig) -> f32 {
    let mask = mask(&*task.mask().unwrap());
    let target_view = task.target_view().map(pixels);
    number(model.loss(MimBatch { target_view, ..MimBatch::new(images(task.image()), mask) }).loss)
}

/// Features that are all alike.
#[derive(burn::module::Module, Debug)]
struct Features {
    expected: f64,
}

impl VqObjective for Features {
    fn loss(&self, decoded: Tensor<3>, _: Tensor<4>) -> Tensor<1> {
        (decoded - self.expected).square().mean()
    }
}

/// The loss of a tokenizer in training; of one that is not trained, the mean of its tokens.
///
/// # Panics
///
/// As [`of_task`].
pub(crate) fn of_tokenizer(config: &TokenizerConfig) -> f32 {
    let weights = &mut weights();
    let batch = |noise| TokenizerBatch { images: pixels(config.image()), noise };
    match config {
        TokenizerConfig::Vq(vq @ VqConfig { output: VqOutput::Pixels, .. }) => {
            let objective = PixelObjective { cell: vq.encoder.patch };
            number(VqTask { tokenizer: vq.init(weights), objective }.loss(batch(None)).loss)
        }
        TokenizerConfig::Vq(vq) => {
            let task =
                VqTask { tokenizer: vq.init(weights), objective: Features { expected: 1.0 } };
            number(task.loss(batch(None)).loss)
        }
        TokenizerConfig::Dvae(dvae @ DvaeConfig { decoder: true, .. }) => {
            let task = DvaeTask::new(dvae.init(weights), DvaeSchedule::new());
            let cells = config.grid().unwrap().cells();
            number(task.loss(batch(Some(noise([BATCH, cells, dvae.vocabulary])))).loss)
        }
        _ => number(config.init(weights).tokenize(pixels(config.image())).float().mean()),
    }
}
