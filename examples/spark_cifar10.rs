//! SparK on small images; leaves `runs/spark/`.
//!
//! ```text
//! cargo run --release --example spark_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example spark_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::{NoFlags, pretrain};
use burn_mim::method::BuiltIn;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    pretrain::<BuiltIn, NoFlags>("spark", |_, _| Ok(()))
}
