//! Progress reports of a run.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::EpochMetrics;

/// Without a terminal, at most one line is written in this time within an epoch.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a run is watched before it says how long the rest of it takes.
const WATCHED: Duration = Duration::from_secs(5);

/// How a run reports its progress, always on standard error. A report that cannot be written there
/// (closed, or on a full disk) is left out, and the run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Progress {
    /// A bar on a terminal that can show one, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Lines,
    /// No report.
    #[default]
    Silent,
}

impl Progress {
    /// Writes a note beside the report of a run.
    pub fn note(self, text: &str) {
        if self != Self::Silent {
            say(text);
        }
    }
}

/// Writes a line on standard error, if anybody still reads it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The live report of one run.
#[derive(Debug)]
pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    lines: bool,
    total: u64,
    done: u64,
    done_at_start: u64,
    started: Instant,
    last_line: Instant,
    announced: bool,
}

impl Reporter {
    /// A report of a run over `total` images, of which an earlier process trained on `done`.
    pub(super) fn new(progress: Progress, total: usize, done: usize) -> Self {
        let bar = (progress == Progress::Auto).then(|| bar(total)).flatten();
        let lines = progress != Progress::Silent && bar.is_none();
        let (total, done, now) = (total as u64, done as u64, Instant::now());
        let announced = bar.is_none() && !lines;
        let (started, last_line) = (now, now);
        Self { bar, lines, total, done, done_at_start: done, started, last_line, announced }
    }

    /// Writes a note before or between epochs.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.lines => say(text),
            None => {}
        }
    }

    /// Reports that `images` more images were trained on.
    pub(super) fn step(&mut self, images: usize, epoch: usize, loss: Option<f32>, lr: f64) {
        self.done += images as u64;
        if !self.announced && self.started.elapsed() >= WATCHED {
            self.announced = true;
            let said = announcement(self.images_per_second(), self.time_left());
            said.iter().for_each(|said| self.note(said));
        }
        let line_is_due = self.lines && self.last_line.elapsed() >= LINE_INTERVAL;
        if self.bar.is_none() && !line_is_due {
            return;
        }
        let loss = loss.map_or(String::new(), |loss| format!("loss {loss:.4}  "));
        let status = format!(
            "epoch {epoch}  {loss}lr {lr:.2e}  {:.0} images/s  {} left",
            self.images_per_second(),
            HumanDuration(self.time_left())
        );
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.set_message(status);
        } else {
            say(&format!("{:>3}%  {status}", self.done * 100 / self.total.max(1)));
            self.last_line = Instant::now();
        }
    }

    /// Reports the end of an epoch.
    pub(super) fn epoch(&mut self, metrics: &EpochMetrics, epochs: usize) {
        let EpochMetrics {
            epoch, train_loss, valid_loss, learning_rate, images_per_second, ..
        } = metrics;
        let others =
            metrics.valid_metrics.iter().map(|(name, value)| format!("{name} {value:.2}  "));
        let others: String = others.collect();
        self.note(&format!(
            "epoch {epoch:>3}/{epochs}  train {train_loss:.4}  valid {valid_loss:.4}  {others}\
             lr {learning_rate:.2e}  {images_per_second:.0} images/s  {} left",
            HumanDuration(self.time_left())
        ));
        self.last_line = Instant::now();
    }

    /// Ends the report.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn images_per_second(&self) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        (self.done - self.done_at_start) as f64 / seconds.max(1e-9)
    }

    fn time_left(&self) -> Duration {
        let left = self.total.saturating_sub(self.done) as f64;
        let seconds = left / self.images_per_second().max(1e-9);
        // A minute of data for a hundred years of training is not worth a panic.
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// What a run says of its length on this machine; nothing of one that is soon over.
fn announcement(images_per_second: f64, left: Duration) -> Option<String> {
    (left > LINE_INTERVAL).then(|| {
        let left = HumanDuration(left);
        format!("about {left} on this machine, at {images_per_second:.0} images/s")
    })
}

/// A bar, if standard error is a terminal that can move its cursor.
fn bar(total: usize) -> Option<ProgressBar> {
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    if dumb || !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:28} {percent:>3}%  {msg}");
    bar.set_style(style.expect("a valid template"));
    // Some terminals are called by other names and draw nothing all the same.
    (!bar.is_hidden()).then_some(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_announced_and_a_short_one_is_not() {
        let said = announcement(700.4, Duration::from_secs(180)).unwrap();
        assert_eq!(said, "about 3 minutes on this machine, at 700 images/s");
        assert_eq!(announcement(700.0, Duration::from_secs(20)), None);
    }
}
