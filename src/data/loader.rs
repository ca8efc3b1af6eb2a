//! The deterministic loader: the same batches in the same order, whatever the number of workers.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::data::sample::{Sample, data_error};
use crate::error::{Error, Result};
use crate::limits;
use crate::rng::{Purpose, stream};

/// Batches each worker prepares ahead of the one that is asked for.
const PREFETCH: usize = 2;

/// Makes a batch of samples: the last step of loading, on a worker thread.
pub trait Collate: Debug + Send + Sync + 'static {
    /// What the model reads.
    type Batch: Debug + Send + 'static;

    /// A batch of `items`, which are read one by one as the iterator is advanced.
    ///
    /// # Errors
    ///
    /// That of the first item that cannot be read or used; names it.
    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Self::Batch>;
}

/// A sample with the key of its random streams.
#[derive(Debug)]
pub struct Item {
    /// The sample.
    pub sample: Sample,
    /// Its place in the data set.
    pub index: usize,
    seed: u64,
    epoch: u64,
}

impl Item {
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
    /// Threads that prepare batches; with 0 the caller's does.
    pub workers: usize,
    /// Whether every epoch has its own order and its own crops and masks, and leaves out a last
    /// batch that is not full. Otherwise every epoch is the same, in order and whole.
    pub training: bool,
}

/// Batches of a data set. A sample that cannot be read is an error that names it, and never a
/// shorter epoch.
///
/// As a burn [`DataLoader`], each call of `iter` is the next epoch, from the first.
#[derive(Debug)]
pub struct Loader<C: Collate> {
    plan: Arc<Plan<C>>,
    device: Device,
    next_epoch: AtomicU64,
}

struct Plan<C> {
    dataset: Arc<dyn Dataset<Sample>>,
    range: Range<usize>,
    collate: Arc<C>,
    config: LoaderConfig,
}

impl<C: Debug> Debug for Plan<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("samples", &self.range)
            .field("collate", &self.collate)
            .field("config", &self.config)
            .finish()
    }
}

impl<C: Collate> Loader<C> {
    /// A loader of `dataset` that puts batches on `device`.
    ///
    /// # Errors
    ///
    /// When the batch size is 0 or absurd, as the number of workers may be, or there is not a
    /// single batch.
    pub fn new(
        dataset: Arc<dyn Dataset<Sample>>,
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
        let plan = Plan { dataset, range: 0..samples, collate: Arc::new(collate), config };
        if plan.batches() == 0 {
            return Err(Error::config(format!(
                "{samples} samples do not make one batch of {}",
                config.batch_size
            )));
        }
        Ok(Self::with_plan(plan, device))
    }

    fn with_plan(plan: Plan<C>, device: &Device) -> Self {
        // Batches carry no gradient, so their operations need not be recorded.
        let device = device.clone().without_autodiff();
        Self { plan: Arc::new(plan), device, next_epoch: AtomicU64::new(0) }
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
        Epoch::start(self.plan.clone(), self.device.clone(), epoch, first)
    }
}

impl<C: Collate> Plan<C> {
    fn batches(&self) -> usize {
        let (samples, size) = (self.range.len(), self.config.batch_size);
        if self.config.training { samples / size } else { samples.div_ceil(size) }
    }

    /// The samples of `epoch` in their order.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = self.range.clone().collect();
        if self.config.training {
            order.shuffle(&mut stream(self.config.seed, Purpose::Order, epoch, 0));
        }
        order
    }

    fn batch(
        &self,
        order: &[usize],
        batch: usize,
        epoch: u64,
        device: &Device,
    ) -> Result<C::Batch> {
        let first = batch * self.config.batch_size;
        let last = (first + self.config.batch_size).min(order.len());
        let epoch = if self.config.training { epoch } else { 0 };
        let mut items = order[first..last].iter().map(|&index| {
            let sample = self.dataset.get(index).map_err(|error| data_error(index, error))?;
            Ok(Item { sample, index, seed: self.config.seed, epoch })
        });
        self.collate.collate(&mut items, device)
    }
}

/// An iterator over the batches of one epoch.
#[derive(Debug)]
pub struct Epoch<B> {
    source: Source<B>,
    next: usize,
    batches: usize,
    batch_size: usize,
    samples: usize,
}

enum Source<B> {
    /// Batches made when they are asked for.
    Inline(Box<dyn Fn(usize) -> Result<B> + Send>),
    /// Worker w makes the batches w, w + workers, ... after the first, each into its own queue,
    /// so reading the queues in turn gives the batches in order.
    Workers(Vec<Receiver<Result<B>>>, usize),
}

impl<B> Debug for Source<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::Workers(queues, _) => write!(f, "Workers({})", queues.len()),
        }
    }
}

impl<B: Send + 'static> Epoch<B> {
    fn start<C: Collate<Batch = B>>(
        plan: Arc<Plan<C>>,
        device: Device,
        epoch: u64,
        first: usize,
    ) -> Self {
        let (batches, workers) = (plan.batches(), plan.config.workers);
        let (batch_size, samples) = (plan.config.batch_size, plan.range.len());
        let order: Arc<[usize]> = plan.order(epoch).into();
        let make = move |batch| plan.batch(&order, batch, epoch, &device);
        let source = if workers == 0 {
            Source::Inline(Box::new(make))
        } else {
            let queue = |worker| {
                let (sender, receiver) = sync_channel(PREFETCH);
                let make = make.clone();
                thread::spawn(move || {
                    for batch in (first + worker..batches).step_by(workers) {
                        // A send fails when the epoch is dropped: nobody waits for the rest.
                        if sender.send(make(batch)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            };
            Source::Workers((0..workers).map(queue).collect(), first)
        };
        Self { source, next: first, batches, batch_size, samples }
    }
}

impl<B> Epoch<B> {
    /// The batch this iterator yields next, counted from 0 within the epoch.
    pub fn position(&self) -> usize {
        self.next
    }

    fn make(&self, batch: usize) -> Result<B> {
        match &self.source {
            Source::Inline(make) => make(batch),
            Source::Workers(queues, first) => {
                queues[(batch - first) % queues.len()].recv().unwrap_or_else(|_| {
                    Err(Error::data(format!("batch {batch}"), "the thread that made it panicked"))
                })
            }
        }
    }
}

impl<B> Iterator for Epoch<B> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        (self.next < self.batches).then(|| {
            self.next += 1;
            self.make(self.next - 1)
        })
    }
}

/// An [`Epoch`] as burn's trainer reads it.
struct BurnEpoch<B>(Epoch<B>);

impl<B> Iterator for BurnEpoch<B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|batch| batch.map_err(DatasetError::new))
    }
}

impl<B> DataLoaderIterator<B> for BurnEpoch<B> {
    fn progress(&self) -> Progress {
        let Epoch { next, batches, batch_size, samples, .. } = self.0;
        let done = if next == batches { samples } else { next * batch_size };
        Progress::new(done, samples, Some("samples".into()))
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
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<C::Batch>> {
        let Plan { dataset, range, collate, config } = &*self.plan;
        let range = range.start + start..range.start + end;
        let plan =
            Plan { dataset: dataset.clone(), range, collate: collate.clone(), config: *config };
        Arc::new(Self::with_plan(plan, &self.device))
    }
}
