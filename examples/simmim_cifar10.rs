//! SimMIM on small images; leaves `runs/simmim/`.
//!
//! ```text
//! cargo run --release --example simmim_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example simmim_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! cargo run --release --example simmim_cifar10 -- --encoder swin  # or swin-v2; vit by default
//! ```

mod common;

use burn_mim::train::Recipe;
use common::methods::{EncoderName::*, SimMimArgs};

fn main() -> std::process::ExitCode {
    common::pretrain("simmim", |args: &SimMimArgs, command| {
        let image = command.image(32);
        let recipe = command.recipe(Recipe::simmim(), 10_000, 8e-3).with_warmup_epochs(0.2);
        match args.encoder {
            Vit => command.train(args.on(args.vit(image)?)?, recipe),
            Swin => command.train(args.on(args.swin(image)?)?, recipe),
            SwinV2 => command.train(args.on(args.swin_v2(image)?)?, recipe),
        }
    })
}
