//! Context prediction (where is the second patch, seen from the first?) on small images.
//!
//! ```text
//! cargo run --release --example context_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example context_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/context/`: checkpoints, `metrics.json` with the accuracy, `pairs.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{ContextConfig, Result};
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains a network by context prediction; leaves checkpoints, metrics and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args } = Args::parse();
    let data = args.open("context")?;
    let config = ContextConfig::small_images(args.image(&data));
    config.validate()?;
    let recipe = args
        .recipe(Recipe::mae(), &data, 60_000, 4e-3)
        .with_warmup_epochs(0.2)
        .with_clip_norm(Some(1.0));
    let (run, mut weights) = args.run("context")?;
    let pretrained = run.context(config, &mut weights, &data, Augmentation::simmim(), recipe)?;
    if let Some(last) = pretrained.history.last() {
        common::tell(format_args!("accuracy {:.3} (chance 0.125)", last.valid_metrics["accuracy"]));
    }
    common::report(&run, &pretrained)
}
