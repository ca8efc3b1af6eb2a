//! data2vec 2.0 on small images; leaves `runs/data2vec/`.
//!
//! ```text
//! cargo run --release --example data2vec_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example data2vec_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, clap::Args)]
struct Flags {
    /// The first data2vec: a mask token, one mask of each image, a linear head
    #[arg(long)]
    v1: bool,
}

fn main() -> std::process::ExitCode {
    built_in::pretrain_with::<Flags>("data2vec", |flags, draft| {
        draft.put("method", flags.v1.then_some("data2vec_v1"), "--v1")
    })
}
