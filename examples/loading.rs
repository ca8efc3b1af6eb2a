//! How fast batches are loaded: read, decoded, cropped at random, resized and masked.
//!
//! ```text
//! cargo run --release --example loading -- --data folder:DIR --workers 2
//! ```
//!
//! `--files` reads the files of the images alone, without decoding them, in the same order. `--order`
//! times the first batch of an epoch of so many images in shards of 10 000. `benches/shards` runs both.
//!
//! The last line is one JSON object. `benches/pytorch/loader.py` has the same for torchvision.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use burn_mim::cli::numbers::{positive, side, workers};
use burn_mim::cli::{data, exit};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{
    ChannelStatistics, Collate, DataSpec, ImageDataset, Item, Loader, LoaderConfig, MimCollate,
};
use burn_mim::run::device_named;
use burn_mim::{ImageShape, RandomMask, Result};
use clap::Parser;
use mimalloc::MiMalloc;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Times the loader over one epoch.
#[derive(Debug, Parser)]
struct Args {
    /// folder:DIR, or another data set of the pre-training examples
    #[arg(long, default_value = "shapes", value_parser = data::spec())]
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
    /// Shards that are shuffled together, of data in shards
    #[arg(long, value_parser = positive)]
    shuffle_window: Option<usize>,
    /// Read the files of the images, and nothing else
    #[arg(long)]
    files: bool,
    /// Make the order of so many images, and nothing else
    #[arg(long, value_parser = positive)]
    order: Option<usize>,
}

/// Numbers in place of images.
struct Numbers(usize);

impl Dataset<usize> for Numbers {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        Ok(index)
    }

    fn len(&self) -> usize {
        self.0
    }
}

/// The numbers of a batch.
#[derive(Debug)]
struct Indices;

impl Collate for Indices {
    type Sample = usize;
    type Batch = Vec<usize>;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<usize>>>,
        _: &Device,
    ) -> Result<Vec<usize>> {
        items.map(|item| Ok(item?.index)).collect()
    }
}

/// The files of a data set as its samples.
struct Files(Arc<dyn ImageDataset>);

impl Dataset<usize> for Files {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        let file = self.0.file(index).map_err(DatasetError::new)?;
        Ok(file.map_or(0, |file| file.bytes.len()))
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The order that is asked for: in windows, or of all.
fn ordered<C: Collate>(
    loader: Loader<C>,
    args: &Args,
    shards: Option<Vec<usize>>,
) -> Result<Loader<C>> {
    match (args.shuffle_window, shards) {
        (Some(window), Some(shards)) => loader.in_windows(&shards, window),
        _ => Ok(loader),
    }
}

fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kb| kb / 1e3)
}

fn main() -> ExitCode {
    exit::exit(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<()> {
    let config = LoaderConfig {
        batch_size: args.batch_size,
        seed: 0,
        workers: args.workers,
        training: true,
    };
    let device = &device_named("flex")?;
    match args.order {
        Some(images) => order(args, images, config, device),
        None if args.files => files(args, config, device),
        None => batches(args, config, device),
    }
}

/// Times the order of `images` images, asked for from its middle.
fn order(args: &Args, images: usize, config: LoaderConfig, device: &Device) -> Result<()> {
    let start = Instant::now();
    let loader = Loader::new(Arc::new(Numbers(images)), Indices, config, device)?;
    let full = std::iter::repeat_n(10_000, images / 10_000);
    let loader = ordered(loader, args, Some(full.chain([images % 10_000]).collect()))?;
    let batch = loader.epoch(0, loader.batches() / 2).next().transpose()?.unwrap_or_default();
    let seconds = start.elapsed().as_secs_f64();
    exit::answer(json!({ "batch": batch.len(), "seconds": seconds, "peak_rss_mb": peak_rss_mb() }))
}

/// Times the opening of the data and the reading of its files.
fn files(args: &Args, config: LoaderConfig, device: &Device) -> Result<()> {
    let start = Instant::now();
    let color = ImageShape::square(3, 1);
    let options =
        args.reading.options_for(color, &args.data).with_shuffle_window(args.shuffle_window);
    // With statistics that are given, opening reads one image.
    let data = args.reading.open(&args.data, &options, Some(ChannelStatistics::none(3)))?;
    let (opened, memory) = (start.elapsed().as_secs_f64(), peak_rss_mb());
    let shards = data.train.shards();
    let loader = Loader::new(Arc::new(Files(data.train)), Indices, config, device)?;
    let loader = ordered(loader, args, shards)?;
    let (start, mut images) = (Instant::now(), 0);
    for batch in loader.epoch(0, 0) {
        images += batch?.len();
    }
    let mut measured = speed(images, start);
    measured["open_s"] = json!(opened);
    measured["open_peak_rss_mb"] = json!(memory);
    exit::answer(measured)
}

/// Times the loader.
fn batches(args: &Args, config: LoaderConfig, device: &Device) -> Result<()> {
    let options = args.reading.options().with_shuffle_window(args.shuffle_window);
    let data = args.reading.open(&args.data, &options, None)?;
    let image = ImageShape::square(data.shape.channels, args.image_size);
    let mask = Arc::new(RandomMask::mae(image.grid(16)?, 0.75)?);
    let collate = MimCollate::new(image, &data.statistics, Augmentation::mae(), mask)?;
    let shards = data.train.shards();
    let loader = ordered(Loader::new(data.train, collate, config, device)?, args, shards)?;
    let (start, mut images) = (Instant::now(), 0);
    for batch in loader.epoch(0, 0) {
        images += batch?.images.dims()[0];
    }
    exit::answer(speed(images, start))
}

fn speed(images: usize, start: Instant) -> Value {
    let seconds = start.elapsed().as_secs_f64();
    let (rate, memory) = (images as f64 / seconds, peak_rss_mb());
    json!({ "images": images, "seconds": seconds, "images_per_s": rate, "peak_rss_mb": memory })
}
