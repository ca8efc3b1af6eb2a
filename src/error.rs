//! Errors, sorted by who is at fault.

use std::path::{Path, PathBuf};

/// Everything this crate reports instead of panicking.
///
/// What a caller's *code* got wrong at the tensor level (a rank, a width) is a documented panic;
/// what comes from data, files, JSON or a command line is one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration breaks one of its rules; the message names the rule and the values.
    #[error("invalid configuration: {0}")]
    Config(String),
    /// A data file or folder cannot be used; names the culprit.
    #[error("{}: {reason}", path.display())]
    Data {
        /// The file or folder at fault.
        path: PathBuf,
        /// What is wrong with it, and what to do about it.
        reason: String,
    },
    /// The loss is no longer a finite number; training stopped at this step.
    #[error("the loss became {loss} at step {step} (epoch {epoch}); the last good state is {}", saved.display())]
    Diverged {
        /// The loss: NaN or infinite.
        loss: f32,
        /// The optimizer step, counted from 0 over the whole run.
        step: usize,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The newest checkpoint, from before that step.
        saved: PathBuf,
    },
    /// Somebody asked the run to stop ([`Interrupt`](crate::train::Interrupt)); what was saved
    /// stays whole.
    #[error("stopped before the end, as asked; what was done is kept")]
    Interrupted,
    /// Another process of a run has failed, or has ended before the others; it reports the fault too.
    #[error("process {rank}: {reason}")]
    Process {
        /// Its number, counted from 0.
        rank: usize,
        /// Its fault.
        reason: String,
    },
    /// A device no longer computes, such as one on a server that is gone; what was saved stays whole.
    #[error("the device failed: {0}")]
    Device(String),
    /// A checkpoint or run folder cannot be read or written.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The file or folder at fault.
        path: PathBuf,
        /// What is wrong with it, and what to do about it.
        reason: String,
    },
}

/// Returns an [`Error::Config`] with this message unless the condition holds; the message is made
/// only then.
macro_rules! ensure {
    ($kept:expr, $($message:tt)+) => {
        let kept: bool = $kept;
        if !kept {
            return Err($crate::error::Error::config(format!($($message)+)));
        }
    };
}

pub(crate) use ensure;

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about a configuration that breaks `rule`.
    pub fn config(rule: impl Into<String>) -> Self {
        Self::Config(rule.into())
    }

    /// The same fault, attributed to the file that the configuration was read from.
    #[cfg(feature = "train")]
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Config(rule) => Self::checkpoint(path, rule),
            other => other,
        }
    }

    /// An error about the data at `path`; `reason` may be an underlying error.
    pub fn data(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::Data { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }

    /// The fault of a device that nothing can be read from.
    #[cfg(feature = "train")]
    pub(crate) fn device(reason: impl ToString) -> Self {
        Self::Device(reason.to_string())
    }

    /// An error about the checkpoint at `path`; `reason` may be an underlying error.
    pub fn checkpoint(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::Checkpoint { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }
}
