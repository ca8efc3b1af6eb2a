//! The command line that the pre-training examples share.
#![allow(dead_code, reason = "each example uses its own part")]

pub(crate) mod knobs;
pub(crate) mod methods;
pub(crate) mod tokenizer;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::cli::data;
use burn_mim::cli::exit;
use burn_mim::cli::numbers::{positive, side, workers};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{DataSpec, ImageData};
use burn_mim::method::Method;
use burn_mim::run::{Run, device_named};
use burn_mim::train::{Precision, Pretrained, Progress, Recipe, RunFolder};
use burn_mim::{Error, ImageShape, Result};
use clap::{CommandFactory, FromArgMatches, Parser};
use mimalloc::MiMalloc;

use self::knobs::Rate;

pub(crate) use burn_mim::cli::exit::{exit, say, tell};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

// What all that train share. (No doc comment: clap would take it for what the command does.)
#[derive(Debug, clap::Args)]
#[group(skip)] // Its name would be that of the arguments it is part of.
pub(crate) struct Args {
    /// shapes | cifar10 (downloads to the cache) | cifar10:DIR | cifar100[:DIR] | idx:DIR | folder:DIR
    #[arg(long, default_value = "shapes", value_parser = data::spec())]
    pub(crate) data: DataSpec,
    /// Passes over the training images [default: what about three minutes on two cores allow]
    #[arg(long, value_parser = positive)]
    pub(crate) epochs: Option<usize>,
    /// Training images to use, of every class alike [default: all]
    #[arg(long, value_parser = positive)]
    train_images: Option<usize>,
    #[command(flatten)]
    reading: data::Reading,
    /// Images per step
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) batch_size: usize,
    /// Side of the images the model reads, in pixels; others are cropped and resized [default: 32,
    /// or 16 where every pixel is a token]
    #[arg(long, value_parser = side)]
    pub(crate) image_size: Option<usize>,
    /// Seed of weights, order, crops and masks
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Folder for everything the run leaves [default: runs/METHOD]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// f32 | bf16 | f16: what a step computes in; weights are f32 in all of them
    #[arg(long, default_value_t)]
    pub(crate) precision: Precision,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_parser = workers)]
    pub(crate) workers: usize,
    /// Go on from the newest checkpoint in the folder
    #[arg(long)]
    pub(crate) resume: bool,
    /// Go on with other images than the run began with, such as after a damaged file was removed
    #[arg(long, requires = "resume")]
    pub(crate) accept_changed_data: bool,
}

impl Args {
    /// Opens the data, saying how far that is, with as many training images as asked for. A run that
    /// goes on keeps its statistics. Not before it is known that there is a device to train on.
    pub(crate) fn open(&self, method: &str) -> Result<ImageData> {
        device_named(&self.device)?;
        let options = self.reading.options().with_train_images(self.train_images);
        let folder = RunFolder::new(self.out(method));
        let saved = self.resume.then(|| folder.config::<serde_json::Value>().ok()).flatten();
        let saved =
            saved.and_then(|saved| serde_json::from_value(saved["statistics"].clone()).ok());
        self.reading.open(&self.data, &options, saved)
    }

    fn out(&self, method: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(method))
    }

    /// Passes over the training images: those asked for, or as many as show about `images`.
    pub(crate) fn epochs(&self, data: &ImageData, images: usize) -> usize {
        self.epochs.unwrap_or_else(|| images.div_ceil(data.train.len()))
    }

    /// The images the model reads, of `side` pixels unless another size is asked for.
    pub(crate) fn image(&self, data: &ImageData, side: usize) -> ImageShape {
        ImageShape::square(data.shape.channels, self.image_size.unwrap_or(side))
    }

    /// The run the arguments ask for.
    pub(crate) fn run(&self, method: &str, data: ImageData) -> Result<Run> {
        let mut run = Run::new(data, self.out(method), &device_named(&self.device)?);
        run.batch_size = self.batch_size;
        run.seed = self.seed;
        run.workers = self.workers;
        run.precision = self.precision;
        run.resume = self.resume;
        run.accept_changed_data = self.accept_changed_data;
        run.progress = Progress::Auto;
        run.interrupt = exit::interrupt()?;
        Ok(run)
    }
}

// What the pre-training examples share beyond that, and `own`, what an example has alone.
#[derive(Debug, Parser)]
struct CommandLine<A: clap::Args> {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    rate: Rate,
    /// Measure the encoder by k-NN every so many epochs; 0 for never
    #[arg(long, default_value_t = 0)]
    probe: usize,
    #[command(flatten)]
    own: A,
}

/// A pre-training command whose images are open.
pub(crate) struct Command {
    args: Args,
    rate: Rate,
    probe: usize,
    data: ImageData,
}

/// A pre-training command: `train` makes a method of its own arguments, and has it trained in a
/// folder that is named after `method`.
pub(crate) fn pretrain<A: clap::Args>(
    method: &str,
    train: impl FnOnce(&A, Command) -> Result<()>,
) -> ExitCode {
    let about = "Pre-trains an encoder; leaves checkpoints, metrics and pictures in a folder.";
    let matches = CommandLine::<A>::command().about(about).get_matches();
    let parsed = CommandLine::<A>::from_arg_matches(&matches);
    let CommandLine { args, rate, probe, own } = parsed.unwrap_or_else(|error| error.exit());
    let opened = args.open(method);
    exit(opened.and_then(|data| train(&own, Command { args, rate, probe, data })))
}

impl Command {
    /// The images the model reads, of `side` pixels unless another size is asked for.
    pub(crate) fn image(&self, side: usize) -> ImageShape {
        self.args.image(&self.data, side)
    }

    /// `recipe` with the base learning rate and the epochs that were asked for, or `lr` and as many
    /// as show about `images`.
    pub(crate) fn recipe(&self, recipe: Recipe, images: usize, lr: f64) -> Recipe {
        self.rate.of(recipe, lr).with_epochs(self.args.epochs(&self.data, images))
    }

    /// Trains `method` on images augmented as its paper does, and reports.
    pub(crate) fn train<M: Method>(self, method: M, recipe: Recipe) -> Result<()> {
        let augmentation = method.augmentation();
        self.train_augmented(method, recipe, augmentation)
    }

    /// Trains `method`, and reports.
    pub(crate) fn train_augmented<M: Method>(
        self,
        method: M,
        recipe: Recipe,
        augmentation: Augmentation,
    ) -> Result<()> {
        let mut run = self.args.run(M::NAME, self.data)?;
        run.probe = self.probe;
        (run.recipe, run.augmentation) = (Some(recipe), Some(augmentation));
        report(&run, &run.pretrain(&method)?)
    }
}

/// Tells what a run came to and where it is; one that was stopped is not a success.
fn report<T>(run: &Run, trained: &Pretrained<T>) -> Result<()> {
    if let Some(last) = trained.history.last() {
        for (name, value) in &last.valid_metrics {
            tell(format_args!("{name} {value:.3}"));
        }
        let trivial = trained.history.trivial_loss.unwrap_or(f64::NAN);
        let loss = last.valid_loss;
        tell(format_args!("validation loss {loss:.4} (trivial predictor {trivial:.4})"));
    }
    let from = trained.resumed_from.as_ref();
    let from = from.map_or(String::new(), |path| format!(", resumed from {}", path.display()));
    tell(format_args!("checkpoints, metrics and pictures are in {}{from}", run.out.display()));
    if trained.interrupted { stopped() } else { Ok(()) }
}

/// Ends what a signal stopped.
pub(crate) fn stopped<T>() -> Result<T> {
    tell("stopped before the last epoch: --resume goes on");
    Err(Error::Interrupted)
}
