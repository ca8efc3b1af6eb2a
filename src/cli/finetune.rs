//! `finetune`: an encoder trained further, with a classifier, on labelled images.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use clap::Parser;
use serde_json::json;

use super::data::{self, Reading};
use super::exit::{answer, interrupt, say};
use super::numbers::{positive, rate, side, workers};
use super::small_encoder;
use super::tuning::Tuning;
use crate::data::DataSpec;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{FineTuning, Labels, Pooling};
use crate::method::Methods;
use crate::run::{BackboneSource, BackboneVisitor, Evaluation, LoadedBackbone, device_named};
use crate::train::Progress;

/// Fine-tunes an encoder on labelled images and keeps the run: `predict` classifies images by it,
/// `export` writes it for transformers, and it is a checkpoint like any other.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a transformers folder | a file of published weights | none, for random weights
    #[arg(long)]
    checkpoint: BackboneSource,
    /// shapes | moving-shapes | cifar10[:DIR] | cifar100[:DIR] | idx:DIR | folder:DIR | clips:DIR | tar:DIR | parquet:DIR
    #[arg(long, value_parser = data::spec())]
    data: DataSpec,
    #[command(flatten)]
    reading: Reading,
    /// The folder of the run
    #[arg(long)]
    out: PathBuf,
    /// Go on with the run that is in --out
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    tuning: Tuning,
    /// Base learning rate [default: the recipe's]
    #[arg(long, value_parser = rate)]
    lr: Option<f64>,
    /// Train the last so many blocks alone
    #[arg(long)]
    last_blocks: Option<usize>,
    /// How many labelled training images, of every class alike: a share up to 1, or a number of images
    #[arg(long, default_value = "1")]
    labels: Labels,
    /// Read the class token instead of the mean over all cells
    #[arg(long)]
    class_token: bool,
    /// Leave out the norm before the classifier, and read the class token where there is one: what
    /// transformers' classes for classification do, so that `export` writes one of them
    #[arg(long, conflicts_with = "class_token")]
    for_transformers: bool,
    /// Images per batch
    #[arg(long, default_value_t = 64, value_parser = positive)]
    batch_size: usize,
    /// Seed of the classifier, the order, the crops and the part of the labels
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Side of the images that published weights read, whose position tables are resized to it
    /// [default: what they were trained on; 32 for random weights]
    #[arg(long, value_parser = side)]
    image_size: Option<usize>,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_parser = workers)]
    workers: usize,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

impl Args {
    /// The numbers for an encoder of so many numbers and so many labelled images.
    fn tuning(&self, parameters: usize, images: usize) -> FineTuning {
        let mut tuning = self.tuning.of(parameters, images);
        tuning.recipe.base_lr = self.lr.unwrap_or(tuning.recipe.base_lr);
        tuning.last_blocks = self.last_blocks;
        tuning.normalized = !self.for_transformers;
        tuning
    }
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    let device = &device_named(&args.device)?;
    let side = args.image_size;
    let random = small_encoder(3, side);
    args.checkpoint.visit::<L, _>(side, &random, args.seed, device, Command { args, device })
}

struct Command<'a> {
    args: &'a Args,
    device: &'a Device,
}

impl BackboneVisitor for Command<'_> {
    type Output = ();

    fn visit<B: Backbone + Clone + 'static>(self, encoder: LoadedBackbone<B>) -> Result<()> {
        let Self { args, device } = self;
        say(&encoder.title);
        encoder.notes.iter().for_each(say);
        let options = args.reading.options_for(encoder.image, &args.data);
        let data = args.reading.open(&args.data, &options, encoder.statistics.clone())?;
        let mut evaluation = Evaluation::new(&encoder, &data, device);
        let wants_token = args.class_token || args.for_transformers && encoder.has_class_token();
        evaluation.pooling = if wants_token { Pooling::ClassToken } else { Pooling::Mean };
        evaluation.labels = args.labels;
        (evaluation.batch_size, evaluation.workers) = (args.batch_size, args.workers);
        evaluation.seed = args.seed;
        evaluation.interrupt = interrupt()?;
        evaluation.progress = Progress::Auto;
        evaluation.validate()?;
        let images = args.labels.number(data.train.len());
        let tuning = args.tuning(Module::num_params(&encoder.backbone), images);
        let (_, result) = evaluation.fine_tune_in(&tuning, &args.out, args.resume)?;
        answer(json!({
            "out": args.out, "encoder": encoder.title, "epochs": tuning.recipe.epochs,
            "top1": result.top1, "top5": result.top5,
            "train_images": data.train.len(), "test_images": data.test.len(),
        }))
    }
}
