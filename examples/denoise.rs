//! Takes noise, rain or a loss of resolution out of an image with a restoration model.
//!
//! ```text
//! cargo run --release --example restoration_cifar10    # trains runs/restoration, a few minutes
//! cargo run --release --example denoise -- --image photo.png
//! cargo run --release --example denoise -- --image photo.png --spoil   # spoils it first, to compare
//! ```
//!
//! The image may have any size. Writes `denoised.png`, and `denoised_before_after.png`.

#[path = "common/picture.rs"]
mod picture;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::cli::exit;
use burn_mim::data::source::read_image;
use burn_mim::rng::{Purpose, stream};
use burn_mim::run::apply::{self, before_after, denoise};
use burn_mim::run::device_named;
use burn_mim::{CorruptionConfig, Result};
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Undoes a corruption of an image.
#[derive(Debug, Parser)]
struct Args {
    /// Folder of a restoration run
    #[arg(long, default_value = "runs/restoration")]
    checkpoint: PathBuf,
    /// The image
    #[arg(long)]
    image: PathBuf,
    /// What is wrong with it: one of those the model was trained on
    #[arg(long, default_value = "noise-30")]
    corruption: CorruptionConfig,
    /// Spoil the image first; the picture then shows the original too
    #[arg(long)]
    spoil: bool,
    /// The PNG file to write; a second one beside it, NAME_before_after.png, shows before and after
    #[arg(long, default_value = "denoised.png")]
    out: PathBuf,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

fn main() -> ExitCode {
    exit::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let (beside, device) = (picture::beside(&args.out)?, device_named(&args.device)?);
    let original = read_image(&args.image)?.in_8_bits();
    let mut image = original.clone();
    if args.spoil {
        let mut rng = stream(0, Purpose::Corruption, 0, 0);
        image = args.corruption.build().corrupt(&original, &mut rng)?;
    }
    let restored = denoise(&args.checkpoint, &image, args.corruption, &device)?;
    apply::picture(&restored)?.save(&args.out)?;
    let mut columns = vec![("before", &image), ("after", &restored)];
    if args.spoil {
        columns.insert(0, ("original", &original));
    }
    before_after(&format!("Restoration of {}", args.corruption), &columns)?.save(&beside)?;
    exit::tell(format_args!("{} and {}", args.out.display(), beside.display()));
    Ok(())
}
