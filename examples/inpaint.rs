//! Fills the marked pixels of an image with what a masked image model expects there.
//!
//! ```text
//! cargo run --release --example simmim_cifar10        # trains runs/simmim, about 3 minutes
//! cargo run --release --example inpaint -- --checkpoint runs/simmim --image photo.png --mask mask.png
//! ```
//!
//! The image may have any size; the mask has the same one, white where pixels are to be filled. Writes
//! `inpainted.png`, and `inpainted_before_after.png` with image, mask and result side by side.

#[path = "common/picture.rs"]
mod picture;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::Result;
use burn_mim::cli::exit;
use burn_mim::data::Image;
use burn_mim::data::source::read_image;
use burn_mim::run::apply::{self, Inpainter, before_after, marked_pixels};
use burn_mim::run::device_named;
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Fills the marked pixels of an image.
#[derive(Debug, Parser)]
struct Args {
    /// A run of MAE or SimMIM | a transformers folder or file of such a model with its decoder
    #[arg(long, default_value = "runs/simmim")]
    checkpoint: PathBuf,
    /// The image
    #[arg(long)]
    image: PathBuf,
    /// The mask, of the image's size: white pixels are filled
    #[arg(long)]
    mask: PathBuf,
    /// The PNG file to write; a second one beside it, NAME_before_after.png, shows before and after
    #[arg(long, default_value = "inpainted.png")]
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
    let read = |path| read_image(path).map(Image::in_8_bits);
    let (image, mask) = (read(&args.image)?, read(&args.mask)?);
    let marked = marked_pixels(&mask, image.shape())?;
    let inpainter = Inpainter::open(&args.checkpoint, &device)?;
    inpainter.notes.iter().for_each(exit::say);
    let filled = inpainter.fill(&image, &marked)?;
    apply::picture(&filled)?.save(&args.out)?;
    let columns: [(&str, &Image); 3] = [("before", &image), ("mask", &mask), ("after", &filled)];
    let sheet = before_after("Inpainting", &columns)?;
    sheet.save(&beside)?;
    exit::tell(format_args!("{} and {}", args.out.display(), beside.display()));
    Ok(())
}
