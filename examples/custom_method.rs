//! A method that is not in the crate, with its own mask, encoder, batch, target and picture, run by
//! the same calls as the crate's own: docs/adding-a-method.md goes through it. About two minutes:
//! `cargo run --release --example custom_method [FOLDER [TRAINING IMAGES [DATA]]]`

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::gelu, module::conv2d, ops::ConvOptions};
use burn_mim::data::{Collate, DataOptions, DataSpec, Item, MimCollate, augment::Augmentation};
use burn_mim::eval::FineTuning;
use burn_mim::image::{PatchLayout::ChannelsFirst, denormalize, patchify, unpatchify};
use burn_mim::method::{DataFacts, Method};
use burn_mim::nn::{Init, InitialWeights};
use burn_mim::run::{Evaluation, Plan, Protocol, Run, device_named};
use burn_mim::train::{Progress, Recipe, RunFolder};
use burn_mim::viz::{Picture, PictureGrid, pictures};
use burn_mim::{Backbone, Grid, GridTokens, ImageShape, MaskStrategy, PretextTask};
use burn_mim::{Result, TaskOutput, UnitMask, mask_fn};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The numbers of the method, which predicts the mean colors of hidden columns of patches.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stripes {
    image: ImageShape,
    width: usize,
}

/// Side of a patch in pixels.
const PATCH: usize = 4;

/// The mask: every other column of `grid`, beginning with the first or the second.
fn columns(grid: Grid) -> Arc<dyn MaskStrategy> {
    Arc::new(mask_fn(grid, grid.cells() / 2, move |rng| {
        let first = rng.random_range(0..2);
        let hidden = (0..grid.cells()).filter(|cell| cell % grid.cols % 2 == first);
        UnitMask::from_indices(grid, hidden).expect("these are cells of the grid")
    }))
}

/// The encoder: patches, mixed with their neighbors by a convolution.
#[derive(Module, Debug)]
struct ConvEncoder {
    embed: Linear,
    kernel: Param<Tensor<4>>,
}

impl Backbone for ConvEncoder {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let [batch, _, height, width] = images.dims();
        let grid = Grid::new(height / PATCH, width / PATCH);
        let tokens = self.embed.forward(patchify(images, PATCH, ChannelsFirst));
        let map = tokens.swap_dims(1, 2).reshape([batch, self.width(), grid.rows, grid.cols]);
        let same = ConvOptions::new([1; 2], [2; 2], [1; 2], 1);
        let map = map.clone() + gelu(conv2d(map, self.kernel.val(), None, same));
        let tokens = map.reshape([batch, self.width(), grid.cells()]).swap_dims(1, 2);
        GridTokens { tokens, class_token: None, grid }
    }

    fn width(&self) -> usize {
        self.kernel.dims()[0]
    }

    fn layers(&self) -> usize {
        1
    }

    fn layer_of(&self, parameter: &str) -> usize {
        usize::from(parameter.starts_with("kernel"))
    }
}

/// The batch: images with gray columns, 1 at each patch of these, `[batch, cells, 1]`, and the target,
/// the mean color of every patch, `[batch, cells, channels]`.
#[derive(Debug)]
struct ColorBatch {
    seen: Tensor<4>,
    gray: Tensor<3>,
    colors: Tensor<3>,
}

/// What makes such batches, on the loader's threads, of the crate's masked images.
#[derive(Debug)]
struct ColorCollate(MimCollate);

impl Collate for ColorCollate {
    type Sample = burn_mim::data::Sample;
    type Batch = ColorBatch;
    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<ColorBatch> {
        let batch = self.0.collate(items, device)?;
        let ([count, channels, ..], grid) = (batch.images.dims(), batch.mask.grid());
        let gray = batch.mask.at(grid).asked.map().reshape([count, grid.cells(), 1]);
        let patches = patchify(batch.images, PATCH, ChannelsFirst);
        let seen = patches.clone() * (gray.clone().neg() + 1.0);
        let colors = patches.reshape([count, grid.cells(), channels, PATCH * PATCH]);
        let seen = unpatchify(seen, grid, PATCH, ChannelsFirst);
        Ok(ColorBatch { seen, gray, colors: colors.mean_dim(3).squeeze_dim(3) })
    }
}

/// The task: an encoder, and a layer that reads the color of a patch off its features.
#[derive(Module, Debug)]
struct Coloring {
    encoder: ConvEncoder,
    head: Linear,
}

impl PretextTask for Coloring {
    type Batch = ColorBatch;
    type Observed = ();

    fn loss(&self, ColorBatch { seen, gray, colors }: ColorBatch) -> TaskOutput {
        let predicted = self.head.forward(self.encoder.represent(seen).tokens);
        ((predicted - colors).square() * gray).mean().into()
    }
}

impl Method for Stripes {
    const NAME: &'static str = "stripes";
    const TITLE: &'static str = "Stripes";
    type Task = Coloring;
    type Collate = ColorCollate;
    type Encoder = ConvEncoder;

    fn image(&self) -> ImageShape {
        self.image
    }

    fn validate(&self) -> Result<()> {
        self.image.grid(PATCH).map(|_| ())
    }

    fn recipe(&self) -> Recipe {
        Recipe::mae().with_epochs(3).with_base_lr(4e-3).with_warmup_epochs(0.5)
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::mae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<ColorCollate> {
        let mask = columns(self.image.grid(PATCH)?);
        let images = MimCollate::new(self.image, &data.statistics, augmentation, mask);
        images.map(ColorCollate)
    }

    fn init(&self, _: &DataFacts, weights: &mut InitialWeights) -> Result<Coloring> {
        let (width, channels, area) = (self.width, self.image.channels, PATCH * PATCH);
        let embed = weights.linear(channels * area, width, Init::XavierUniform);
        let kernel = weights.param([width, width, 5, 5], Init::Normal { std: 0.02 });
        let encoder = ConvEncoder { embed, kernel };
        Ok(Coloring { encoder, head: weights.linear(width, channels, Init::XavierUniform) })
    }

    fn encoder(task: &Coloring) -> &ConvEncoder {
        &task.encoder
    }

    fn picture(
        &self,
        task: &Coloring,
        batch: ColorBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let ([count, _, channels], grid) = (batch.colors.dims(), self.image.grid(PATCH)?);
        let show = |colors: Tensor<3>| {
            let images = colors.swap_dims(1, 2).reshape([count, channels, grid.rows, grid.cols]);
            pictures(denormalize(images, &data.statistics.mean, &data.statistics.std))
        };
        let predicted = task.head.forward(task.encoder.represent(batch.seen).tokens);
        let mut sheet = PictureGrid::new("Stripes: validation images", ["true", "predicted"]);
        for pair in show(batch.colors)?.into_iter().zip(show(predicted)?).take(8) {
            sheet.push_row(vec![pair.0, pair.1])?;
        }
        sheet.render().map(Some)
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = RunFolder::new(args.next().unwrap_or("runs/stripes".into()));
    let images = args.next().and_then(|count| count.parse().ok());
    let options = DataOptions::default().with_train_images(images);
    let spec = args.next().unwrap_or("shapes".into());
    let data = spec.parse::<DataSpec>()?.open(&options, &mut |_| {})?;
    let mut run = Run::new(data.clone(), folder.path(), &device_named("flex")?);
    (run.probe, run.progress, run.resume) = (1, Progress::Auto, folder.latest()?.is_some());
    run.pretrain(&Stripes { image: ImageShape::square(3, 32), width: 64 })?;
    let encoder = folder.load::<Stripes>(&run.device)?.into_encoder(&folder);
    let evaluation = Evaluation::new(&encoder, &data, &run.device);
    let (tuning, out) = (FineTuning::small_images(1), folder.path().join("evaluate"));
    let plan = Plan { protocol: Protocol::All, baselines: true, tuning, out };
    let scores = evaluation.run(&plan, &mut |score| eprintln!("{score}"))?;
    evaluation.score_card(&scores, &spec)?.save(&plan.out)
}
