//! SimMIM on small images; leaves `runs/simmim/`.
//!
//! ```text
//! cargo run --release --example simmim_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example simmim_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, clap::Args)]
struct Flags {
    /// vit | swin | swin-v2 | convnext-v2: the network to pre-train [default: vit]
    #[arg(long)]
    encoder: Option<String>,
}

fn main() -> std::process::ExitCode {
    built_in::pretrain_with::<Flags>("simmim", |flags, draft| {
        draft.put("variant", flags.encoder.as_ref(), "--encoder")
    })
}
