//! CAE on small images, with a tokenizer that is trained first; leaves `runs/cae/`.
//!
//! ```text
//! cargo run --release --example cae_cifar10                               # built-in data, about 3 minutes
//! cargo run --release --example cae_cifar10 -- --tokenizer runs/tokenizer # the tokens of another run
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::pretrain("cae")
}
