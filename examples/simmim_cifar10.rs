//! SimMIM on small images.
//!
//! ```text
//! cargo run --release --example simmim_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example simmim_cifar10 -- --encoder swin  # or swin-v2; vit by default
//! cargo run --release --example simmim_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```
//!
//! Leaves `runs/simmim/`: checkpoints, `metrics.json`, `reconstruction.png`, `loss_curve.png`.

mod common;

use std::process::ExitCode;

use burn_mim::data::ImageData;
use burn_mim::data::augment::Augmentation;
use burn_mim::train::Recipe;
use burn_mim::{EncoderConfig, ReplacingEncoder, Result, SimMimConfig, SwinConfig, SwinV2Config};
use clap::{Parser, ValueEnum};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder with SimMIM; leaves checkpoints, metrics and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Args,
    /// The network to pre-train
    #[arg(long, value_enum, default_value = "vit")]
    encoder: EncoderName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncoderName {
    Vit,
    Swin,
    SwinV2,
}

fn main() -> ExitCode {
    common::exit(run())
}

fn run() -> Result<()> {
    let args = Args::parse();
    let data = args.common.open("simmim")?;
    let image = args.common.image(&data);
    match args.encoder {
        EncoderName::Vit => pretrain(&args.common, &data, SimMimConfig::small_images(image)),
        EncoderName::Swin => {
            let config = SimMimConfig::new(SwinConfig::small_images(image)).with_mask_unit(8);
            pretrain(&args.common, &data, config)
        }
        EncoderName::SwinV2 => {
            let config = SimMimConfig::new(SwinV2Config::small_images(image)).with_mask_unit(8);
            pretrain(&args.common, &data, config)
        }
    }
}

fn pretrain<C: ReplacingEncoder + Into<EncoderConfig>>(
    args: &common::Args,
    data: &ImageData,
    simmim: SimMimConfig<C>,
) -> Result<()> {
    simmim.validate()?;
    let recipe = Recipe::simmim()
        .with_epochs(args.epochs(data, 10_000))
        .with_base_lr(8e-3)
        .with_warmup_epochs(0.2);
    let (run, mut weights) = args.run("simmim")?;
    let model = simmim.init(&mut weights);
    let pretrained = run.pretrain(simmim.into(), model, data, Augmentation::simmim(), recipe)?;
    common::report(&run, &pretrained)
}
