//! The command line of `evaluate`.

use std::path::PathBuf;

use burn_mim::data::DataSpec;
use burn_mim::run::{BackboneSource, Protocol};
use clap::Parser;

use crate::data::{self, Reading};

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
    #[arg(long, default_value_t = 1)]
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
    /// Passes of fine-tuning [default: those that show about 30 000 images]
    #[arg(long)]
    pub(crate) epochs: Option<usize>,
    /// Images per batch
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_size: usize,
    /// Read the class token instead of the mean over all cells
    #[arg(long)]
    pub(crate) class_token: bool,
    /// Side of the images that the encoder reads: published weights' position tables are resized to
    /// it [default: what they were trained on; 32 for random weights]
    #[arg(long)]
    pub(crate) image_size: Option<usize>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Folder for fine-tuned runs and the score card
    #[arg(long, default_value = "runs/evaluate")]
    pub(crate) out: PathBuf,
}
