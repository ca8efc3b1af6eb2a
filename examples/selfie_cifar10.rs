//! Selfie on small images; leaves `runs/selfie/`.
//!
//! ```text
//! cargo run --release --example selfie_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example selfie_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{SelfieConfig, train::Recipe};
use common::methods::MaskedPatches;

fn main() -> std::process::ExitCode {
    common::pretrain("selfie", |args: &MaskedPatches, command| {
        let selfie = SelfieConfig::small_images(command.image(32));
        let (patch, mask) = (args.patches.side(selfie.patch), args.masking.of(selfie.mask)?);
        let recipe = command.recipe(Recipe::mae(), 10_000, 4e-3);
        let recipe = recipe.with_warmup_epochs(0.2).with_clip_norm(Some(1.0));
        command.train(SelfieConfig { patch, mask, ..selfie }, recipe)
    })
}
