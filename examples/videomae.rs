//! VideoMAE on small clips; leaves `runs/videomae/`.
//!
//! ```text
//! cargo run --release --example videomae                       # built-in clips, about 3 minutes
//! cargo run --release --example videomae -- --data clips:DIR   # folders of frames, GIF, WebP, video files
//! ```

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::pretrain("videomae")
}
