//! BEiT on small images, with a tokenizer trained in the same run.
//!
//! ```text
//! cargo run --release --example beit_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example beit_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! cargo run --release --example beit_cifar10 -- --tokenizer runs/tokenizer
//! ```
//!
//! Leaves `runs/beit/`: checkpoints, `metrics.json`, `reconstruction.png` (decoded predicted
//! tokens), `loss_curve.png`; and in `tokenizer/` what `train_tokenizer` leaves.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::data::ImageData;
use burn_mim::data::augment::{Augmentation, CropRange};
use burn_mim::run::{FittedTokenizer, Run, has_tokenizer, load_tokenizer};
use burn_mim::train::Recipe;
use burn_mim::{BeitConfig, Result};
use clap::Parser;
use common::tokenizer::{Kind, recipe};
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
}

fn main() -> ExitCode {
    common::exit(pretrain())
}

fn pretrain() -> Result<()> {
    let Args { common: args, tokenizer } = Args::parse();
    let data = args.open()?;
    let (run, _) = args.run("beit")?;
    let Some(tokenizer) = fitted(&args, tokenizer, &run, &data)? else {
        println!("stopped before the tokenizer's last epoch: --resume goes on");
        return Ok(());
    };
    println!("tokenizer: {}", tokenizer.report);
    let beit = BeitConfig::small_images(tokenizer.config.clone());
    let crop = Some(CropRange::new([0.2, 1.0]));
    let augmentation = Augmentation { crop, jitter: None, ..Augmentation::beit() };
    let recipe = Recipe::beit()
        .with_epochs(args.epochs(&data, 12_000))
        .with_base_lr(1.5e-3)
        .with_lr_batch(64)
        .with_warmup_epochs(0.5);
    let pretrained = run.pretrain_beit(beit, tokenizer, &data, augmentation, recipe)?;
    common::report(&run, &pretrained.history, pretrained.interrupted);
    Ok(())
}

/// The tokenizer that was asked for, that of the run to go on with, or a new one.
fn fitted(
    args: &common::Args,
    given: Option<PathBuf>,
    run: &Run,
    data: &ImageData,
) -> Result<Option<FittedTokenizer>> {
    let own = run.out.join("tokenizer");
    let finished = run.resume && has_tokenizer(&own);
    if let Some(folder) = given.or_else(|| finished.then(|| own.clone())) {
        let (config, tokenizer) = load_tokenizer(&folder, &run.device)?;
        let report = run.measure_tokenizer(&config, &tokenizer, data)?;
        return Ok(Some(FittedTokenizer { config, tokenizer, report }));
    }
    let run = Run { out: own, ..run.clone() };
    let config = Kind::Vq.config(args.image(data));
    run.fit_tokenizer(config, data, &recipe(Kind::Vq.images().div_ceil(data.train.len())))
}
