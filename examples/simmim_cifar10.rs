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
use common::knobs::{Masking, Patches, Sizes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder with SimMIM; leaves checkpoints, metrics and pictures in a folder.
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
    let swin = |swin| args.sizes.swin(args.patches.swin(swin)?);
    match args.encoder {
        EncoderName::Vit => {
            let vit = SimMimConfig::small_images(image).encoder;
            pretrain(&args, &data, args.sizes.vit(args.patches.vit(vit)?))
        }
        EncoderName::Swin => pretrain(&args, &data, swin(SwinConfig::small_images(image))?),
        EncoderName::SwinV2 => {
            let small = SwinV2Config::small_images(image);
            pretrain(&args, &data, SwinV2Config { sizes: swin(small.sizes)?, ..small })
        }
    }
}

/// Hides squares of 8 pixels, or of two patches where these are larger.
fn pretrain<C: ReplacingEncoder + Into<EncoderConfig>>(
    args: &Args,
    data: &ImageData,
    encoder: C,
) -> Result<()> {
    let Args { common: args, masking, .. } = args;
    let (image, stride) = (encoder.image(), encoder.stride());
    let unit = if image.grid(2 * stride).is_ok() { 2 * stride } else { stride };
    let unit = if 8 % stride == 0 && image.grid(8).is_ok() { 8 } else { unit };
    let simmim = SimMimConfig::new(encoder).with_mask_unit(unit);
    let ratio = masking.ratio(simmim.mask_ratio);
    let simmim = simmim.with_mask_ratio(ratio);
    simmim.validate()?;
    let recipe = args.recipe(Recipe::simmim(), data, 10_000, 8e-3).with_warmup_epochs(0.2);
    let (run, mut weights) = args.run("simmim")?;
    let model = simmim.init(&mut weights);
    let pretrained = run.pretrain(simmim.into(), model, data, Augmentation::simmim(), recipe)?;
    common::report(&run, &pretrained)
}
