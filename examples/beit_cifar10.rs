//! BEiT on small images, with a tokenizer trained in the same run.
//!
//! ```text
//! cargo run --release --example beit_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example beit_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! cargo run --release --example beit_cifar10 -- --tokenizer runs/tokenizer --v2
//! ```
//!
//! Leaves `runs/beit/`: checkpoints, `metrics.json`, `reconstruction.png` (predicted
//! tokens, decoded or as colours), `loss_curve.png`; and in `tokenizer/` what `train_tokenizer` leaves.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::task::BeitV2Config;
use burn_mim::train::Recipe;
use burn_mim::{BeitConfig, Result};
use clap::Parser;
use common::tokenizer::{begun, fitted};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: common::Args,
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
    let Args { common: args, tokenizer, v2 } = Args::parse();
    let data = args.open("beit")?;
    let (mut run, _) = args.run("beit")?;
    let given = tokenizer.is_some();
    let Some(tokenizer) = fitted(&args, tokenizer, &run, &data)? else {
        return common::stopped();
    };
    // Stopped when it had no more than its own tokenizer, it begins here.
    run.resume = run.resume && (given || begun(&run.out)?);
    common::tell(format_args!("tokenizer: {}", tokenizer.report));
    let crop = Some(CropRange::new([0.2, 1.0]));
    let augmentation = Augmentation { crop, jitter: None, ..Augmentation::beit() };
    let recipe = Recipe::beit()
        .with_epochs(args.epochs(&data, 12_000))
        .with_base_lr(1.5e-3)
        .with_lr_batch(64)
        .with_warmup_epochs(0.5);
    let config = tokenizer.config.clone();
    if v2 {
        let beit = BeitV2Config::small_images(config);
        let trained = run.pretrain_beit_v2(beit, tokenizer, &data, augmentation, recipe)?;
        common::report(&run, &trained)
    } else {
        let beit = BeitConfig::small_images(config);
        let trained = run.pretrain_beit(beit, tokenizer, &data, augmentation, recipe)?;
        common::report(&run, &trained)
    }
}
