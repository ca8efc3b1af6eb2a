//! A request to stop, from a signal or from code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};

/// Asks a run to save and stop after the step it is in. Clones ask the same run.
///
/// The library handles no signals: a program that wants Ctrl-C to stop its runs sets the flag in
/// its own handler (`Interrupt::from(flag)`), as the examples do with `signal-hook`.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Interrupt {
    /// Asks the run to stop by itself at `deadline` too, so that a queue which gives it only so much time
    /// can begin it again.
    pub fn with_deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Asks the run to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked, or the time is over.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed) || self.is_over()
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
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
        Self { requested: flag, deadline: None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_asks_of_itself_and_a_flag_before_it() {
        let now = Instant::now();
        assert!(Interrupt::default().with_deadline(now).is_requested());
        let later = Interrupt::default().with_deadline(now + Duration::from_secs(3600));
        assert!(!later.is_requested());
        later.clone().request();
        assert!(later.is_requested(), "clones ask the same run");
    }
}
