//! Writes the batches of a run on masked images: for training another implementation from the same
//! weights on the same images in the same order, with the same crops and masks
//! (`benches/pytorch/accuracy.py`).
//!
//! ```text
//! cargo run --release --example batches -- --run runs/mae --out DIR
//! ```
//!
//! Leaves `epoch-0.safetensors` and so on in DIR: `images` f32 [batches × batch, c, h, w],
//! normalized and augmented, in the order of training; `hidden` u8 [batches × batch, patches],
//! 1 = hidden. And of a masked autoencoder `start/`, its first weights as a folder for Hugging Face
//! transformers.

#[path = "common/tensors.rs"]
mod tensors;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn_mim::checkpoint::save_mae;
use burn_mim::cli::{data, exit, numbers};
use burn_mim::data::{LoaderConfig, MimCollate};
use burn_mim::method::Method;
use burn_mim::nn::InitialWeights;
use burn_mim::run::{RunConfig, device_named};
use burn_mim::train::RunFolder;
use burn_mim::{Error, MaeConfig, MimBatch, Result, SimMimConfig};
use clap::Parser;
use mimalloc::MiMalloc;
use safetensors::tensor::Dtype;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Parser)]
struct Args {
    /// The run, of `mae_cifar10` or `simmim_cifar10`
    #[arg(long)]
    run: PathBuf,
    /// Folder for the files
    #[arg(long)]
    out: PathBuf,
    /// How many epochs of the run to write; each file holds one, uncompressed
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Images per batch, as in the run
    #[arg(long, default_value_t = 64, value_parser = numbers::positive)]
    batch_size: usize,
}

fn main() -> ExitCode {
    exit::exit(write_epochs(&Args::parse()))
}

fn write_epochs(args: &Args) -> Result<()> {
    let folder = &RunFolder::new(&args.run);
    let Ok(run) = RunConfig::<MaeConfig>::of(folder) else {
        return write_batches(args, &RunConfig::<SimMimConfig>::of(folder)?);
    };
    write_batches(args, &run)?;
    let weights = &mut InitialWeights::new(run.seed, &device_named("flex")?);
    save_mae(args.out.join("start"), &run.numbers.init(weights), &run.numbers)
}

fn write_batches<M: Method<Collate = MimCollate>>(args: &Args, run: &RunConfig<M>) -> Result<()> {
    let collate = run.numbers.collate(&run.facts(), run.augmentation)?;
    let config =
        LoaderConfig { batch_size: args.batch_size, seed: run.seed, workers: 1, training: true };
    let spec = run.data.as_ref();
    let spec = spec.ok_or_else(|| Error::Config("the run's images were in memory".into()))?;
    let data = data::open(spec, &run.data_options, Some(run.statistics.clone()))?;
    let loader = data.loader(&data.train, collate, config, &device_named("flex")?)?;
    fs::create_dir_all(&args.out).map_err(|error| Error::data(&args.out, error))?;
    for epoch in 0..args.epochs {
        let batches: Result<Vec<_>> = loader.epoch(epoch, 0).collect();
        write(&args.out.join(format!("epoch-{epoch}.safetensors")), &batches?)?;
    }
    Ok(())
}

fn write(path: &Path, batches: &[MimBatch]) -> Result<()> {
    let samples: usize = batches.iter().map(MimBatch::size).sum();
    let (mut images, mut hidden) = (Vec::new(), Vec::new());
    for batch in batches {
        let values = batch.images.to_data();
        images.extend(values.iter::<f32>().flat_map(f32::to_le_bytes));
        hidden.extend(batch.mask.samples().iter().flat_map(|mask| mask.bits()).map(|&b| b as u8));
    }
    let [_, channels, height, width] = batches[0].images.dims();
    let cells = batches[0].mask.grid().cells();
    let images = ("images", Dtype::F32, vec![samples, channels, height, width], images);
    tensors::write(path, &[images, ("hidden", Dtype::U8, vec![samples, cells], hidden)])
}
