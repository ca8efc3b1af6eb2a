//! MaskFeat on small images; leaves `runs/maskfeat/`.
//!
//! ```text
//! cargo run --release --example maskfeat_cifar10                    # built-in data, about 3 minutes
//! cargo run --release --example maskfeat_cifar10 -- --data cifar10  # downloads CIFAR-10 first
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, clap::Args)]
struct Flags {
    /// hog | sobel: what is predicted of the hidden patches [default: hog]
    #[arg(long)]
    target: Option<String>,
}

fn main() -> std::process::ExitCode {
    built_in::pretrain_with::<Flags>("maskfeat", |flags, draft| {
        draft.put("numbers.target.target", flags.target.as_ref(), "--target")
    })
}
