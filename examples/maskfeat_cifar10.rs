//! MaskFeat on small images: histograms of gradients, or Sobel's edges, of the hidden patches.
//!
//! ```text
//! cargo run --release --example maskfeat_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example maskfeat_cifar10 -- --target sobel  # edges; hog by default
//! cargo run --release --example maskfeat_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/maskfeat/`: checkpoints, `metrics.json`, `reconstruction.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{GradientTargetConfig, MaskFeatConfig, Result};
use clap::{Parser, ValueEnum};
use common::knobs::{Masking, Patches, Sizes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder with MaskFeat; leaves checkpoints, metrics and pictures in a folder.
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
    /// What is predicted of the hidden patches
    #[arg(long, value_enum, default_value = "hog")]
    target: TargetName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TargetName {
    Hog,
    Sobel,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, patches, masking, sizes, target } = Args::parse();
    let data = args.open("maskfeat")?;
    let maskfeat = MaskFeatConfig::small_images(args.image(&data));
    let encoder = sizes.vit(patches.vit(maskfeat.encoder)?);
    let target = match (target, encoder.patch) {
        (TargetName::Sobel, _) => GradientTargetConfig::Sobel,
        // The paper's cells at its patch of 16; a smaller patch is one cell.
        (TargetName::Hog, patch) => {
            let cell = if patch % 8 == 0 { 8 } else { patch };
            GradientTargetConfig::Hog { cell, window: Some(2 * cell) }
        }
    };
    let mask_ratio = masking.ratio(maskfeat.mask_ratio);
    let maskfeat = MaskFeatConfig { encoder, target, mask_ratio, ..maskfeat };
    maskfeat.validate()?;
    let recipe = args
        .recipe(Recipe::maskfeat(), &data, 50_000, 8e-3)
        .with_warmup_epochs(0.2)
        .with_betas([0.9, 0.95])
        .with_clip_norm(Some(1.0));
    // Crops are enlarged, and gradients of enlarged pixels are those of no other image.
    let augmentation = Augmentation { flip: true, ..Augmentation::none() };
    let (run, mut weights) = args.run("maskfeat")?;
    let model = maskfeat.init(&mut weights);
    let pretrained = run.pretrain_depicted(maskfeat.into(), model, &data, augmentation, recipe)?;
    common::report(&run, &pretrained)
}
