//! MAE on Hiera on small images; leaves `runs/hiera_mae/`.
//!
//! ```text
//! cargo run --release --example hiera_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example hiera_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::{NoFlags, pretrain};
use burn_mim::method::BuiltIn;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    pretrain::<BuiltIn, NoFlags>("hiera_mae", |_, _| Ok(()))
}
