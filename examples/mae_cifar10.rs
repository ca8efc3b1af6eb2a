//! Masked autoencoder on small images.
//!
//! ```text
//! cargo run --release --example mae_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example mae_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/mae/`: checkpoints, `metrics.json`, `reconstruction.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{MaeConfig, Result};
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let args = common::Args::parse();
    let data = args.open("mae")?;
    let mae = MaeConfig::small_images(args.image(&data));
    mae.validate()?;
    let recipe = Recipe::mae()
        .with_epochs(args.epochs(&data, 30_000))
        .with_base_lr(4e-3)
        .with_warmup_epochs(0.5);
    let (run, mut weights) = args.run("mae")?;
    let model = mae.init(&mut weights);
    let pretrained = run.pretrain(mae.into(), model, &data, Augmentation::mae(), recipe)?;
    common::report(&run, &pretrained)
}
