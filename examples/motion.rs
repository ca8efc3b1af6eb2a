//! Shows what moves in a film: each pixel's share of motion in each frame.
//!
//! ```text
//! cargo run --release --example motion -- --film film.mp4               # differences from the background
//! cargo run --release --example videomae                                # trains runs/videomae, about 3 minutes
//! cargo run --release --example motion -- --film film.mp4 --checkpoint runs/videomae
//! cargo run --release --example motion -- --roc --checkpoint runs/videomae   # measures it
//! ```
//!
//! A film is a folder of frames, an animated GIF, PNG or WebP, or a video that ffmpeg reads, of any size. Writes
//! the folder `motion`: `000001.png`, ... and, with the film beside its motion, `before_after.gif` and
//! `before_after.png`.

use burn_mim::cli::built_in;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    built_in::motion()
}
