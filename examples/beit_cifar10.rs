//! BEiT on small images, with a tokenizer trained in the same run.
//!
//! ```text
//! cargo run --release --example beit_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example beit_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! cargo run --release --example beit_cifar10 -- --tokenizer runs/tokenizer --v2
//! ```
//!
//! Leaves `runs/beit/`: checkpoints, `metrics.json`, `reconstruction.png` (predicted
//! tokens, decoded or as colors), `loss_curve.png`; and in `tokenizer/` what `train_tokenizer` leaves.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::method::BeitV2Config;
use burn_mim::train::Recipe;
use burn_mim::{BeitConfig, Result};
use clap::Parser;
use common::knobs::{Masking, Sizes};
use common::tokenizer::{begun, fitted};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pre-trains an encoder with BEiT, on a tokenizer that is trained first; leaves checkpoints, metrics
/// and pictures in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Pretraining,
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
    /// A folder that `train_tokenizer` left [default: one is trained first]
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// BEiT v2: a condenser makes the class token know the image
    #[arg(long)]
    v2: bool,
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, masking, sizes, tokenizer, v2 } = Args::parse();
    let method = if v2 { "beit_v2" } else { "beit" };
    let data = args.open(method)?;
    let (mut run, _) = args.run(method)?;
    let given = tokenizer.is_some();
    let Some(tokenizer) = fitted(&args, tokenizer, &run, &data)? else {
        return common::stopped();
    };
    // Stopped when it had no more than its own tokenizer, it begins here.
    run.resume = run.resume && (given || begun(&run.out)?);
    common::tell(format_args!("tokenizer: {}", tokenizer.report));
    let crop = Some(CropRange::new([0.2, 1.0]));
    let augmentation = Augmentation { crop, jitter: None, ..Augmentation::beit() };
    let recipe = args
        .recipe(Recipe::beit(), &data, 12_000, 1.5e-3)
        .with_lr_batch(64)
        .with_warmup_epochs(0.5);
    let config = tokenizer.config.clone();
    let changed = |beit: BeitConfig| BeitConfig {
        encoder: sizes.vit(beit.encoder),
        mask_ratio: masking.ratio(beit.mask_ratio),
        ..beit
    };
    if v2 {
        let beit = BeitV2Config::small_images(config);
        let beit = BeitV2Config { beit: changed(beit.beit), ..beit };
        let trained = run.pretrain_beit_v2(beit, tokenizer, &data, augmentation, recipe)?;
        common::report(&run, &trained)
    } else {
        let beit = changed(BeitConfig::small_images(config));
        let trained = run.pretrain_beit(beit, tokenizer, &data, augmentation, recipe)?;
        common::report(&run, &trained)
    }
}
