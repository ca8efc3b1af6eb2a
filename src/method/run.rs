//! Where a run reads and writes.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;

use crate::data::augment::Augmentation;
use crate::data::{Collate, ImageData, ImageDataset, Loader, LoaderConfig};
use crate::error::{Error, Result};
use crate::train::{Interrupt, Precision, Progress, Recipe};

/// One pre-training run: its images, where it reads and writes, and what it runs on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// The images.
    pub data: ImageData,
    /// The folder for checkpoints, metrics and pictures.
    pub out: PathBuf,
    /// How to train; as the method's paper does where it is `None`.
    pub recipe: Option<Recipe>,
    /// How to augment images; as the method's paper does where it is `None`.
    pub augmentation: Option<Augmentation>,
    /// Samples per batch.
    pub batch_size: usize,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Where the model is trained.
    pub device: Device,
    /// What a step computes in.
    pub precision: Precision,
    /// Whether to go on from the newest whole checkpoint in `out`; it is an error if there is none.
    pub resume: bool,
    /// Whether to go on with other images than those the run began with.
    pub accept_changed_data: bool,
    /// Every how many epochs to measure the encoder's k-NN accuracy on a part of the labelled
    /// images, as `knn_top1` among the epoch's metrics; never with 0.
    pub probe: usize,
    /// Who may stop it.
    pub interrupt: Interrupt,
    /// How it reports.
    pub progress: Progress,
}

impl Run {
    /// A run on `data` that leaves its files in `out`. It trains as the method's paper does, in f32
    /// with batches of 64 that one thread prepares, with seed 0, from the start, without a probe,
    /// and without reports. All of these are public fields.
    pub fn new(data: ImageData, out: impl Into<PathBuf>, device: &Device) -> Self {
        Self {
            data,
            out: out.into(),
            recipe: None,
            augmentation: None,
            batch_size: 64,
            seed: 0,
            workers: 1,
            device: device.clone(),
            precision: Precision::F32,
            resume: false,
            accept_changed_data: false,
            probe: 0,
            interrupt: Interrupt::default(),
            progress: Progress::Silent,
        }
    }

    /// The first batch of the test split as `valid` makes it: what a picture of the trained model
    /// shows.
    ///
    /// # Errors
    ///
    /// When the batch cannot be made.
    pub fn validation_batch<C: Collate>(&self, valid: C) -> Result<C::Batch> {
        let first = self.loader(&self.data.test, valid, false)?.epoch(0, 0).next();
        first.unwrap_or_else(|| Err(Error::config("there is no image to test on")))
    }

    /// Batches of `dataset` as this run makes them.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    pub fn loader<C: Collate>(
        &self,
        dataset: &Arc<dyn ImageDataset>,
        collate: C,
        training: bool,
    ) -> Result<Loader<C>> {
        let Self { batch_size, seed, workers, .. } = *self;
        let config = LoaderConfig { batch_size, seed, workers, training };
        Loader::new(dataset.clone(), collate, config, &self.device)
    }
}
