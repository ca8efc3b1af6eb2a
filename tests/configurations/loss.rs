//! One loss of a tokenizer's configuration on noise, by the shortest way to it.

use burn::tensor::{Device, Tensor};
use burn_mim::method::{DvaeSchedule, DvaeTask, PixelObjective, VqObjective, VqTask};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::target::tokenizer::{DvaeConfig, VqConfig, VqOutput};
use burn_mim::{ImageShape, PretextTask, Tokenizer, TokenizerBatch, TokenizerConfig};

/// Images of a batch.
const BATCH: usize = 2;

fn weights() -> InitialWeights {
    InitialWeights::new(1, &Device::flex())
}

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    InitialWeights::new(2, &Device::flex()).param(shape, Init::Normal { std: 1.0 }).val()
}

fn images(ImageShape { channels, height, width, .. }: ImageShape) -> Tensor<4> {
    noise([BATCH, channels, height, width])
}

/// What a tokenizer reads: values in [0, 1].
fn pixels(image: ImageShape) -> Tensor<4> {
    (images(image) * 0.2 + 0.5).clamp(0.0, 1.0)
}

fn number(loss: Tensor<1>) -> f32 {
    loss.into_scalar()
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
/// When a part does, as `init` does with what `validate` says.
pub(crate) fn of_tokenizer(config: &TokenizerConfig) -> f32 {
    let weights = &mut weights();
    let batch = |noise| TokenizerBatch { images: pixels(config.image()), noise };
    match config {
        TokenizerConfig::Vq(vq @ VqConfig { output: VqOutput::Pixels, .. }) => {
            let objective = PixelObjective { patch: vq.encoder.patch };
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
