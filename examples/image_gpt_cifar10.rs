//! Image GPT (the next color) on small images.
//!
//! ```text
//! cargo run --release --example image_gpt_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example image_gpt_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/image_gpt/`: checkpoints, `metrics.json` with bits per pixel and the colors'
//! entropy, `completion.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{ImageGptConfig, Result};
use clap::Parser;
use common::knobs::{Sizes, check_tokens};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an Image GPT; leaves checkpoints, metrics and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
    #[command(flatten)]
    sizes: Sizes,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, sizes } = Args::parse();
    let data = args.open("image_gpt")?;
    let config = ImageGptConfig::small_images(args.image_or(&data, 16));
    check_tokens(config.encoder.grid(), "a smaller --image-size makes them fewer")?;
    let config = ImageGptConfig { encoder: sizes.gpt(config.encoder), ..config };
    config.validate()?;
    let recipe = args
        .recipe(Recipe::mae(), &data, 10_000, 8e-3)
        .with_warmup_epochs(0.2)
        .with_clip_norm(Some(1.0));
    let (run, mut weights) = args.run("image_gpt")?;
    let pretrained = run.image_gpt(config, &mut weights, &data, Augmentation::simmim(), recipe)?;
    if let Some(last) = pretrained.history.last() {
        common::tell(format_args!(
            "{:.3} bits per pixel (entropy of the colors {:.3})",
            last.valid_metrics["bits_per_pixel"], last.valid_metrics["color_entropy_bits"]
        ));
    }
    common::report(&run, &pretrained)
}
