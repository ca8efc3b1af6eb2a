//! Image restoration on small images; leaves `runs/restoration/`.
//!
//! ```text
//! cargo run --release --example restoration_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example restoration_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, clap::Args)]
struct Flags {
    /// The weight of the paper's contrastive loss, there 0.1 [default: 0, better for small models]
    #[arg(long)]
    contrast: Option<f64>,
}

fn main() -> std::process::ExitCode {
    built_in::pretrain_with::<Flags>("restoration", |flags, draft| {
        draft.put("numbers.contrast", flags.contrast, "--contrast")
    })
}
