//! Restoration pre-training on small images: noise, loss of resolution and rain, one transformer.
//!
//! ```text
//! cargo run --release --example restoration_cifar10                    # built-in data, a few minutes
//! cargo run --release --example restoration_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/restoration/`: checkpoints, `metrics.json`, `restoration.json` (PSNR and SSIM before
//! and after), `reconstruction.png`, `loss_curve.png`. The `denoise` example reads it.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{RestorationConfig, Result};
use clap::Parser;
use common::knobs::{Patches, Sizes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder by restoring images; leaves checkpoints, metrics and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    sizes: Sizes,
    /// The weight of the paper's contrastive loss (there 0.1), without which small models do better
    #[arg(long, default_value_t = 0.0)]
    contrast: f64,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, patches, sizes, contrast } = Args::parse();
    let data = args.open("restoration")?;
    let restoration = RestorationConfig::small_images(args.image(&data)).with_contrast(contrast);
    let encoder = sizes.vit(patches.vit(restoration.encoder)?);
    let restoration = RestorationConfig { encoder, ..restoration };
    restoration.validate()?;
    let recipe = args.recipe(Recipe::restoration(), &data, 30_000, 1e-3).with_warmup_epochs(0.2);
    // Crops are resized, which blurs: pixels stay as they are.
    let augmentation = Augmentation { flip: true, ..Augmentation::none() };
    let (run, _) = args.run("restoration")?;
    let (pretrained, report) =
        run.pretrain_restoration(&restoration, &data, augmentation, recipe)?;
    common::tell(format_args!("{:14} PSNR before, after [dB]   SSIM before, after", ""));
    for (name, quality) in report {
        let (before, after) = (quality.corrupted, quality.restored);
        common::tell(format_args!(
            "{name:14} {:11.2} {:6.2}      {:12.3} {:6.3}",
            before.psnr, after.psnr, before.ssim, after.ssim
        ));
    }
    common::report(&run, &pretrained)
}
