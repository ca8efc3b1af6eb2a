//! The batches of one epoch, made by worker threads and yielded in order.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;

use super::bad_image::Skips;
use super::loaded::Loaded;
use crate::error::{Error, Result};

/// Batches that are ahead of the one that is asked for, under way or done. More would not be faster:
/// threads beyond these share the samples of a batch. Each takes memory.
const AHEAD: usize = 2;

/// A batch and what it is made of.
#[derive(Debug)]
pub(super) struct Made<B> {
    pub(super) batch: Loaded<B>,
    pub(super) samples: usize,
    /// The faults of the samples that were left out, by index.
    pub(super) skipped: Vec<(usize, String)>,
}

/// What an epoch is cut into.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    /// The batches that are yielded, in this order.
    pub(super) numbers: Arc<[usize]>,
    pub(super) batches: usize,
    pub(super) batch_size: usize,
    pub(super) samples: usize,
}

/// An iterator over the batches of one epoch.
#[derive(Debug)]
pub struct Epoch<B> {
    source: Source<B>,
    /// How many batches were yielded.
    yielded: usize,
    extent: Extent,
    samples: usize,
    skips: Arc<Skips>,
}

enum Source<B> {
    /// Batches made when they are asked for.
    Inline(Box<dyn Fn(usize) -> Result<Made<B>> + Send>),
    /// Maker m makes every batch whose place in the order is m, m + makers, ..., each into its own queue,
    /// so reading the queues in turn gives the batches in order. It has threads to help it.
    Makers(Vec<Receiver<Result<Made<B>>>>),
}

impl<B> fmt::Debug for Source<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::Makers(queues) => write!(f, "Makers({})", queues.len()),
        }
    }
}

impl<B: Send + 'static> Epoch<B> {
    /// The batches that `make` makes on as many threads as it is told, all in all on `workers`; what
    /// they leave out joins `skips` as they are yielded.
    pub(super) fn start(
        make: impl Fn(usize, usize) -> Result<Made<B>> + Clone + Send + 'static,
        workers: usize,
        extent: Extent,
        skips: Arc<Skips>,
    ) -> Self {
        let make = move |batch, threads| whole(batch, || make(batch, threads));
        let source = if workers == 0 {
            Source::Inline(Box::new(move |batch| make(batch, 1)))
        } else {
            let makers = workers.min(AHEAD).min(extent.numbers.len()).max(1);
            let queue = |maker| {
                // A batch that is done waits with its maker.
                let (sender, receiver) = sync_channel(AHEAD / makers - 1);
                let threads = (workers + makers - 1 - maker) / makers;
                let (make, numbers) = (make.clone(), extent.numbers.clone());
                let work = move || {
                    for &batch in numbers.iter().skip(maker).step_by(makers) {
                        // A send fails when the epoch is dropped: nobody waits for the rest.
                        if sender.send(make(batch, threads)).is_err() {
                            return;
                        }
                    }
                };
                // A thread that the system refuses leaves its queue closed: see `make`.
                let _ = thread::Builder::new().spawn(work);
                receiver
            };
            Source::Makers((0..makers).map(queue).collect())
        };
        Self { source, yielded: 0, extent, samples: 0, skips }
    }
}

/// What `make` makes of a batch; a panic, such as in a user's code, is an error that repeats it.
fn whole<T>(batch: usize, make: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|panic| {
        let reason = format!("the code that makes it panicked: {}", message(&*panic));
        Err(Error::data(format!("batch {batch}"), reason))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl<B> Epoch<B> {
    /// The number of the batch that was yielded last, counted from 1 within the epoch: the next one's,
    /// counted from 0. Before the first it is that one's, counted from 0.
    pub fn position(&self) -> usize {
        let Extent { numbers, batches, .. } = &self.extent;
        match self.yielded.checked_sub(1) {
            Some(last) => numbers[last] + 1,
            None => numbers.first().copied().unwrap_or(*batches),
        }
    }

    /// How many samples are in the batch that was yielded last; fewer than the batch size where some
    /// were left out, and in a last batch that is not full.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The batch at a place of the order.
    fn make(&self, place: usize) -> Result<Made<B>> {
        let batch = self.extent.numbers[place];
        match &self.source {
            Source::Inline(make) => make(batch),
            Source::Makers(queues) => queues[place % queues.len()].recv().unwrap_or_else(|_| {
                let reason = "the system refused a thread to make it; use fewer workers";
                Err(Error::data(format!("batch {batch}"), reason))
            }),
        }
    }
}

impl<B: Send + 'static> Iterator for Epoch<B> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        (self.yielded < self.extent.numbers.len()).then(|| {
            self.yielded += 1;
            let Made { batch, samples, skipped } = self.make(self.yielded - 1)?;
            self.samples = samples;
            self.skips.lock().extend(skipped);
            whole(self.extent.numbers[self.yielded - 1], || Ok(batch.finish()))
        })
    }
}

/// An [`Epoch`] as burn's trainer reads it.
pub(super) struct BurnEpoch<B>(pub(super) Epoch<B>);

impl<B: Send + 'static> Iterator for BurnEpoch<B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|batch| batch.map_err(DatasetError::new))
    }
}

impl<B: Send + 'static> DataLoaderIterator<B> for BurnEpoch<B> {
    fn progress(&self) -> Progress {
        let Extent { batches, batch_size, samples, .. } = self.0.extent;
        let next = self.0.position();
        let done = if next == batches { samples } else { next * batch_size };
        Progress::new(done, samples, Some("samples".into()))
    }
}
