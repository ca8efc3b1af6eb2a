//! Selfie (which hidden patch belongs here?) on small images.
//!
//! ```text
//! cargo run --release --example selfie_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example selfie_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/selfie/`: checkpoints, `metrics.json` with the accuracy, `choices.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{MaskStrategy, Result, task::SelfieConfig};
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let args = common::Args::parse();
    let data = args.open("selfie")?;
    let config = SelfieConfig::small_images(args.image(&data));
    config.validate()?;
    let candidates = config.mask()?.hidden();
    let recipe = Recipe::mae()
        .with_epochs(args.epochs(&data, 10_000))
        .with_base_lr(4e-3)
        .with_warmup_epochs(0.2)
        .with_clip_norm(Some(1.0));
    let (run, mut weights) = args.run("selfie")?;
    let pretrained = run.selfie(config, &mut weights, &data, Augmentation::simmim(), recipe)?;
    if let Some(last) = pretrained.history.last() {
        common::tell(format_args!(
            "accuracy {:.3} among {} candidates",
            last.valid_metrics["accuracy"], candidates
        ));
    }
    common::report(&run, &pretrained)
}
