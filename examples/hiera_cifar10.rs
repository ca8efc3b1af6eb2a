//! MAE on Hiera on small images; leaves `runs/hiera_mae/`.
//!
//! ```text
//! cargo run --release --example hiera_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example hiera_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::pretrain("hiera_mae")
}
