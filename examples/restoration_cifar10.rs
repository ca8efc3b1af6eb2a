//! Image restoration on small images; leaves `runs/restoration/`.
//!
//! ```text
//! cargo run --release --example restoration_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example restoration_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{RestorationConfig, train::Recipe};
use common::methods::RestoringVit;

fn main() -> std::process::ExitCode {
    common::pretrain("restoration", |args: &RestoringVit, command| {
        let restoration = RestorationConfig::small_images(command.image(32));
        let (encoder, contrast) = (args.vit(restoration.encoder)?, args.contrast);
        let recipe = command.recipe(Recipe::restoration(), 30_000, 1e-3).with_warmup_epochs(0.2);
        command.train(RestorationConfig { encoder, contrast, ..restoration }, recipe)
    })
}
