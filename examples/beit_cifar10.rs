//! BEiT on small images, on a tokenizer that is trained first; leaves `runs/beit/`.
//!
//! ```text
//! cargo run --release --example beit_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example beit_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! cargo run --release --example beit_cifar10 -- --tokenizer runs/tokenizer --v2
//! ```

mod common;

use burn_mim::train::Recipe;
use common::methods::BeitArgs;

fn main() -> std::process::ExitCode {
    common::pretrain("beit", |args: &BeitArgs, command| {
        let (beit, crops) = (args.beit(&command)?, BeitArgs::crops());
        let recipe = command.recipe(Recipe::beit(), 12_000, 1.5e-3).with_lr_batch(64);
        let recipe = recipe.with_warmup_epochs(0.5);
        match args.v2 {
            true => command.train_augmented(BeitArgs::second(beit), recipe, crops),
            false => command.train_augmented(beit, recipe, crops),
        }
    })
}
