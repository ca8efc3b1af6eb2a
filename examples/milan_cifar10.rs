//! MILAN on small images, with a teacher that is trained first; leaves `runs/milan/`.
//!
//! ```text
//! cargo run --release --example milan_cifar10                        # built-in data, about 3 minutes
//! cargo run --release --example milan_cifar10 -- --teacher runs/mae  # the features of another run
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::pretrain("milan")
}
