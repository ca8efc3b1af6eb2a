//! A request to stop, from Ctrl-C or from code.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};

/// Asks a run to save and stop after the step it is in. Clones ask the same run.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// The handle that Ctrl-C (and a termination signal) triggers. A second Ctrl-C ends the
    /// process at once; what was saved stays whole.
    ///
    /// # Errors
    ///
    /// When another handler was installed by the program.
    pub fn on_ctrl_c() -> Result<Self> {
        // Held while the handler is installed: a second thread must not try it too.
        static HANDLE: Mutex<Option<Interrupt>> = Mutex::new(None);
        let mut installed = HANDLE.lock().expect("no thread panics while it holds the lock");
        if let Some(handle) = &*installed {
            return Ok(handle.clone());
        }
        let handle = Self::default();
        let on_signal = handle.clone();
        ctrlc::set_handler(move || {
            if on_signal.requested.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        })
        .map_err(|error| Error::config(format!("Ctrl-C cannot be handled: {error}")))?;
        Ok(installed.insert(handle).clone())
    }

    /// Asks the run to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}
