//! MAE on small images; leaves `runs/mae/`.
//!
//! ```text
//! cargo run --release --example mae_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example mae_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{MaeConfig, train::Recipe};
use common::methods::MaskedVit;

fn main() -> std::process::ExitCode {
    common::pretrain("mae", |args: &MaskedVit, command| {
        let mae = MaeConfig::small_images(command.image(32));
        let (encoder, mask) = (args.vit(mae.encoder)?, args.mask(mae.mask)?);
        let recipe = command.recipe(Recipe::mae(), 30_000, 4e-3).with_warmup_epochs(0.5);
        command.train(MaeConfig { encoder, mask, ..mae }, recipe)
    })
}
