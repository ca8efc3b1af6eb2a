//! `log.jsonl`: what a run measures, a line at a time, as it goes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the file in the run's folder.
pub(super) const LOG: &str = "log.jsonl";

/// A line of a run's `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogLine {
    /// A step of the optimizer.
    #[non_exhaustive]
    Step {
        /// Steps done, this one included.
        step: usize,
        /// The epoch it belongs to, counted from 1.
        epoch: usize,
        /// The mean loss of the step's batches.
        loss: f32,
        /// The learning rate.
        rate: f64,
        /// The norm of all gradients together before they were clipped; `null` in a run that does
        /// not clip them, which need not know it.
        gradient_norm: Option<f32>,
        /// Training speed since the line before, or since the epoch began.
        images_per_second: f64,
        /// Wall time since the run began, that of earlier processes included.
        seconds: f64,
        /// The main memory that the process takes up, in bytes; `null` where the system does not
        /// tell.
        memory: Option<u64>,
    },
    /// The end of an epoch, or of a run that ends within one.
    #[non_exhaustive]
    Epoch {
        /// Counted from 1.
        epoch: usize,
        /// Steps done.
        step: usize,
        /// Mean loss over the epoch's training batches.
        train_loss: f64,
        /// Mean loss over the validation samples.
        valid_loss: f64,
        /// The task's other metrics on the validation samples, and those of probes.
        metrics: BTreeMap<String, f64>,
        /// Learning rate of the epoch's last step.
        rate: f64,
        /// Training speed of the epoch.
        images_per_second: f64,
        /// As in a step's line.
        seconds: f64,
        /// As in a step's line.
        memory: Option<u64>,
    },
}

/// The file, open at its end.
#[derive(Debug)]
pub(in crate::train) struct Log {
    file: File,
    #[cfg(feature = "tensorboard")]
    events: super::events::Events,
}

impl Log {
    /// An empty log in `folder`.
    pub(in crate::train) fn begin(folder: &Path) -> io::Result<Self> {
        let path = folder.join(LOG);
        File::create(&path)?;
        Self::open(folder)
    }

    /// The file as it is, open at its end.
    fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::options().append(true).open(folder.join(LOG))?,
            #[cfg(feature = "tensorboard")]
            events: super::events::Events::begin(folder, &lines(&fs::read(folder.join(LOG))?))?,
        })
    }

    /// The log in `folder` up to the checkpoint of `step` steps and `epochs` validations, without
    /// what a process wrote after it and without a line that was cut by its end.
    pub(in crate::train) fn go_on(folder: &Path, step: usize, epochs: usize) -> io::Result<Self> {
        let path = folder.join(LOG);
        if !path.exists() {
            return Self::begin(folder);
        }
        let kept = kept(&fs::read(&path)?, step, epochs);
        File::options().write(true).open(path)?.set_len(kept as u64)?;
        Self::open(folder)
    }

    /// Appends a line.
    pub(in crate::train) fn write(&mut self, line: &LogLine) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        #[cfg(feature = "tensorboard")]
        self.events.write(line)?;
        Ok(())
    }

    /// Makes the lines outlive a power cut, as the checkpoint after them does.
    pub(in crate::train) fn to_disk(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The lines of a log that are whole and known.
#[cfg(feature = "tensorboard")]
fn lines(bytes: &[u8]) -> Vec<LogLine> {
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The length of the lines of a log that are not past a checkpoint.
fn kept(bytes: &[u8], step: usize, epochs: usize) -> usize {
    let is_past = |line: &[u8]| {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return false };
        let number = |name: &str| line[name].as_u64().unwrap_or_default() as usize;
        let is_step = line["kind"] == "step";
        number("step") > step || !is_step && number("epoch") > epochs
    };
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let whole = lines.take_while(|line| line.ends_with(b"\n") && !is_past(line));
    whole.map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[&str] = &[
        r#"{"kind":"step","step":1,"epoch":1}"#,
        r#"{"kind":"step","step":2,"epoch":1}"#,
        r#"{"kind":"epoch","epoch":1,"step":2}"#,
        r#"{"kind":"step","step":3,"epoch":2}"#,
    ];

    #[test]
    fn lines_past_the_checkpoint_are_cut_off() {
        let bytes = LINES.join("\n") + "\n";
        let kept = |step, epochs| bytes[..kept(bytes.as_bytes(), step, epochs)].lines().count();
        assert_eq!([kept(0, 0), kept(1, 0), kept(2, 0), kept(2, 1), kept(3, 1)], [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_broken_one_within_kept() {
        let bytes = LINES.join("\n");
        let whole = LINES[..3].join("\n").len() + 1;
        assert_eq!(kept(bytes.as_bytes(), 9, 9), whole);
        let edited = format!("{}\nnot JSON\n{}\n", LINES[0], LINES[1]);
        assert_eq!(kept(edited.as_bytes(), 2, 1), edited.len());
    }
}
