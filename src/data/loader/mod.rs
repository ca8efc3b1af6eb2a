//! The deterministic loader: the same batches in the same order, whatever the number of workers.

mod order;
mod plan;

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use rand::rngs::ChaCha8Rng;

use crate::data::bad_image::Skips;
use crate::data::epoch::{BurnEpoch, Epoch, Extent};
use crate::data::loaded::Loaded;
use crate::data::sample::Sample;
use crate::error::{Error, Result};
use crate::limits;
use crate::rng::{Purpose, stream};
use plan::Plan;

/// Makes a batch of samples: the last step of loading, on a worker thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make batches of samples",
    note = "implement `Collate`, or use this crate's for the task, such as `MimCollate`"
)]
pub trait Collate: Debug + Send + Sync + 'static {
    /// What the data set holds: [`Sample`] where that is an image, or a type of your own.
    type Sample: Send + 'static;
    /// What the model reads.
    type Batch: Debug + Send + 'static;

    /// A batch of `items`, which are read one by one as the iterator is advanced.
    ///
    /// # Errors
    ///
    /// The error of the first item that cannot be read or used, which names the item.
    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<Self::Sample>>>,
        device: &Device,
    ) -> Result<Self::Batch>;

    /// The same batch, which need not be whole before it is used: it may wait with images of 8 bits. A
    /// collate that does so makes its batches here, and [`collate`](Self::collate) finishes one.
    ///
    /// # Errors
    ///
    /// As [`collate`](Self::collate).
    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<Self::Sample>>>,
        device: &Device,
    ) -> Result<Loaded<Self::Batch>> {
        self.collate(items, device).map(Loaded::whole)
    }
}

/// A sample with the key of its random streams.
#[derive(Debug)]
pub struct Item<S = Sample> {
    /// The sample.
    pub sample: S,
    /// Its place in the data set.
    pub index: usize,
    seed: u64,
    epoch: u64,
    /// Threads that may work on the batch.
    pub(super) threads: usize,
}

/// The error of sample `index`, which cannot be used.
pub(super) fn fault(index: usize, reason: impl Display) -> Error {
    Error::data(format!("sample {index}"), reason)
}

impl<S> Item<S> {
    /// The error of a sample that cannot be used, which names it.
    pub fn fault(&self, reason: impl Display) -> Error {
        fault(self.index, reason)
    }

    /// The stream of this sample in this epoch for `purpose`.
    pub fn stream(&self, purpose: Purpose) -> ChaCha8Rng {
        stream(self.seed, purpose, self.epoch, self.index as u64)
    }
}

/// How a [`Loader`] cuts a data set into batches.
#[derive(Debug, Clone, Copy)]
pub struct LoaderConfig {
    /// Samples per batch, at least 1.
    pub batch_size: usize,
    /// Seed of the order and of everything drawn for a sample.
    pub seed: u64,
    /// Threads that prepare batches, at most 1024; with 0 the caller's does. However many there are,
    /// they are at two batches at most ahead of the one that is used.
    pub workers: usize,
    /// Whether every epoch has its own order and its own crops and masks, and leaves out a last
    /// batch that is not full. Otherwise every epoch is the same, in order and whole.
    pub training: bool,
}

/// Batches of a data set. A sample that cannot be read is an error that names it, and never a
/// shorter epoch. Only where the data set says that it may be left out
/// ([`BadImage`](crate::data::BadImage)), its batch is one sample shorter; every other sample stays in its
/// batch, with its own crop and mask.
///
/// As a burn [`DataLoader`], each call of `iter` is the next epoch, from the first.
#[derive(Debug)]
pub struct Loader<C: Collate> {
    plan: Arc<Plan<C>>,
    device: Device,
    next_epoch: AtomicU64,
    skips: Arc<Skips>,
}

impl<C: Collate> Loader<C> {
    /// A loader of `dataset` that puts batches on `device`.
    ///
    /// # Errors
    ///
    /// When the batch size is 0 or absurd, as the number of workers may be, or there is not a
    /// single batch.
    pub fn new(
        dataset: Arc<dyn Dataset<C::Sample>>,
        collate: C,
        config: LoaderConfig,
        device: &Device,
    ) -> Result<Self> {
        let samples = dataset.len();
        if config.batch_size == 0 {
            return Err(Error::config("the batch size must be at least 1"));
        }
        limits::at_most("the batch size", config.batch_size, limits::BATCH)?;
        limits::at_most("workers", config.workers, limits::WORKERS)?;
        let (collate, known_bad) = (Arc::new(collate), Skips::default());
        let plan = Plan { dataset, range: 0..samples, collate, config, windows: None, known_bad };
        if plan.batches() == 0 {
            return Err(Error::config(format!(
                "{samples} samples do not make one batch of {}",
                config.batch_size
            )));
        }
        Ok(Self::with_plan(plan, device))
    }

    /// The same batches of another order: `shards`, the numbers of samples in the shards that the data
    /// set lies in, are shuffled, and then the samples of every `window` shards that follow each other.
    /// So at any time no more shards are read from, and an order takes no memory for each sample.
    /// A loader that is not for training keeps its order.
    ///
    /// # Errors
    ///
    /// When there are not as many samples in the shards as in the data set, or the window is 0.
    pub fn in_windows(self, shards: &[usize], window: usize) -> Result<Self> {
        let (samples, range) = (shards.iter().sum::<usize>(), self.plan.range.clone());
        if range != (0..samples) || window == 0 {
            return Err(Error::config(format!(
                "{samples} samples in {} shards, of which {window} are shuffled together, are no order \
                 of a data set of {}",
                shards.len(),
                range.len()
            )));
        }
        let Plan { dataset, collate, config, .. } = &*self.plan;
        let (dataset, collate, known_bad) = (dataset.clone(), collate.clone(), Skips::default());
        let windows = Some((shards.into(), window));
        let plan = Plan { dataset, range, collate, config: *config, windows, known_bad };
        Ok(Self { plan: Arc::new(plan), ..self })
    }

    fn with_plan(plan: Plan<C>, device: &Device) -> Self {
        // Batches carry no gradient, so their operations need not be recorded.
        let device = device.clone().without_autodiff();
        Self { plan: Arc::new(plan), device, next_epoch: AtomicU64::new(0), skips: Arc::default() }
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        self.plan.batches()
    }

    /// Samples in a batch, but for the last one of a loader that is not for training.
    pub fn batch_size(&self) -> usize {
        self.plan.config.batch_size
    }

    /// Samples in the data set, of which a loader for training may leave out the last few.
    pub fn samples(&self) -> usize {
        self.plan.range.len()
    }

    /// The batches of `epoch`, counted from 0, beginning with batch `first`.
    pub fn epoch(&self, epoch: u64, first: usize) -> Epoch<C::Batch> {
        self.part(epoch, first..self.batches())
    }

    /// Of the batches of `epoch`, counted from 0, those with the `numbers`, in their order: the part of
    /// one process of several. A batch is the same whichever others are made.
    ///
    /// # Panics
    ///
    /// Where a number is not below [`batches`](Self::batches), when that batch is asked for.
    pub fn part(&self, epoch: u64, numbers: impl IntoIterator<Item = usize>) -> Epoch<C::Batch> {
        let (plan, device) = (self.plan.clone(), self.device.clone());
        let LoaderConfig { batch_size, workers, .. } = plan.config;
        let (numbers, samples) = (numbers.into_iter().collect(), plan.range.len());
        let extent = Extent { numbers, batches: plan.batches(), batch_size, samples };
        let order = Arc::new(plan.order(epoch));
        let make = move |batch, threads| plan.batch(&order, (epoch, batch), threads, &device);
        Epoch::start(make, workers, extent, self.skips.clone())
    }

    /// The faults of the samples that were left out of the batches so far, in the order of the data
    /// set: those that it calls a [`BadImage`](crate::data::BadImage), each once.
    pub fn skipped(&self) -> Vec<String> {
        self.skips.lock().values().cloned().collect()
    }
}

/// The batches of the first epoch: all samples in order, unless the loader is for training.
impl<C: Collate> IntoIterator for &Loader<C> {
    type Item = Result<C::Batch>;
    type IntoIter = Epoch<C::Batch>;

    fn into_iter(self) -> Self::IntoIter {
        self.epoch(0, 0)
    }
}

impl<C: Collate> DataLoader<C::Batch> for Loader<C> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<C::Batch> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::Relaxed);
        Box::new(BurnEpoch(self.epoch(epoch, 0)))
    }

    fn num_items(&self) -> usize {
        self.plan.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<C::Batch>> {
        Arc::new(Self {
            plan: self.plan.clone(),
            device: device.clone().without_autodiff(),
            next_epoch: AtomicU64::new(self.next_epoch.load(Ordering::Relaxed)),
            skips: self.skips.clone(),
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<C::Batch>> {
        let Plan { dataset, range, collate, config, windows, .. } = &*self.plan;
        let windows = windows.clone();
        let range = range.start + start..range.start + end;
        let (dataset, collate, known_bad) = (dataset.clone(), collate.clone(), Skips::default());
        let plan = Plan { dataset, range, collate, config: *config, windows, known_bad };
        Arc::new(Self::with_plan(plan, &self.device))
    }
}

#[cfg(test)]
mod tests;
