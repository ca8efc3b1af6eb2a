//! What is an encoder worth? Linear probing, k-NN, fine-tuning, and one score card.
//!
//! ```text
//! cargo run --release --example evaluate -- --checkpoint runs/mae --data shapes --protocol knn
//! cargo run --release --example evaluate -- --checkpoint runs/mae --data shapes --protocol all --baselines
//! ```
//!
//! Progress goes to standard error; the last line on standard output is one JSON object, with
//! accuracies in percent, which is left in `--out` as `scores.json` too where that is given. `all`
//! leaves `score_card.html` and `score_card.md` there, by default in `runs/evaluate`.

#[path = "common/data.rs"]
mod data;
#[path = "common/evaluation.rs"]
mod evaluation;
#[path = "common/exit.rs"]
mod exit;
#[path = "common/numbers.rs"]
mod numbers;

use std::process::ExitCode;

use burn::tensor::Device;
use burn_mim::data::ImageData;
use burn_mim::eval::{FineTuning, Pooling, Score};
use burn_mim::method::BuiltIn;
use burn_mim::run::{
    BackboneSource, BackboneVisitor, Evaluation, LoadedBackbone, Plan, Protocol, device_named,
};
use burn_mim::train::Progress;
use burn_mim::{Backbone, ImageShape, MaeConfig, Result};
use clap::Parser;
use evaluation::Args;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    exit::exit(evaluate(&Args::parse()))
}

fn evaluate(args: &Args) -> Result<()> {
    args.check()?;
    let device = &device_named(&args.device)?;
    let side = args.image_size;
    let random = |channels| {
        MaeConfig::small_images(ImageShape::square(channels, side.unwrap_or(32))).encoder
    };
    let (data, vit) = match args.checkpoint {
        BackboneSource::Folder(_) => (None, random(3)),
        BackboneSource::None => {
            let data = args.reading.open(&args.data, &args.reading.options(), None)?;
            let vit = random(data.shape.channels);
            (Some(data), vit)
        }
    };
    let protocols = Protocols { args, data, device };
    args.checkpoint.visit::<BuiltIn, _>(side, &vit, args.seed, device, protocols)
}

/// The protocols to run with an encoder, on images that are opened with as many channels as it
/// reads, unless they are open already.
struct Protocols<'a> {
    args: &'a Args,
    data: Option<ImageData>,
    device: &'a Device,
}

impl BackboneVisitor for Protocols<'_> {
    type Output = ();

    fn visit<B: Backbone + Clone>(self, encoder: LoadedBackbone<B>) -> Result<()> {
        let Self { args, data, device } = self;
        let open = || {
            let options = args.reading.options_for(encoder.image.channels);
            args.reading.open(&args.data, &options, encoder.statistics.clone())
        };
        let data = data.map_or_else(open, Ok)?;
        run(args, &encoder, &data, device)
    }
}

fn run<B: Backbone + Clone>(
    args: &Args,
    encoder: &LoadedBackbone<B>,
    data: &ImageData,
    device: &Device,
) -> Result<()> {
    exit::say(&encoder.title);
    encoder.notes.iter().for_each(exit::say);
    let mut evaluation = Evaluation::new(encoder, data, device);
    evaluation.pooling = if args.class_token { Pooling::ClassToken } else { Pooling::Mean };
    evaluation.labels = args.labels;
    evaluation.batch_size = args.batch_size;
    evaluation.workers = args.workers;
    (evaluation.seed, evaluation.seeds) = (args.seed, args.seeds);
    evaluation.interrupt = exit::interrupt()?;
    evaluation.progress = Progress::Auto;
    let images = (data.train.len() as f64 * args.labels).max(1.0);
    let epochs = args.epochs.unwrap_or((30_000.0 / images).ceil() as usize);
    let plan = Plan {
        protocol: args.protocol,
        baselines: args.baselines,
        tuning: FineTuning::small_images(epochs),
        out: args.folder(),
    };
    let scores = evaluation.run(&plan, &mut |score| {
        let Score { protocol, setting, encoder, .. } = score;
        let (top1, top5) = (score.top1(), score.top5());
        exit::say(format_args!(
            "{protocol} ({setting}) of {encoder}: top-1 {:.2} ± {:.2} %, top-5 {:.2} %, {:.1} s",
            top1.mean, top1.std, top5.mean, score.seconds
        ));
    })?;
    if args.protocol == Protocol::All {
        evaluation.score_card(&scores, &args.data.to_string())?.save(&plan.out)?;
        let card = plan.out.join("score_card.html");
        exit::say(format_args!("the score card is {}", card.display()));
    }
    let scores = scores.to_json();
    args.leave(&scores.to_string())?;
    exit::answer(scores)
}
