//! Fits a tokenizer on small images: what BEiT predicts.
//!
//! ```text
//! cargo run --release --example train_tokenizer                              # built-in data, about 2 minutes
//! cargo run --release --example train_tokenizer -- --tokenizer dvae --data idx:DIR
//! cargo run --release --example train_tokenizer -- --tokenizer vq-kd --teacher runs/mae
//! ```
//!
//! Leaves `runs/tokenizer/`: the tokenizer (`tokenizer.json`, `tokenizer.bpk`), `reconstruction.png`
//! (originals | what is
//! left of them, or their tokens as colors), `metrics.json`, and checkpoints.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::Result;
use burn_mim::method::TokenizerRecipe;
use clap::Parser;
use common::knobs::Rate;
use common::tokenizer::{Kind, check_size};

/// Trains a tokenizer, what BEiT predicts; leaves it, metrics and a picture in a folder.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: common::Args,
    #[command(flatten)]
    rate: Rate,
    /// Which tokenizer to fit
    #[arg(long, value_enum, default_value = "vq")]
    tokenizer: Kind,
    /// For vq-kd, whose features the tokens stand for: the folder of a pre-training run on the same
    /// data, or of a transformers model
    #[arg(long)]
    teacher: Option<PathBuf>,
}

fn main() -> ExitCode {
    common::exit(fit())
}

fn fit() -> Result<()> {
    let Args { common: args, rate, tokenizer, teacher } = Args::parse();
    tokenizer.check(&args, &rate)?;
    let data = args.open("tokenizer")?;
    let image = args.image(&data, 32);
    check_size(image)?;
    let epochs = args.epochs(&data, tokenizer.images());
    let mut recipe = TokenizerRecipe::small_images(epochs);
    recipe.recipe = rate.of(recipe.recipe.clone(), recipe.recipe.base_lr);
    let run = args.run("tokenizer", data)?;
    let Some(fitted) = tokenizer.fit(&run, image, teacher, &recipe)? else {
        return common::stopped();
    };
    common::tell(&fitted.report);
    common::tell(format_args!("the tokenizer, metrics and a picture are in {}", run.out.display()));
    fitted.report.usage.check()
}
