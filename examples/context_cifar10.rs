//! Context prediction on small images; leaves `runs/context/`.
//!
//! ```text
//! cargo run --release --example context_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example context_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{ContextConfig, train::Recipe};
use common::methods::Nothing;

fn main() -> std::process::ExitCode {
    common::pretrain("context", |_: &Nothing, command| {
        let recipe = command.recipe(Recipe::mae(), 60_000, 4e-3);
        let recipe = recipe.with_warmup_epochs(0.2).with_clip_norm(Some(1.0));
        let image = command.image(32);
        command.train(ContextConfig::small_images(image), recipe)
    })
}
