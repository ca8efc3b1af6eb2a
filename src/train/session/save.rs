//! Checkpoints, which a thread writes while the run goes on.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::Session;
use crate::error::{Error, Result};
use crate::task::PretextTask;
use crate::train::run_folder::Unsaved;

/// Values of a parameter that a checkpoint holds at most, beside its average: the weight and two moments.
const VALUES: u64 = 3;
/// What the other files take at most.
const BESIDE: u64 = 1 << 20;

/// The checkpoint that is being written, if any. Whoever drops it waits for the thread.
#[derive(Debug, Default)]
pub(super) struct Saving(Option<JoinHandle<Result<PathBuf>>>);

impl Saving {
    /// Waits until it is written; returns its path.
    fn finish(&mut self) -> Result<Option<PathBuf>> {
        let Some(thread) = self.0.take() else { return Ok(None) };
        match thread.join() {
            Ok(saved) => saved.map(Some),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A fault was already reported, or is not the first one.
            let _ = thread.join();
        }
    }
}

impl<T: PretextTask> Session<'_, T> {
    /// Begins to save a checkpoint, once the one before it is written.
    pub(super) fn save(&mut self) -> Result<()> {
        self.account();
        self.last_save = Instant::now();
        let plan = self.plan;
        plan.ranks.first(|| self.begin_saving())
    }

    fn begin_saving(&mut self) -> Result<()> {
        self.wait_for_checkpoint()?;
        if let Some(log) = &self.log {
            // A checkpoint's log must hold what led to it; where it cannot, the checkpoint is worth
            // more.
            let _ = log.to_disk();
        }
        let folder = self.plan.folder.clone();
        let average = self.average.as_ref();
        let values = VALUES + u64::from(average.is_some());
        folder.check_room(4 * values * self.parameters.total as u64 + BESIDE)?;
        let unsaved = Unsaved::new(&self.snapshot, self.task(), average, &self.optimizer);
        let (keep, best) = (self.plan.keep, self.best_step);
        let write = move || {
            let saved = folder.save(unsaved)?;
            folder.prune(keep, best)?;
            Ok(saved)
        };
        let thread = thread::Builder::new().name("checkpoint".into()).spawn(write);
        let thread = thread.map_err(|error| Error::checkpoint(self.plan.folder.path(), error))?;
        self.saving = Saving(Some(thread));
        Ok(())
    }

    /// Waits until every checkpoint is written.
    pub(super) fn finish_saving(&mut self) -> Result<()> {
        let plan = self.plan;
        plan.ranks.first(|| self.wait_for_checkpoint())
    }

    fn wait_for_checkpoint(&mut self) -> Result<()> {
        if let Some(saved) = self.saving.finish()? {
            self.saved = saved;
        }
        Ok(())
    }

    /// Whether this process's clock says that it is time for a checkpoint.
    pub(super) fn is_save_overdue(&self) -> bool {
        self.plan.saves.after(self.last_save.elapsed())
    }

    /// Whether a checkpoint is due within the epoch.
    pub(super) fn is_save_due(&self) -> bool {
        let overdue = match self.plan.ranks.ranks() {
            1 => self.is_save_overdue(),
            _ => self.all_save,
        };
        self.snapshot.batch < self.batches
            && (overdue || self.plan.saves.after_step(self.snapshot.step))
    }

    /// Whether one is due at the end of what was trained: of an epoch, or where the run stops.
    pub(super) fn is_save_due_at_end(&self) -> bool {
        self.snapshot.batch > 0
            || self.is_done()
            || self.plan.saves.after_epoch(self.snapshot.epoch)
    }

    /// Adds the time since the last call to the epoch's time.
    pub(super) fn account(&mut self) {
        let now = Instant::now();
        let spent = &mut self.snapshot.spent;
        spent.seconds += (now - self.clock).as_secs_f64();
        self.clock = now;
        if let Some(since) = &mut self.training_since {
            spent.training += (now - *since).as_secs_f64();
            *since = now;
        }
    }
}
