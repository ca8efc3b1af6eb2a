//! Fills the marked pixels of an image with what a masked image model expects there.
//!
//! ```text
//! cargo run --release --example simmim_cifar10        # trains runs/simmim, about 3 minutes
//! cargo run --release --example inpaint -- --checkpoint runs/simmim --image photo.png --mask mask.png
//! ```
//!
//! The image may have any size; the mask has the same one, white where pixels are to be filled. Writes
//! `inpainted.png`, and `inpainted_before_after.png` with image, mask and result side by side.
//!
//! A thing is taken out of all frames of a film likewise, by a mask that stays, or by a film of masks that
//! move with it. What other frames show of a hidden place is taken from there, and the model predicts the
//! rest:
//!
//! ```text
//! cargo run --release --example videomae              # trains runs/videomae, about 3 minutes
//! cargo run --release --example inpaint -- --checkpoint runs/videomae --film film.gif --mask masks.gif
//! ```
//!
//! `inpainted.png` is an animated PNG then; beside the strip, `inpainted_before_after.gif` moves.

#[path = "common/picture.rs"]
mod picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn_mim::cli::exit;
use burn_mim::data::Image;
use burn_mim::data::source::{clips, read_image};
use burn_mim::run::apply::{
    self, FilmPictures, Inpainter, before_after, marked_film, marked_pixels,
};
use burn_mim::run::device_named;
use burn_mim::viz::Animation;
use burn_mim::{Error, Result};
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
    #[arg(long, required_unless_present = "film", conflicts_with = "film")]
    image: Option<PathBuf>,
    /// A film in place of an image: a folder of frames, an animated GIF, PNG or WebP, or a video
    #[arg(long)]
    film: Option<PathBuf>,
    /// The mask, of the image's size: white pixels are filled. Of a film, an image or a film
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
    match (&args.image, &args.film) {
        (Some(image), _) => fill_image(args, image),
        (None, Some(film)) => fill_film(args, film),
        (None, None) => Err(Error::config("give an image or a film")),
    }
}

fn fill_film(args: &Args, film: &Path) -> Result<()> {
    let (beside, device) = (picture::beside(&args.out)?, device_named(&args.device)?);
    let frames = read_film(film)?;
    // One image is a mask that stays.
    let masks = read_film(&args.mask).or_else(|fault| {
        read_image(&args.mask).map(|mask| vec![mask.in_8_bits()]).map_err(|_| fault)
    })?;
    let marked = marked_film(&masks, frames[0].shape(), frames.len())?;
    let inpainter = Inpainter::open(&args.checkpoint, &device)?;
    inpainter.notes.iter().for_each(exit::say);
    let filled = inpainter.fill_film(&frames, &marked)?;
    let mut pictures = FilmPictures::new("Inpainting", ["before", "mask", "after"]);
    for (frame, after) in filled.iter().enumerate() {
        let mask = &masks[frame % masks.len()];
        let shown = [&frames[frame], mask, after].map(apply::small_picture);
        pictures.add(|| shown.into_iter().collect())?;
    }
    let filled: Result<_> = filled.iter().map(apply::picture).collect();
    Animation::new(filled?)?.save(&args.out)?;
    pictures.strip()?.save(&beside)?;
    let moving = beside.with_extension("gif");
    pictures.animation()?.save(&moving)?;
    let (out, strip) = (args.out.display(), beside.display());
    exit::tell(format_args!("{out}, {strip} and {}", moving.display()));
    Ok(())
}

/// All frames of a film, in 8 bits.
fn read_film(path: &Path) -> Result<Vec<Image>> {
    clips::frames(path)?.map(|frame| frame.map(Image::in_8_bits)).collect()
}

fn fill_image(args: &Args, image: &Path) -> Result<()> {
    let (beside, device) = (picture::beside(&args.out)?, device_named(&args.device)?);
    let read = |path| read_image(path).map(Image::in_8_bits);
    let (image, mask) = (read(image)?, read(&args.mask)?);
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
