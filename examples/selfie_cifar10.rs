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
use burn_mim::{MaskStrategy, Result, SelfieConfig};
use clap::Parser;
use common::knobs::{Masking, Patches};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains a network with Selfie; leaves checkpoints, metrics and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    masking: Masking,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, patches, masking } = Args::parse();
    let data = args.open("selfie")?;
    let config = SelfieConfig::small_images(args.image(&data));
    let (patch, ratio) = (patches.side(config.patch), masking.ratio(config.mask_ratio));
    let config = config.with_patch(patch).with_mask_ratio(ratio);
    config.validate()?;
    let candidates = config.mask()?.hidden();
    let recipe = args
        .recipe(Recipe::mae(), &data, 10_000, 4e-3)
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
