//! Joint-embedding prediction (I-JEPA) on small images; leaves `runs/ijepa/`.
//!
//! ```text
//! cargo run --release --example ijepa_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example ijepa_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::pretrain("ijepa")
}
