//! `tokenizer`: fits what BEiT predicts, with recipes for minutes.

use std::path::PathBuf;

use clap::Parser;

use super::data;
use super::exit::{self, say, tell};
use super::numbers::{positive, rate, side, workers};
use super::pretrain::stopped;
use crate::data::{DataSpec, ImageData};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{FittedTokenizer, Methods, Run, Teacher, TokenizerRecipe};
use crate::run::{BackboneSource, BackboneVisitor, LoadedBackbone, device_named};
use crate::target::tokenizer::{DvaeConfig, PaletteConfig, TokenizerConfig, VqConfig};
use crate::train::Precision;

/// Trains a tokenizer, what BEiT predicts; leaves it, metrics and a picture in a folder.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// shapes | moving-shapes | cifar10 (downloads to the cache) | cifar10:DIR | cifar100[:DIR] | idx:DIR | folder:DIR | clips:DIR | tar:DIR | parquet:DIR
    #[arg(long, default_value = "shapes", value_parser = data::spec())]
    data: DataSpec,
    /// Passes over the training images [default: what about three minutes on two cores allow]
    #[arg(long, value_parser = positive)]
    epochs: Option<usize>,
    /// Training images to use, of every class alike [default: all]
    #[arg(long, value_parser = positive)]
    train_images: Option<usize>,
    #[command(flatten)]
    reading: data::Reading,
    /// Images per batch, of which a step has --accumulation
    #[arg(long, default_value_t = 64, value_parser = positive)]
    batch_size: usize,
    /// Batches whose gradients make one step; several processes share them out
    #[arg(long, default_value_t = 1, value_parser = positive)]
    accumulation: usize,
    /// Side of the images the tokenizer reads, in pixels; others are cropped and resized
    #[arg(long, default_value_t = 32, value_parser = side)]
    image_size: usize,
    /// Seed of weights, order, crops and masks
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for everything the run leaves [default: runs/tokenizer]
    #[arg(long)]
    out: Option<PathBuf>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
    /// f32 | bf16 | f16: what a step computes in; weights are f32 in all of them
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_parser = workers)]
    workers: usize,
    /// Go on from the newest checkpoint in the folder
    #[arg(long)]
    resume: bool,
    /// Go on with other images than the run began with, such as after a damaged file was removed
    #[arg(long, requires = "resume")]
    accept_changed_data: bool,
    /// Base learning rate: the peak is this times the batch size over the recipe's [default: the
    /// recipe's]
    #[arg(long, value_parser = rate)]
    lr: Option<f64>,
    /// Which tokenizer to fit
    #[arg(long, value_enum, default_value = "vq")]
    tokenizer: Kind,
    /// For vq-kd, whose features the tokens stand for: the folder of a pre-training run on the same
    /// data, or of a transformers model
    #[arg(long)]
    teacher: Option<PathBuf>,
}

impl Args {
    /// Opens the data, saying how far that is, with as many training images as asked for. A run that
    /// goes on keeps its statistics. Not before it is known that there is a device to train on.
    fn open(&self) -> Result<ImageData> {
        device_named(&self.device)?;
        let options = self.reading.options().with_train_images(self.train_images);
        let saved = self.resume.then(|| data::saved_statistics(&self.out())).flatten();
        self.reading.open(&self.data, &options, saved)
    }

    fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs/tokenizer"))
    }

    /// Passes over the training images: those asked for, or as many as show about `images`.
    fn epochs(&self, data: &ImageData, images: usize) -> usize {
        self.epochs.unwrap_or_else(|| images.div_ceil(data.train.len()))
    }

    /// The run the arguments ask for.
    fn run(&self, data: ImageData) -> Result<Run> {
        let mut run = Run::new(data, self.out(), &device_named(&self.device)?);
        run.batch_size = self.batch_size;
        run.seed = self.seed;
        run.workers = self.workers;
        run.precision = self.precision;
        run.resume = self.resume;
        run.accept_changed_data = self.accept_changed_data;
        run.progress = exit::progress();
        run.interrupt = exit::interrupt()?;
        run.ranks = exit::ranks()?;
        Ok(run)
    }
}

/// Runs the command; teachers that are runs are of one of the methods `L`.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    let (kind, ranks) = (args.tokenizer, exit::ranks()?);
    kind.check(args)?;
    let data = ranks.after_first(|| args.open())?;
    let image = ImageShape::square(data.shape.channels, args.image_size);
    let mut recipe = TokenizerRecipe::small_images(args.epochs(&data, kind.images()));
    recipe.recipe.base_lr = args.lr.unwrap_or(recipe.recipe.base_lr);
    recipe.recipe.accumulation = args.accumulation;
    let run = args.run(data)?;
    let Some(fitted) = kind.fit::<L>(&run, image, args.teacher.clone(), &recipe)? else {
        return stopped();
    };
    tell(&fitted.report);
    tell(format_args!("the tokenizer, metrics and a picture are in {}", run.out.display()));
    fitted.report.usage.check()
}

/// Side in pixels of what one token stands for.
const CELL: usize = 4;

/// Which tokenizer to fit.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Kind {
    /// The colors of patches: seconds
    Palette,
    /// Vector quantization: a minute
    Vq,
    /// Vector quantization on the features of a teacher: a minute or two
    VqKd,
    /// A discrete variational autoencoder: minutes
    Dvae,
}

impl Kind {
    /// Fits the tokenizer; `teacher` is a folder with an encoder.
    fn fit<L: Methods>(
        self,
        run: &Run,
        image: ImageShape,
        teacher: Option<PathBuf>,
        recipe: &TokenizerRecipe,
    ) -> Result<Option<FittedTokenizer>> {
        match (self, teacher) {
            (Self::VqKd, Some(folder)) => {
                let config = VqConfig::small_images(image);
                let (random, teacher) = (config.encoder.clone(), BackboneSource::Folder(folder));
                let distilling = Distilling { run, config, recipe };
                teacher.visit::<L, _>(None, &random, run.seed, &run.device, distilling)
            }
            (Self::VqKd, None) => Err(Error::Config("vq-kd needs a --teacher".into())),
            (_, Some(_)) => Err(Error::Config("only vq-kd has a --teacher".into())),
            (kind, None) => run.fit_tokenizer(kind.config(image), recipe),
        }
    }

    /// Refuses what would not act: a palette is fitted at once, in f32.
    fn check(self, args: &Args) -> Result<()> {
        let given = [
            ("--epochs", args.epochs.is_some()),
            ("--lr", args.lr.is_some()),
            ("--accumulation", args.accumulation != 1),
            ("--precision", args.precision != Precision::F32),
            ("--resume", args.resume),
        ];
        match (self, given.iter().find(|(_, given)| *given)) {
            (Self::Palette, Some((flag, _))) => Err(Error::Config(format!(
                "{flag} does not act on a palette, which is fitted at once: leave it out"
            ))),
            _ => Ok(()),
        }
    }

    /// A tokenizer of 512 tokens for patches of 4 pixels.
    fn config(self, image: ImageShape) -> TokenizerConfig {
        match self {
            Self::Palette => TokenizerConfig::Palette(PaletteConfig::new(image).with_patch(CELL)),
            Self::Vq | Self::VqKd => TokenizerConfig::Vq(VqConfig::small_images(image)),
            Self::Dvae => TokenizerConfig::Dvae(DvaeConfig::small_images(image)),
        }
    }

    /// Images to train on where nothing else is asked for.
    fn images(self) -> usize {
        match self {
            Self::Palette => 0,
            Self::Vq => 30_000,
            Self::VqKd | Self::Dvae => 20_000,
        }
    }
}

/// The encoder whose features are the tokens' meaning.
struct Distilling<'a> {
    run: &'a Run,
    config: VqConfig,
    recipe: &'a TokenizerRecipe,
}

impl BackboneVisitor for Distilling<'_> {
    type Output = Option<FittedTokenizer>;

    fn visit<B: Backbone + Clone>(self, found: LoadedBackbone<B>) -> Result<Self::Output> {
        tell(format_args!("teacher: {}", found.title));
        found.notes.iter().for_each(say);
        let LoadedBackbone { backbone, image, statistics, title, .. } = found;
        let teacher = Teacher { backbone, image, statistics, title };
        self.run.distil_tokenizer(self.config, teacher, self.recipe)
    }
}
