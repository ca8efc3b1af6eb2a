//! Threads of one process in place of processes.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Exchange, Ranks};
use crate::error::{Error, Result};

/// What each of `count` threads needs to do a run together, for tests of what several processes do: the
/// run is that of as many processes, but for draws on the device (drop path), which have one generator
/// in a process.
///
/// # Errors
///
/// When `count` is no power of two.
pub fn thread_ranks(count: usize) -> Result<Vec<Ranks>> {
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (to, from): (Vec<_>, Vec<_>) = (0..count).map(|_| channel()).unzip();
        senders.push(to.into_iter().map(Mutex::new).collect::<Vec<_>>());
        receivers.push(from);
    }
    // `receivers[a][b]` receives what a sends to b, and is b's.
    let mut own: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for from in receivers {
        for (receiver, own) in from.into_iter().zip(&mut own) {
            own.push(Mutex::new(receiver));
        }
    }
    let threads = senders.into_iter().zip(own).enumerate();
    threads.map(|(rank, (to, from))| Ranks::new(Threads { rank, to, from })).collect()
}

/// One thread's ends of the channels to all and from all.
#[derive(Debug)]
struct Threads {
    rank: usize,
    to: Vec<Mutex<Sender<Vec<f32>>>>,
    from: Vec<Mutex<Receiver<Vec<f32>>>>,
}

impl Exchange for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.to.len()
    }

    fn swap(&self, partner: usize, values: &[f32], received: &mut [f32]) -> Result<()> {
        let fault = |reason: &str| Error::Process { rank: partner, reason: reason.into() };
        let ended = || fault("has ended before the others");
        let to = self.to[partner].lock().map_err(|_| ended())?;
        to.send(values.to_vec()).map_err(|_| ended())?;
        let from = self.from[partner].lock().map_err(|_| ended())?;
        let values = from.recv().map_err(|_| ended())?;
        if values.len() != received.len() {
            return Err(fault("does something else than this one"));
        }
        received.copy_from_slice(&values);
        Ok(())
    }
}
