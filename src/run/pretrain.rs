//! One pre-training run and the files it leaves.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;

use super::RunConfig;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{Collate, DataSpec, ImageData, Loader, LoaderConfig, MimCollate};
use crate::encoder::{Encoder, EncoderSizes};
use crate::error::Result;
use crate::head::PredictionHead;
use crate::target::Reconstruct;
use crate::task::{Mim, TaskConfig};
use crate::train::{Interrupt, Pretrained, Pretraining, Recipe};
use crate::viz::{LossCurve, reconstruction_sheet};

/// Rows of the reconstruction sheet.
const SHEET_ROWS: usize = 8;

/// Where a run reads and writes, and what it runs on.
#[derive(Debug, Clone)]
pub struct Run {
    /// The images.
    pub data: DataSpec,
    /// The folder for checkpoints, metrics and pictures.
    pub out: PathBuf,
    /// Samples per batch.
    pub batch_size: usize,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Where the model is trained.
    pub device: Device,
    /// Whether to go on from the newest checkpoint in `out`.
    pub resume: bool,
}

impl Run {
    /// Trains `model`, the one `task` describes, and leaves checkpoints, `config.json`,
    /// `metrics.json`, `reconstruction.png` and `loss_curve.png` in the run's folder. Ctrl-C stops
    /// it after the step it is in, with everything saved.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when a picture cannot be written.
    pub fn pretrain<E, H, T>(
        &self,
        task: TaskConfig,
        model: Mim<E, H, T>,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<Mim<E, H, T>>>
    where
        E: Encoder,
        H: PredictionHead<E::Features>,
        T: Reconstruct,
    {
        let collate =
            MimCollate::new(task.encoder().image(), &data.statistics, task.mask()?.into())?;
        let augmented = collate.clone().with_augmentation(augmentation)?;
        let train = self.loader(&data.train, augmented, true)?;
        let valid = self.loader(&data.test, collate, false)?;
        let title = task.title();
        let config = RunConfig {
            task,
            data: self.data.clone(),
            statistics: data.statistics.clone(),
            augmentation,
            seed: self.seed,
        };
        let pretrained = Pretraining::new(&self.out, recipe)
            .seed(self.seed)
            .resume(self.resume)
            .interrupt(Interrupt::on_ctrl_c()?)
            .config(&config)?
            .run(model, &train, &valid)?;
        if let Some(batch) = valid.epoch(0, 0).next() {
            self.sheet(title, &pretrained.task, batch?, data)?;
        }
        self.curve(title, &pretrained)?;
        Ok(pretrained)
    }

    fn loader<C: Collate>(
        &self,
        dataset: &Arc<dyn burn::data::dataset::Dataset<crate::data::Sample>>,
        collate: C,
        training: bool,
    ) -> Result<Loader<C>> {
        let Self { batch_size, seed, workers, .. } = *self;
        let config = LoaderConfig { batch_size, seed, workers, training };
        Loader::new(dataset.clone(), collate, config, &self.device)
    }

    fn sheet<E, H, T>(
        &self,
        title: &str,
        model: &Mim<E, H, T>,
        batch: MimBatch,
        data: &ImageData,
    ) -> Result<()>
    where
        E: Encoder,
        H: PredictionHead<E::Features>,
        T: Reconstruct,
    {
        let sheet = reconstruction_sheet(
            &format!("{title}: validation images"),
            model,
            &batch.first(SHEET_ROWS)?,
            &data.statistics.mean,
            &data.statistics.std,
        )?;
        sheet.save(self.out.join("reconstruction.png"))
    }

    fn curve<T>(&self, title: &str, pretrained: &Pretrained<T>) -> Result<()> {
        let history = &pretrained.history;
        let epochs = || history.epochs.iter();
        let mut curve = LossCurve::new(format!("{title}: loss"))
            .with_train(epochs().map(|e| (e.epoch, e.train_loss)))
            .with_validation(epochs().map(|e| (e.epoch, e.valid_loss)))
            .with_learning_rate(epochs().map(|e| (e.epoch, e.learning_rate)));
        if let Some(loss) = history.trivial_loss {
            curve = curve.with_trivial(loss);
        }
        curve.save(self.out.join("loss_curve.png"))
    }
}
