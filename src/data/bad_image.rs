//! Samples that may be left out, and which ones were.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The fault of a sample that may be left out: a data set that yields it, in place of the fault
/// itself, lets a [`Loader`](crate::data::Loader) go on without the sample.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadImage(pub Error);

/// The faults of the samples that were left out, by index.
#[derive(Debug, Default)]
pub(super) struct Skips(Mutex<BTreeMap<usize, String>>);

impl Skips {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        // A map of strings is whole whatever a thread was doing when it panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
