//! The flags of `pretrain`, and what each of them writes in the document.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::cli::data;
use crate::cli::numbers::{positive, rate, share, side, workers};
use crate::data::{Channels, DataSpec, OnBadImage};
use crate::error::Result;
use crate::run::Draft;
use crate::train::{Budget, Interrupt, Precision, Saves};

/// What the command does.
pub(in crate::cli) const ABOUT: &str = "\
Pre-trains an encoder; leaves checkpoints, metrics and pictures in a folder.

What a run does is one document. Flags say what is changed most often, --set changes any field of it, \
and --config reads a file of TOML or JSON, such as the config.toml that every run leaves.";

/// The flags of the command.
#[derive(Debug, Parser)]
#[command(about = None, long_about = None)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    pub(super) document: DocumentArgs,
    /// shapes | moving-shapes | cifar10 (downloads to the cache) | cifar10:DIR | cifar100[:DIR] | idx:DIR |
    /// folder:DIR | clips:DIR | tar:DIR | parquet:DIR [default: shapes]
    #[arg(long, value_parser = data::spec())]
    pub(super) data: Option<DataSpec>,
    /// Passes over the training images [default: the preset's; of those for small images as many as
    /// take two cores about three minutes on the built-in data]
    #[arg(long, value_parser = positive)]
    epochs: Option<usize>,
    /// Steps of the optimizer, in place of epochs
    #[arg(long, value_parser = positive, conflicts_with = "epochs")]
    steps: Option<usize>,
    /// About so many minutes on this machine, in place of epochs
    #[arg(long, conflicts_with_all = ["epochs", "steps"])]
    minutes: Option<f64>,
    /// Training images to use, of every class alike [default: all]
    #[arg(long, value_parser = positive)]
    train_images: Option<usize>,
    /// Shards of tar:DIR, or row groups of parquet:DIR, that are shuffled together [default: all of tar:DIR,
    /// up to 16 of parquet:DIR]
    #[arg(long, value_name = "SHARDS", value_parser = positive)]
    shuffle_window: Option<usize>,
    /// auto | 1 | 3: channels that every image is converted to; auto: color if any of up to 1024
    /// training images looked at has color [default: auto]
    #[arg(long)]
    channels: Option<Channels>,
    /// error | skip: what becomes of a file that cannot be read as an image [default: error]
    #[arg(long)]
    on_bad_image: Option<OnBadImage>,
    /// The value of 16-bit images that is white, such as 4095 [default: 65535]
    #[arg(long, value_name = "VALUE")]
    white: Option<NonZero<u16>>,
    /// Bring images of 16 bits and of floating-point numbers to 8 bits
    #[arg(long)]
    eight_bits: bool,
    /// Read every image beforehand, and name those that cannot be read
    #[arg(long)]
    pub(super) verify: bool,
    /// Images per batch, of which a step has --accumulation [default: the
    /// preset's, mostly 64]
    #[arg(long, value_parser = positive)]
    batch_size: Option<usize>,
    /// Batches whose gradients make one step; several processes share them out [default: the preset's,
    /// 1]
    #[arg(long, value_parser = positive)]
    accumulation: Option<usize>,
    /// Side of the images the model reads, in pixels; others are cropped and resized [default: the
    /// preset's, 32, or 16 where every pixel is a token]
    #[arg(long, value_parser = side)]
    image_size: Option<usize>,
    /// Seed of weights, order, crops and masks [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for everything the run leaves [default: runs/METHOD]
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(super) device: String,
    /// f32 | bf16 | f16: what a step computes in; weights are f32 in all of them [default: f32]
    #[arg(long)]
    precision: Option<Precision>,
    /// Threads that prepare batches [default: 1]
    #[arg(long, value_parser = workers)]
    workers: Option<usize>,
    /// Go on from the newest checkpoint in the folder, by the document that is in it
    #[arg(long)]
    pub(super) resume: bool,
    /// Go on with other images than the run began with, such as after a damaged file was removed
    #[arg(long, requires = "resume")]
    pub(super) accept_changed_data: bool,
    #[command(flatten)]
    pub(super) long: LongRun,
    /// Begin with the weights of a run, of a transformers folder or of a file of published weights
    #[arg(long, value_name = "PATH")]
    init_from: Option<PathBuf>,
    /// After the run, refine its encoder for so many epochs, in the folder `refined` in the run's own
    #[arg(long, value_name = "EPOCHS", value_parser = positive)]
    refine: Option<usize>,
    /// Base learning rate: the peak is this times the batch size over the recipe's [default: the
    /// preset's]
    #[arg(long, value_parser = rate)]
    lr: Option<f64>,
    /// Measure the encoder by k-NN every so many epochs; 0 for never [default: 0]
    #[arg(long)]
    probe: Option<usize>,
    /// Share of the cells that is hidden [default: the preset's]
    #[arg(long, value_parser = share)]
    mask_ratio: Option<f64>,
    /// Side of a patch in pixels [default: the preset's]
    #[arg(long, value_parser = positive)]
    patch_size: Option<usize>,
    /// Features per token, in the first stage of Swin [default: the preset's]
    #[arg(long, value_parser = positive)]
    width: Option<usize>,
    /// Blocks, not of Swin [default: the preset's]
    #[arg(long, value_parser = positive)]
    depth: Option<usize>,
    /// A folder with a tokenizer, for methods that predict tokens [default: one is trained first]
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    /// For methods with a frozen teacher: the folder of a pre-training run or of a transformers model,
    /// or a file of published weights [default: a small one is trained first]
    #[arg(long, value_name = "PATH")]
    teacher: Option<PathBuf>,
}

/// What keeps a long run safe.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub(super) struct LongRun {
    /// Save a checkpoint every so many epochs [default: 1]
    #[arg(long, value_name = "EPOCHS", value_parser = positive)]
    save_epochs: Option<usize>,
    /// Save one every so many steps, too
    #[arg(long, value_name = "STEPS", value_parser = positive)]
    save_steps: Option<usize>,
    /// Save one every so many minutes, too
    #[arg(long, value_name = "MINUTES", value_parser = rate)]
    save_minutes: Option<f64>,
    /// Save and stop after so many hours, with exit status 75, for a queue that then runs the same
    /// command with --resume
    #[arg(long, value_name = "HOURS", value_parser = rate)]
    max_hours: Option<f64>,
}

impl LongRun {
    /// When checkpoints are saved.
    pub(super) fn saves(&self) -> Saves {
        let default = Saves::default();
        Saves {
            epochs: self.save_epochs.unwrap_or(default.epochs),
            steps: self.save_steps.unwrap_or(default.steps),
            minutes: self.save_minutes.unwrap_or(default.minutes),
        }
    }

    /// `interrupt`, which asks to stop when the hours since `start` are over.
    pub(super) fn limit(&self, interrupt: Interrupt, start: Instant) -> Interrupt {
        let hours = self.max_hours.map(|hours| Duration::try_from_secs_f64(3600.0 * hours));
        // A time that no clock shows never comes.
        let end = hours.and_then(|hours| start.checked_add(hours.ok()?));
        match end {
            Some(end) => interrupt.with_deadline(end),
            None => interrupt,
        }
    }
}

/// Where the document comes from.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub(super) struct DocumentArgs {
    /// A document, in TOML or JSON
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set any field of the document; may be given more than once
    #[arg(long = "set", value_name = "PATH.TO.FIELD=VALUE")]
    pub(super) sets: Vec<String>,
    /// The preset whose values absent fields have, as `burn-mim presets` lists them
    #[arg(long, value_name = "NAME")]
    pub(super) preset: Option<String>,
    /// Print the whole document and what it would take, and start nothing
    #[arg(long)]
    pub(super) print_config: bool,
}

impl Args {
    /// Writes the flags to the document.
    pub(super) fn flags(&self, draft: &mut Draft) -> Result<()> {
        macro_rules! put {
            ($($field:ident: $path:literal,)*) => {
                $(
                    let flag = format!("--{}", stringify!($field).replace('_', "-"));
                    draft.put($path, self.$field.as_ref(), &flag)?;
                )*
            };
        }
        put! {
            data: "data", train_images: "data_options.train_images",
            shuffle_window: "data_options.shuffle_window",
            channels: "data_options.channels", on_bad_image: "data_options.on_bad_image",
            batch_size: "batch_size", image_size: "image_size", seed: "seed",
            white: "data_options.white", precision: "precision", workers: "workers", probe: "probe",
            init_from: "init_from.source", epochs: "recipe.epochs", lr: "recipe.base_lr",
            refine: "refine.epochs", accumulation: "recipe.accumulation",
        }
        draft.put("data_options.eight_bits", self.eight_bits.then_some(true), "--eight-bits")?;
        // Of the lengths that a document and flags give, the flag's counts.
        if self.epochs.is_some() {
            draft.put("budget", Some(()), "--epochs")?;
        }
        draft.put("budget", self.steps.map(Budget::Steps), "--steps")?;
        draft.put("budget", self.minutes.map(Budget::Minutes), "--minutes")?;
        let Self { mask_ratio, patch_size, width, depth, .. } = *self;
        let knobs = &mut draft.knobs;
        (knobs.mask_ratio, knobs.patch_size) = (mask_ratio, patch_size);
        (knobs.width, knobs.depth) = (width, depth);
        (knobs.tokenizer, knobs.teacher) = (self.tokenizer.clone(), self.teacher.clone());
        Ok(())
    }
}
