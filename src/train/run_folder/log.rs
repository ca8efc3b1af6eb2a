//! `log.jsonl`: what a run measures, a line at a time, as it goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::log_line::LogLine;

/// The name of the file in the run's folder.
pub(super) const LOG: &str = "log.jsonl";

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
