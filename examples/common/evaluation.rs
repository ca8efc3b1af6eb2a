//! The command line of `evaluate`.

use std::fs;
use std::path::PathBuf;

use burn_mim::data::DataSpec;
use burn_mim::run::{BackboneSource, Protocol};
use burn_mim::{Error, Result};
use clap::Parser;

use crate::data::{self, Reading};
use crate::numbers::{positive, side, workers};

/// Evaluates an encoder on labelled images.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a transformers folder | a file of published weights | none, for random weights
    #[arg(long)]
    pub(crate) checkpoint: BackboneSource,
    /// shapes | cifar10[:DIR] | cifar100[:DIR] | idx:DIR | folder:DIR
    #[arg(long, value_parser = data::spec())]
    pub(crate) data: DataSpec,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// linear | knn | finetune | partial | all
    #[arg(long)]
    pub(crate) protocol: Protocol,
    /// Seeds to repeat it with: of random weights, heads, orders and labelled parts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Evaluate random encoders of the same shape too
    #[arg(long)]
    pub(crate) baselines: bool,
    /// The share of labelled training images, of every class alike
    #[arg(long, default_value_t = 1.0)]
    pub(crate) labels: f64,
    /// Passes of fine-tuning: not for linear or knn [default: those that show about 30 000 images]
    #[arg(long, value_parser = positive)]
    pub(crate) epochs: Option<usize>,
    /// Images per batch
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) batch_size: usize,
    /// Read the class token instead of the mean over all cells
    #[arg(long)]
    pub(crate) class_token: bool,
    /// Side of the images that the encoder reads: published weights' position tables are resized to
    /// it [default: what they were trained on; 32 for random weights]
    #[arg(long, value_parser = side)]
    pub(crate) image_size: Option<usize>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_parser = workers)]
    pub(crate) workers: usize,
    /// Folder for scores.json, fine-tuned runs and the score card [default: runs/evaluate, and none
    /// for linear and knn]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

impl Args {
    /// Refuses what would not act.
    pub(crate) fn check(&self) -> Result<()> {
        let frozen = matches!(self.protocol, Protocol::Linear | Protocol::Knn);
        if frozen && self.epochs.is_some() {
            let fault =
                "--epochs is for finetune, partial and all: linear and knn train no encoder";
            return Err(Error::Config(fault.into()));
        }
        Ok(())
    }

    /// Where fine-tuned runs and the score card go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs/evaluate"))
    }

    /// Leaves the scores in the folder that was asked for.
    pub(crate) fn leave(&self, scores: &str) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let path = out.join("scores.json");
        fs::create_dir_all(out)
            .and_then(|()| fs::write(&path, scores))
            .map_err(|error| Error::data(&path, error))
    }
}
