//! BEiT on small images, on a tokenizer that is trained first; leaves `runs/beit/`.
//!
//! ```text
//! cargo run --release --example beit_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example beit_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, clap::Args)]
struct Flags {
    /// BEiT v2: a condenser makes the class token know the image
    #[arg(long)]
    v2: bool,
}

fn main() -> std::process::ExitCode {
    built_in::pretrain_with::<Flags>("beit", |flags, draft| {
        draft.put("method", flags.v2.then_some("beit_v2"), "--v2")
    })
}
