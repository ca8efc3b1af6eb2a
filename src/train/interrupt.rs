//! A request to stop, from a signal or from code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Asks a run to save and stop after the step it is in. Clones ask the same run.
///
/// The library handles no signals: a program that wants Ctrl-C to stop its runs sets the flag in
/// its own handler (`Interrupt::from(flag)`), as the examples do with `signal-hook`.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// Asks the run to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Returns an error once somebody asked to stop. This is for work that has nothing of its own
    /// to save.
    ///
    /// # Errors
    ///
    /// When somebody asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_requested() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

impl From<Arc<AtomicBool>> for Interrupt {
    /// A request is made by setting `flag`, which is all that a signal handler may do.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self { requested: flag }
    }
}
