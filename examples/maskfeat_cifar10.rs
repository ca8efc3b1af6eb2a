//! MaskFeat on small images; leaves `runs/maskfeat/`.
//!
//! ```text
//! cargo run --release --example maskfeat_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example maskfeat_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

mod common;

use burn_mim::{MaskFeatConfig, data::augment::Augmentation, train::Recipe};
use common::methods::GradientVit;

fn main() -> std::process::ExitCode {
    common::pretrain("maskfeat", |args: &GradientVit, command| {
        let small = MaskFeatConfig::small_images(command.image(32));
        let (encoder, mask) = (args.vit.vit(small.encoder)?, args.vit.mask(small.mask)?);
        let recipe = command.recipe(Recipe::maskfeat(), 50_000, 8e-3).with_warmup_epochs(0.2);
        let recipe = recipe.with_betas([0.9, 0.95]).with_clip_norm(Some(1.0));
        // Crops are enlarged, and gradients of enlarged pixels are those of no other image.
        let flip = Augmentation { flip: true, ..Augmentation::none() };
        let target = args.target(encoder.patch);
        command.train_augmented(MaskFeatConfig { encoder, target, mask }, recipe, flip)
    })
}
