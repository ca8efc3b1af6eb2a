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
use common::knobs::{Masking, Patches, Sizes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder as a masked autoencoder; leaves checkpoints, metrics and pictures in a
/// folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, patches, masking, sizes } = Args::parse();
    let data = args.open("mae")?;
    let mae = MaeConfig::small_images(args.image(&data));
    let mae = MaeConfig {
        encoder: sizes.vit(patches.vit(mae.encoder)?),
        mask_ratio: masking.ratio(mae.mask_ratio),
        ..mae
    };
    mae.validate()?;
    let recipe = args.recipe(Recipe::mae(), &data, 30_000, 4e-3).with_warmup_epochs(0.5);
    let (run, mut weights) = args.run("mae")?;
    let model = mae.init(&mut weights);
    let pretrained = run.pretrain(mae.into(), model, &data, Augmentation::mae(), recipe)?;
    common::report(&run, &pretrained)
}
