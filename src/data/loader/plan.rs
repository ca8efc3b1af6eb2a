//! Which samples make a batch, and the making of one.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use burn::data::dataset::Dataset;
use burn::tensor::Device;

use super::order::{Order, Windows};
use super::{Collate, Item, LoaderConfig};
use crate::data::bad_image::Skips;
use crate::data::epoch::Made;
use crate::data::fork;
use crate::data::sample::{data_error, is_bad_image};
use crate::error::{Error, Result};

/// Which samples make a batch, and how.
pub(super) struct Plan<C: Collate> {
    pub(super) dataset: Arc<dyn Dataset<C::Sample>>,
    pub(super) range: Range<usize>,
    pub(super) collate: Arc<C>,
    pub(super) config: LoaderConfig,
    /// The samples in each shard and the shards that are shuffled together, where there are any.
    pub(super) windows: Option<(Arc<[usize]>, usize)>,
    /// What the data set said may be left out, whether or not its batch was yielded yet.
    pub(super) known_bad: Skips,
}

impl<C: Collate> Debug for Plan<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("samples", &self.range)
            .field("collate", &self.collate)
            .field("config", &self.config)
            .finish()
    }
}

impl<C: Collate> Plan<C> {
    pub(super) fn batches(&self) -> usize {
        let (samples, size) = (self.range.len(), self.config.batch_size);
        if self.config.training { samples / size } else { samples.div_ceil(size) }
    }

    /// The samples of `epoch` in their order.
    pub(super) fn order(&self, epoch: u64) -> Order {
        let (samples, LoaderConfig { seed, training, .. }) = (self.range.clone(), self.config);
        match &self.windows {
            _ if !training => Order::Plain(samples),
            None => Order::all(samples, seed, epoch),
            Some((sizes, window)) => {
                let mut end = 0;
                let shards = sizes.iter().map(|size| {
                    end += size;
                    (end - size).max(samples.start)..end.min(samples.end)
                });
                let shards = shards.filter(|shard| !shard.is_empty()).collect();
                Order::Windows(Windows::new(shards, *window, seed, epoch))
            }
        }
    }

    /// Batch number `batch` of `epoch`, whose samples are in `order`, made on `threads` threads.
    pub(super) fn batch(
        &self,
        order: &Order,
        (epoch, batch): (u64, usize),
        threads: usize,
        device: &Device,
    ) -> Result<Made<C::Batch>> {
        let first = batch * self.config.batch_size;
        let last = (first + self.config.batch_size).min(self.range.len());
        let epoch = if self.config.training { epoch } else { 0 };
        let indices = order.at(first..last);
        loop {
            let (kept, skipped) = self.apart(&indices);
            if kept.is_empty() {
                return Err(nothing_left(batch, skipped));
            }
            let met_bad = Cell::new(false);
            let samples = Samples::new(self, &kept, threads);
            let mut items = samples.map(|(index, sample)| {
                let sample = sample.inspect_err(|_| {
                    met_bad.set(met_bad.get() || self.known_bad.lock().contains_key(&index));
                })?;
                Ok(Item { sample, index, seed: self.config.seed, epoch, threads })
            });
            let made = self.collate.load(&mut items, device);
            if !met_bad.get() {
                return made.map(|batch| Made { batch, samples: kept.len(), skipped });
            }
            // The length of the items was a promise, so the batch is made anew without the bad ones:
            // first all of them are found.
            kept.iter().for_each(|&index| drop(self.read(index)));
        }
    }

    /// Divides `indices` into samples that can be read as far as is known, and the others with
    /// their faults.
    fn apart(&self, indices: &[usize]) -> (Vec<usize>, Vec<(usize, String)>) {
        let known_bad = self.known_bad.lock();
        let (mut kept, mut skipped) = (Vec::with_capacity(indices.len()), Vec::new());
        for &index in indices {
            match known_bad.get(&index) {
                Some(fault) => skipped.push((index, fault.clone())),
                None => kept.push(index),
            }
        }
        (kept, skipped)
    }

    /// Sample `index`; one that may be left out becomes known as bad.
    fn read(&self, index: usize) -> Result<C::Sample> {
        self.dataset.get(index).map_err(|error| {
            let may_be_left_out = is_bad_image(&error);
            let error = data_error(index, error);
            if may_be_left_out {
                self.known_bad.lock().insert(index, error.to_string());
            }
            error
        })
    }
}

/// The samples of a batch, read in order or, where that takes long, a few at once.
struct Samples<'a, C: Collate> {
    plan: &'a Plan<C>,
    left: &'a [usize],
    read: VecDeque<(usize, Result<C::Sample>)>,
    threads: usize,
    is_slow: bool,
}

impl<'a, C: Collate> Samples<'a, C> {
    fn new(plan: &'a Plan<C>, indices: &'a [usize], threads: usize) -> Self {
        Self { plan, left: indices, read: VecDeque::new(), threads, is_slow: false }
    }
}

impl<C: Collate> Iterator for Samples<'_, C> {
    type Item = (usize, Result<C::Sample>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty() {
            let (start, is_parallel) = (Instant::now(), self.threads > 1 && self.is_slow);
            let count = if is_parallel { fork::TASKS * self.threads } else { 1 };
            let (now, later) = self.left.split_at(count.min(self.left.len()));
            let read = |index, (): &mut ()| (index, self.plan.read(index));
            let threads = if is_parallel { self.threads } else { 1 };
            self.read = fork::on_threads(threads, now.to_vec(), read).into();
            self.left = later;
            self.is_slow = is_parallel || start.elapsed() >= fork::WORTH;
        }
        self.read.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.read.len() + self.left.len();
        (count, Some(count))
    }
}

impl<C: Collate> ExactSizeIterator for Samples<'_, C> {}

fn nothing_left(batch: usize, skipped: Vec<(usize, String)>) -> Error {
    let count = skipped.len();
    let faults: Vec<String> = skipped.into_iter().take(3).map(|(_, fault)| fault).collect();
    let more = if count > 3 { ", ..." } else { "" };
    Error::data(
        format!("batch {batch}"),
        format!("none of its {count} images can be read ({}{more})", faults.join(", ")),
    )
}
