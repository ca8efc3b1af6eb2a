//! The training of any pretext task, and the files it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Run, RunConfig};
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, ImageData, ImageDataset, Loader, LoaderConfig};
use crate::error::{Error, Result};
use crate::file::FileLock;
use crate::method::TaskConfig;
use crate::task::PretextTask;
use crate::train::{Pretrained, Pretraining, Recipe, RunFolder};
use crate::viz::LossCurve;

impl Run {
    /// Trains `model`, the one `task` describes, on batches of the training split, measures it
    /// on those of the test split, and leaves checkpoints,
    /// `config.json`, `metrics.json` and `loss_curve.png` in the run's folder. Its interrupt stops it
    /// after the step it is in, with everything saved.
    ///
    /// `collates` are that of training and that of validation; `augmentation` is what the first does
    /// to the images, for `config.json`.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], and when the curve cannot be written.
    pub fn train<T, C>(
        &self,
        task: TaskConfig,
        model: T,
        data: &ImageData,
        augmentation: Augmentation,
        collates: [C; 2],
        recipe: Recipe,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        let nothing = |_: &T, _| Ok(BTreeMap::new());
        self.train_with_probe(task, model, data, augmentation, collates, recipe, nothing)
    }

    /// As [`Run::train`], and asks `probe` after every epoch what else to say of the model.
    #[allow(clippy::too_many_arguments, reason = "those of `train`, and one more")]
    pub(super) fn train_with_probe<T, C>(
        &self,
        task: TaskConfig,
        model: T,
        data: &ImageData,
        augmentation: Augmentation,
        [train, valid]: [C; 2],
        recipe: Recipe,
        probe: impl FnMut(&T, usize) -> Result<BTreeMap<String, f64>>,
    ) -> Result<Pretrained<T>>
    where
        T: PretextTask<Batch = C::Batch>,
        C: Collate,
    {
        let _lock = RunFolder::new(&self.out).lock()?;
        let train = self.loader(&data.train, train, true)?;
        let valid = self.loader(&data.test, valid, false)?;
        let title = task.title();
        let config = RunConfig {
            task,
            data: self.data.clone(),
            data_options: data.options.clone(),
            statistics: data.statistics.clone(),
            augmentation,
            seed: self.seed,
        };
        let pretrained = Pretraining::new(&self.out, recipe)
            .seed(self.seed)
            .precision(self.precision)
            .resume(self.resume)
            .interrupt(self.interrupt.clone())
            .progress(self.progress)
            .accept_changed_data(self.accept_changed_data)
            .images(data.train.len(), data.test.len(), &data.identity)
            .config(&config)?
            .identity(&config.identity()?)?
            .run_with_probe(model, &train, &valid, probe)?;
        self.curve(title, &pretrained)?;
        Ok(pretrained)
    }

    /// The first batch of the test split as `valid` makes it: what a picture of the trained model
    /// shows.
    ///
    /// # Errors
    ///
    /// When the batch cannot be made.
    pub fn validation_batch<C: Collate>(&self, data: &ImageData, valid: C) -> Result<C::Batch> {
        let first = self.loader(&data.test, valid, false)?.epoch(0, 0).next();
        first.unwrap_or_else(|| Err(Error::config("there is no image to test on")))
    }

    pub(crate) fn loader<C: Collate>(
        &self,
        dataset: &Arc<dyn ImageDataset>,
        collate: C,
        training: bool,
    ) -> Result<Loader<C>> {
        let Self { batch_size, seed, workers, .. } = *self;
        let config = LoaderConfig { batch_size, seed, workers, training };
        Loader::new(dataset.clone(), collate, config, &self.device)
    }

    /// Keeps others out of the run's folder, and gives `data` with the statistics that a run which
    /// is resumed began with: they are not measured again on what its images may be by now.
    pub(super) fn begin(&self, data: &ImageData) -> Result<(FileLock, ImageData)> {
        let folder = RunFolder::new(&self.out);
        let (lock, mut data) = (folder.lock()?, data.clone());
        if self.resume
            && let Some((checkpoint, _)) = folder.newest_whole()?
        {
            let saved = &checkpoint.snapshot().fingerprint["config"]["statistics"];
            let saved: Option<ChannelStatistics> = serde_json::from_value(saved.clone()).ok();
            let fits = |saved: &ChannelStatistics| saved.mean.len() == data.shape.channels;
            data.statistics = saved.filter(fits).unwrap_or(data.statistics);
        }
        Ok((lock, data))
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
