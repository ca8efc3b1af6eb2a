//! A run: its images, its folder, and its choices.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;

use super::{InitFrom, RefineStage};
use crate::data::augment::Augmentation;
use crate::data::{Collate, ImageData, ImageDataset, Loader, LoaderConfig, Sample};
use crate::error::{Error, Result};
#[cfg(feature = "run")]
use crate::file::FileLock;
#[cfg(feature = "run")]
use crate::train::RunFolder;
use crate::train::{Budget, Interrupt, Precision, Progress, Ranks, Recipe, Saves};

/// Rows of a method's picture.
const PICTURE_ROWS: usize = 8;

/// One pre-training run: its images, the folder it writes to, and the device it runs on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// The images.
    pub data: ImageData,
    /// The folder for checkpoints, metrics and pictures.
    pub out: PathBuf,
    /// The recipe; `None` is the recipe of the method's paper.
    pub recipe: Option<Recipe>,
    /// How long the run is; `None` is the epochs of the recipe.
    pub budget: Option<Budget>,
    /// The augmentation; `None` is the augmentation of the method's paper.
    pub augmentation: Option<Augmentation>,
    /// The weights that the run begins with; `None` is fresh ones. A resumed run has those of its
    /// checkpoint, and does not look at the source again.
    pub init_from: Option<InitFrom>,
    /// What the commands go on with after the run's own epochs, in the folder `refined` in `out`:
    /// a refinement of its encoder; `None` is nothing. [`pretrain`](Self::pretrain) writes it down
    /// and does the run itself.
    pub refine: Option<RefineStage>,
    /// Samples per batch.
    pub batch_size: usize,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
    /// Threads that prepare batches.
    pub workers: usize,
    /// The device that the model is trained on.
    pub device: Device,
    /// The floating-point type that a step computes in.
    pub precision: Precision,
    /// Whether to go on from the newest whole checkpoint in `out`; it is an error if there is none.
    pub resume: bool,
    /// Whether a resumed run may use other images than it began with.
    pub accept_changed_data: bool,
    /// The number of epochs between two measurements of the encoder's k-NN accuracy on a part of
    /// the labelled images, which is `knn_top1` among the metrics of an epoch; 0 for no
    /// measurements.
    pub probe: usize,
    /// The number of steps between two lines of the run's `log.jsonl`; 0 for lines of epochs alone.
    pub log_every: usize,
    /// When checkpoints are saved.
    pub saves: Saves,
    /// The flag by which others can stop the run.
    pub interrupt: Interrupt,
    /// How the run reports its progress.
    pub progress: Progress,
    /// The processes that do the run together, each with the same fields but this one; see
    /// [`Pretraining::ranks`](crate::train::Pretraining::ranks).
    pub ranks: Ranks,
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
            budget: None,
            augmentation: None,
            init_from: None,
            refine: None,
            batch_size: 64,
            seed: 0,
            workers: 1,
            device: device.clone(),
            precision: Precision::F32,
            resume: false,
            accept_changed_data: false,
            probe: 0,
            log_every: 10,
            saves: Saves::default(),
            interrupt: Interrupt::default(),
            progress: Progress::Silent,
            ranks: Ranks::default(),
        }
    }

    /// Locks the run's folder where this process writes it.
    #[cfg(feature = "run")]
    pub(crate) fn lock(&self) -> Result<Option<FileLock>> {
        self.ranks.is_first().then(|| RunFolder::new(&self.out).lock()).transpose()
    }

    /// The micro-batches of a step, which what is trained before the run itself has too.
    #[cfg(feature = "run")]
    pub(crate) fn accumulation(&self) -> usize {
        self.recipe.as_ref().map_or(1, |recipe| recipe.accumulation)
    }

    /// A batch of the first 8 images of the test split, made by `valid`, for a picture of the
    /// trained model.
    ///
    /// # Errors
    ///
    /// When the batch cannot be made.
    pub fn validation_batch<C: Collate<Sample = Sample>>(&self, valid: C) -> Result<C::Batch> {
        let few = Self { batch_size: self.batch_size.min(PICTURE_ROWS), ..self.clone() };
        let first = few.loader(&self.data.test, valid, false)?.epoch(0, 0).next();
        first.unwrap_or_else(|| Err(Error::config("there is no image to test on")))
    }

    /// A loader of `dataset` with the run's batch size, seed and workers, and in training with the
    /// window of shards that the data was opened with.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    pub fn loader<C: Collate<Sample = Sample>>(
        &self,
        dataset: &Arc<dyn ImageDataset>,
        collate: C,
        training: bool,
    ) -> Result<Loader<C>> {
        let Self { batch_size, seed, workers, .. } = *self;
        let config = LoaderConfig { batch_size, seed, workers, training };
        self.data.loader(dataset, collate, config, &self.device)
    }
}
