//! SimMIM on small images.
//!
//! ```text
//! cargo run --release --example simmim_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example simmim_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/simmim/`: checkpoints, `metrics.json`, `reconstruction.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{Result, SimMimConfig};
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let args = common::Args::parse();
    let data = args.open()?;
    let simmim = SimMimConfig::small_images(args.image(&data));
    simmim.validate()?;
    let recipe = Recipe::simmim()
        .with_epochs(args.epochs(&data, 10_000))
        .with_base_lr(8e-3)
        .with_warmup_epochs(0.2);
    let (run, mut weights) = args.run("simmim")?;
    let model = simmim.init(&mut weights);
    let pretrained = run.pretrain(simmim.into(), model, &data, Augmentation::simmim(), recipe)?;
    common::report(&run, &pretrained.history, pretrained.interrupted);
    Ok(())
}
