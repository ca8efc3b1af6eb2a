//! How a command speaks and ends: after its work, a fault or a signal.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use signal_hook::{consts, flag};

use crate::error::{Error, Result};
use crate::train::{Interrupt, Progress, Ranks};

/// The last signal that asked this process to stop.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// Whether this process leaves all words to the first of several.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// How long a process waits with its own fault that is not the first of several: where all have the
/// same, the first one's word ends the others.
const PATIENCE: Duration = Duration::from_secs(3);

/// The processes that run this command together: those that `mpirun` started, in a program with the
/// feature `mpi`. All but the first say nothing from here on but their own faults.
///
/// # Errors
///
/// When the processes cannot be connected, or their number is no power of two.
pub fn ranks() -> Result<Ranks> {
    #[cfg(feature = "mpi")]
    let ranks = crate::train::mpi_ranks()?;
    #[cfg(not(feature = "mpi"))]
    let ranks = Ranks::default();
    IS_SILENT.store(!ranks.is_first(), Ordering::Relaxed);
    Ok(ranks)
}

/// How a run reports its progress: that of the first process does.
pub(super) fn progress() -> Progress {
    if is_silent() { Progress::Silent } else { Progress::Auto }
}

fn is_silent() -> bool {
    IS_SILENT.load(Ordering::Relaxed)
}

/// Says something on standard error; what nobody can read any more is left out.
pub fn say(text: impl Display) {
    if is_silent() {
        return;
    }
    let _ = writeln!(stderr(), "{text}");
}

/// Tells what came out on standard output; what nobody can read any more is left out, for it is in
/// files too.
pub fn tell(text: impl Display) {
    if is_silent() {
        return;
    }
    let _ = writeln!(stdout(), "{text}");
}

/// Writes the one thing that was asked for: a command that cannot hand it over has failed.
///
/// # Errors
///
/// When standard output cannot be written to.
pub fn answer(text: impl Display) -> Result<()> {
    if is_silent() {
        return Ok(());
    }
    let written = writeln!(stdout(), "{text}").and_then(|()| stdout().flush());
    written.map_err(|error| Error::data("standard output", error))
}

/// Installs handlers of the signals to end (SIGINT, SIGTERM, with the feature `mpi` SIGUSR1, and unless
/// it is ignored SIGHUP): the first signal asks the run to save and stop, the second ends the process at
/// once.
///
/// # Errors
///
/// When a handler cannot be installed.
pub fn interrupt() -> Result<Interrupt> {
    let requested = Arc::new(AtomicBool::new(false));
    for signal in signals() {
        // In this order: the first signal finds nothing requested.
        flag::register_conditional_shutdown(signal, 128 + signal, requested.clone())
            .and_then(|_| flag::register_usize(signal, SIGNAL.clone(), signal as usize))
            .and_then(|_| flag::register(signal, requested.clone()))
            .map_err(|error| {
                Error::config(format!("signal {signal} cannot be handled: {error}"))
            })?;
    }
    Ok(requested.into())
}

fn signals() -> Vec<i32> {
    let mut signals = vec![consts::SIGINT, consts::SIGTERM];
    // The one that `mpirun` passes on to all processes at once, and then waits for them.
    #[cfg(all(unix, feature = "mpi"))]
    signals.push(consts::SIGUSR1);
    #[cfg(unix)]
    if !is_ignored(consts::SIGHUP) {
        signals.push(consts::SIGHUP);
    }
    signals
}

/// Whether whoever started this process wants it to outlive the signal, as `nohup` does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The status of a run that stopped as `signal` asked it to, or, without one, as its own limit of time
/// did: 75, by which `sysexits.h` says that a later attempt may succeed.
fn stopped(signal: usize) -> u8 {
    match signal {
        0 => 75,
        signal => u8::try_from(128 + signal).unwrap_or(1),
    }
}

/// Ends a command: a fault is one line on standard error, and a run that a signal stopped ends with that
/// signal's status, one that its limit of time stopped with 75. A fault of one of several processes ends
/// all of them.
pub fn exit(result: Result<()>) -> ExitCode {
    let (status, failed) = match result {
        Ok(()) => (0, false),
        Err(Error::Interrupted) => {
            say(Error::Interrupted);
            (stopped(SIGNAL.load(Ordering::Relaxed)), false)
        }
        // The process that has failed tells it, and ends this one.
        Err(Error::Process { .. }) if cfg!(feature = "mpi") => (1, false),
        Err(error) => {
            if is_silent() {
                thread::sleep(PATIENCE);
            }
            let _ = writeln!(stderr(), "error: {error}");
            (1, true)
        }
    };
    #[cfg(feature = "mpi")]
    crate::train::end_mpi(failed.then_some(status));
    #[cfg(not(feature = "mpi"))]
    let _ = failed;
    ExitCode::from(status)
}

#[cfg(test)]
mod tests {
    use super::stopped;

    #[test]
    fn a_signal_has_its_own_status_and_a_limit_of_time_that_of_a_later_attempt() {
        assert_eq!([0, 2, 15, usize::MAX >> 1].map(stopped), [75, 130, 143, 1]);
    }
}
