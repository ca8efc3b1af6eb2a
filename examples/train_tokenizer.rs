//! Fits a tokenizer on small images: what BEiT predicts.
//!
//! ```text
//! cargo run --release --example train_tokenizer                              # built-in data, about 2 minutes
//! cargo run --release --example train_tokenizer -- --tokenizer dvae --data idx:DIR
//! ```
//!
//! Leaves `runs/tokenizer/`: the tokenizer (`tokenizer.json`, `tokenizer.bpk`), `reconstruction.png`
//! (originals | what is left of them), `metrics.json`, and checkpoints.

mod common;

use std::process::ExitCode;

use burn_mim::Result;
use clap::Parser;
use common::tokenizer::{Kind, recipe};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: common::Args,
    /// Which tokenizer to fit
    #[arg(long, value_enum, default_value = "vq")]
    tokenizer: Kind,
}

fn main() -> ExitCode {
    common::exit(fit())
}

fn fit() -> Result<()> {
    let Args { common: args, tokenizer } = Args::parse();
    let data = args.open()?;
    let config = tokenizer.config(args.image(&data));
    let (run, _) = args.run("tokenizer")?;
    let recipe = recipe(args.epochs(&data, tokenizer.images()));
    let Some(fitted) = run.fit_tokenizer(config, &data, &recipe)? else {
        println!("stopped before the last epoch: --resume goes on");
        return Ok(());
    };
    println!("{}", fitted.report);
    println!("the tokenizer, metrics and a picture are in {}", run.out.display());
    fitted.report.usage.check()
}
