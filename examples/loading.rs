//! How fast batches are loaded: read, decoded, cropped at random, resized and masked.
//!
//! ```text
//! cargo run --release --example loading -- --data folder:DIR --workers 2
//! ```
//!
//! The last line is one JSON object. `benches/pytorch/loader.py` has the same for torchvision.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use burn_mim::cli::numbers::{positive, side, workers};
use burn_mim::cli::{data, exit};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{DataSpec, Loader, LoaderConfig, MimCollate};
use burn_mim::run::device_named;
use burn_mim::{ImageShape, RandomMask, Result};
use clap::Parser;
use mimalloc::MiMalloc;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Times the loader over one epoch.
#[derive(Debug, Parser)]
struct Args {
    /// folder:DIR, or another data set of the pre-training examples
    #[arg(long, value_parser = data::spec())]
    data: DataSpec,
    #[command(flatten)]
    reading: data::Reading,
    /// Side of the images in a batch
    #[arg(long, default_value_t = 224, value_parser = side)]
    image_size: usize,
    /// Images per batch
    #[arg(long, default_value_t = 64, value_parser = positive)]
    batch_size: usize,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 2, value_parser = workers)]
    workers: usize,
}

fn main() -> ExitCode {
    exit::exit(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<()> {
    let data = args.reading.open(&args.data, &args.reading.options(), None)?;
    let image = ImageShape::square(data.shape.channels, args.image_size);
    let mask = Arc::new(RandomMask::mae(image.grid(16)?, 0.75)?);
    let collate = MimCollate::new(image, &data.statistics, Augmentation::mae(), mask)?;
    let config = LoaderConfig {
        batch_size: args.batch_size,
        seed: 0,
        workers: args.workers,
        training: true,
    };
    let loader = Loader::new(data.train, collate, config, &device_named("flex")?)?;
    let start = Instant::now();
    let mut images = 0;
    for batch in loader.epoch(0, 0) {
        images += batch?.images.dims()[0];
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = images as f64 / seconds;
    exit::answer(json!({ "images": images, "seconds": seconds, "images_per_s": rate }))
}
