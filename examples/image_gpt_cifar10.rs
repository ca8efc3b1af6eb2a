//! Image GPT on small images; leaves `runs/image_gpt/`.
//!
//! ```text
//! cargo run --release --example image_gpt_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example image_gpt_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{ImageGptConfig, train::Recipe};
use common::knobs::Sizes;

fn main() -> std::process::ExitCode {
    common::pretrain("image_gpt", |args: &Sizes, command| {
        let gpt = ImageGptConfig::small_images(command.image(16));
        let encoder = args.gpt(gpt.encoder)?;
        let recipe = command.recipe(Recipe::mae(), 10_000, 8e-3);
        let recipe = recipe.with_warmup_epochs(0.2).with_clip_norm(Some(1.0));
        command.train(ImageGptConfig { encoder, ..gpt }, recipe)
    })
}
