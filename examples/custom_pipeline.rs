//! A pipeline whose four parts are all the user's own, on the public API alone: striped masks, a
//! convolutional encoder, a two-layer head, and the mean color of a patch as the target.
//!
//! ```text
//! cargo run --release --example custom_pipeline    # about a minute; leaves runs/custom/
//! ```

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_mim::data::{DataOptions, DataSpec, Loader, LoaderConfig, MimCollate};
use burn_mim::image::{PatchLayout, patchify};
use burn_mim::run::device_named;
use burn_mim::train::{Pretraining, Progress, Recipe};
use burn_mim::{
    Backbone, Encoder, Grid, GridTokens, ImageShape, Mask, MaskStrategy, Mim, MimBatch,
    PredictionHead, Result, Target, UnitMask,
};
use clap::Parser;
use rand::{Rng, RngExt};

#[derive(Parser)]
struct Args {
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

const PATCH: usize = 4;
const GRID: Grid = Grid::square(8);

/// Hides every other column, beginning with the first or the second.
#[derive(Debug)]
struct Stripes;

impl MaskStrategy for Stripes {
    fn grid(&self) -> Grid {
        GRID
    }

    fn hidden(&self) -> usize {
        GRID.cells() / 2
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        let first = rng.random_range(0..2);
        let hidden = (0..GRID.cells()).map(|cell| cell % GRID.cols % 2 == first).collect();
        UnitMask::new(GRID, hidden).expect("one bit for each cell")
    }
}

/// Patches, hidden ones as a learned token, mixed with their neighbors by two convolutions.
#[derive(Module, Debug)]
struct ConvEncoder {
    embed: Linear,
    mask_token: Param<Tensor<2>>,
    mix: Vec<Conv2d>,
}

impl ConvEncoder {
    fn new(width: usize, device: &Device) -> Self {
        let mix = Conv2dConfig::new([width, width], [3, 3]).with_padding(PaddingConfig2d::Same);
        Self {
            embed: LinearConfig::new(3 * PATCH * PATCH, width).init(device),
            mask_token: Param::from_tensor(Tensor::zeros([1, width], device)),
            mix: (0..2).map(|_| mix.init(device)).collect(),
        }
    }

    fn mix(&self, tokens: Tensor<3>) -> GridTokens {
        let [batch, cells, width] = tokens.dims();
        let map = tokens.swap_dims(1, 2).reshape([batch, width, GRID.rows, GRID.cols]);
        let map = self.mix.iter().fold(map, |map, conv| map.clone() + gelu(conv.forward(map)));
        let tokens = map.reshape([batch, width, cells]).swap_dims(1, 2);
        GridTokens { tokens, class_token: None, grid: GRID }
    }
}

impl Backbone for ConvEncoder {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.mix(self.embed.forward(patchify(images, PATCH, PatchLayout::ChannelsFirst)))
    }

    fn width(&self) -> usize {
        self.mask_token.dims()[1]
    }
}

impl Encoder for ConvEncoder {
    type Features = GridTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> GridTokens {
        let (mask, patches) = (mask.at(GRID), patchify(images, PATCH, PatchLayout::ChannelsFirst));
        let visible = self.embed.forward(mask.visible.select(patches));
        self.mix(mask.visible.fill(visible, self.mask_token.val()))
    }
}

#[derive(Module, Debug)]
struct TwoLayers {
    first: Linear,
    second: Linear,
}

impl PredictionHead<GridTokens> for TwoLayers {
    type Prediction = Tensor<3>;

    fn predict(&self, features: GridTokens, mask: &Mask) -> Tensor<3> {
        let hidden = mask.at(features.grid).asked.select(features.tokens);
        self.second.forward(gelu(self.first.forward(hidden)))
    }
}

/// A patch's mean color, by squared error.
#[derive(Module, Debug)]
struct MeanColor {}

impl Target for MeanColor {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        3
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        let patches = patchify(batch.images.clone(), PATCH, PatchLayout::ChannelsFirst);
        let [samples, cells, _] = patches.dims();
        let colors = patches.reshape([samples, cells, 3, PATCH * PATCH]).mean_dim(3);
        batch.mask.at(GRID).asked.select(colors.squeeze_dim(3))
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        (prediction - value).square().mean()
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        Some(value.clone().mean_dim(0).mean_dim(1).expand(value.dims()))
    }
}

fn main() -> ExitCode {
    match pretrain(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pretrain(args: &Args) -> Result<()> {
    let device = device_named(&args.device)?;
    device.seed(0);
    let data = DataSpec::Shapes.open(&DataOptions::default(), &mut |_| {})?;
    let collate = MimCollate::new(ImageShape::square(3, 32), &data.statistics, Arc::new(Stripes))?;
    let config = LoaderConfig { batch_size: 64, seed: 0, workers: 1, training: true };
    let train = Loader::new(data.train, collate.clone(), config, &device)?;
    let valid = LoaderConfig { training: false, ..config };
    let valid = Loader::new(data.test, collate, valid, &device)?;

    let device = device.autodiff();
    let target = MeanColor {};
    let model = Mim {
        encoder: ConvEncoder::new(64, &device),
        head: TwoLayers {
            first: LinearConfig::new(64, 64).init(&device),
            second: LinearConfig::new(64, target.width()).init(&device),
        },
        target,
    };
    let recipe = Recipe::mae().with_epochs(3).with_base_lr(4e-3).with_warmup_epochs(0.5);
    let run = Pretraining::new("runs/custom", recipe).progress(Progress::Auto);
    let trained = run.run(model, &train, &valid)?;
    let loss = |loss: Option<f64>| loss.unwrap_or(f64::NAN);
    let _ = writeln!(
        stdout(),
        "validation loss {:.4} (trivial predictor {:.4})",
        loss(trained.history.last().map(|epoch| epoch.valid_loss)),
        loss(trained.history.trivial_loss)
    );
    Ok(())
}
