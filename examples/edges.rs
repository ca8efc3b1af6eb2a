//! Draws the edges of an image, and those that a model expects in patches it does not see.
//!
//! ```text
//! cargo run --release --example edges -- --image photo.png
//! cargo run --release --example maskfeat_cifar10 -- --target sobel --out runs/edges
//! cargo run --release --example edges -- --image photo.png --checkpoint runs/edges
//! ```
//!
//! The image may have any size. Writes `edges.png`, and `edges_before_after.png`.

#[path = "common/picture.rs"]
mod picture;

use std::path::PathBuf;
use std::process::ExitCode;

use burn_mim::Result;
use burn_mim::cli::exit;
use burn_mim::data::source::read_image;
use burn_mim::run::apply::{self, before_after, edges, predicted_edges};
use burn_mim::run::device_named;
use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Draws the edges of an image.
#[derive(Debug, Parser)]
struct Args {
    /// Folder of a MaskFeat run of the Sobel target; without one the true edges alone are drawn
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// The image
    #[arg(long)]
    image: PathBuf,
    /// The PNG file to write; a second one beside it, NAME_before_after.png, shows before and after
    #[arg(long, default_value = "edges.png")]
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
    let image = read_image(&args.image)?.in_8_bits();
    let drawn = match &args.checkpoint {
        None => vec![("edges", edges(&image, &device)?)],
        Some(run) => {
            let [truth, predicted] = predicted_edges(run, &image, &device)?;
            vec![("edges", truth), ("predicted edges", predicted)]
        }
    };
    let (_, last) = drawn.last().expect("there is one");
    apply::picture(last)?.save(&args.out)?;
    let columns: Vec<_> = std::iter::once(("image", &image))
        .chain(drawn.iter().map(|(title, image)| (*title, image)))
        .collect();
    before_after("Edges", &columns)?.save(&beside)?;
    exit::tell(format_args!("{} and {}", args.out.display(), beside.display()));
    Ok(())
}
