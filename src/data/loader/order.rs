//! The order of an epoch's samples, a pure function of the seed, the epoch and the sizes of shards.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;

use crate::rng::{Purpose, stream};

/// How many windows are known at once: a batch may lie in two of them, and workers are a few batches
/// apart.
const KNOWN: usize = 4;

/// The samples of an epoch in their order.
#[derive(Debug)]
pub(super) enum Order {
    /// As they lie.
    Plain(Range<usize>),
    /// All of them shuffled.
    All(Vec<usize>),
    Windows(Windows),
}

impl Order {
    pub(super) fn all(samples: Range<usize>, seed: u64, epoch: u64) -> Self {
        let mut order: Vec<usize> = samples.collect();
        order.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
        Self::All(order)
    }

    /// The samples at `places` of the order.
    pub(super) fn at(&self, places: Range<usize>) -> Vec<usize> {
        match self {
            Self::Plain(samples) => {
                (samples.start + places.start..samples.start + places.end).collect()
            }
            Self::All(order) => order[places].to_vec(),
            Self::Windows(windows) => windows.at(places),
        }
    }
}

/// Shards in a shuffled order, and the samples of each few that follow each other shuffled together.
///
/// Only the order of the shards is held, and that of the samples of a few windows, so neither the
/// number of samples nor the place in the epoch that is asked for first costs anything.
#[derive(Debug)]
pub(super) struct Windows {
    /// The samples of the shards, in the order of the epoch.
    shards: Vec<Range<usize>>,
    /// The places in the order after each window.
    ends: Vec<usize>,
    /// Shards in a window.
    window: usize,
    seed: u64,
    epoch: u64,
    known: Mutex<VecDeque<(usize, Arc<[usize]>)>>,
}

impl Windows {
    /// The order of the samples of `shards`, which are shuffled within `window` shards.
    pub(super) fn new(mut shards: Vec<Range<usize>>, window: usize, seed: u64, epoch: u64) -> Self {
        shards.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
        let mut end = 0;
        let ends = shards.chunks(window).map(|shards| {
            end += shards.iter().map(Range::len).sum::<usize>();
            end
        });
        let (ends, known) = (ends.collect(), Mutex::default());
        Self { shards, ends, window, seed, epoch, known }
    }

    fn at(&self, places: Range<usize>) -> Vec<usize> {
        let mut samples = Vec::with_capacity(places.len());
        let mut number = self.ends.partition_point(|end| *end <= places.start);
        while samples.len() < places.len() {
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            let window = self.window(number);
            let within =
                (places.start + samples.len() - start)..window.len().min(places.end - start);
            samples.extend(&window[within]);
            number += 1;
        }
        samples
    }

    /// The samples of window `number` in their order.
    fn window(&self, number: usize) -> Arc<[usize]> {
        // Whoever else wants this window waits for it rather than make it too.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, window)) = known.iter().find(|(other, _)| *other == number) {
            return window.clone();
        }
        let shards = self.shards.chunks(self.window).nth(number).unwrap_or_default();
        let mut samples: Vec<usize> = shards.iter().cloned().flatten().collect();
        samples.shuffle(&mut stream(self.seed, Purpose::Order, self.epoch, 1 + number as u64));
        let window: Arc<[usize]> = samples.into();
        known.push_front((number, window.clone()));
        known.truncate(KNOWN);
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 9] = [5, 0, 17, 1, 30, 8, 8, 2, 40];

    fn shards() -> Vec<Range<usize>> {
        let mut start = 0;
        let shard = |size| {
            start += size;
            start - size..start
        };
        SIZES.map(shard).to_vec()
    }

    fn order(window: usize, seed: u64, epoch: u64) -> Vec<usize> {
        Order::Windows(Windows::new(shards(), window, seed, epoch)).at(0..SIZES.iter().sum())
    }

    #[test]
    fn every_sample_comes_once_in_an_order_of_its_seed_and_epoch() {
        for window in [1, 2, 4, 9, 100] {
            let first = order(window, 3, 1);
            assert_eq!(order(window, 3, 1), first);
            assert_ne!(order(window, 4, 1), first);
            assert_ne!(order(window, 3, 2), first);
            assert!(!first.is_sorted());
            let mut sorted = first;
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..SIZES.iter().sum()));
        }
    }

    #[test]
    fn any_part_of_the_order_is_the_same_whatever_was_asked_before() {
        let whole = order(2, 3, 1);
        let windows = Order::Windows(Windows::new(shards(), 2, 3, 1));
        for places in [100..111, 0..1, 7..60, 7..7, 0..111, 110..111] {
            assert_eq!(windows.at(places.clone()), whole[places]);
        }
    }

    #[test]
    fn a_window_has_the_samples_of_its_shards_alone() {
        let (shards, window) = (shards(), 2);
        let windows = Windows::new(shards.clone(), window, 3, 1);
        let order = order(window, 3, 1);
        for (ends, of_window) in windows
            .ends
            .iter()
            .scan(0, |start, end| {
                let places = *start..*end;
                *start = *end;
                Some(places)
            })
            .zip(windows.shards.chunks(window))
        {
            let samples = &order[ends];
            assert!(
                samples.iter().all(|sample| of_window.iter().any(|shard| shard.contains(sample)))
            );
        }
        // Shards are in another order than they lie in, and a window mixes its own.
        assert_ne!(windows.shards, shards);
    }

    #[test]
    fn all_samples_shuffled_are_in_the_order_of_one_shuffle() {
        let mut expected: Vec<usize> = (10..40).collect();
        expected.shuffle(&mut stream(3, Purpose::Order, 1, 0));
        assert_eq!(Order::all(10..40, 3, 1).at(0..30), expected);
        assert_eq!(Order::Plain(10..40).at(2..5), [12, 13, 14]);
    }
}
