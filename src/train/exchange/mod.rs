//! Several processes that train one task: what they say to each other, and in which order gradients
//! are added.
//!
//! The unit is the micro-batch: a batch of the loader, of which a step has
//! [`Recipe::accumulation`](super::Recipe::accumulation). The gradients of a step's micro-batches are
//! added in a fixed binary tree. Every process computes one branch of it, and the upper part is added
//! by exchanges between two processes at a time: so any number of processes ends at the same bits.

#[cfg(feature = "mpi")]
mod mpi;
mod ranks;
mod threads;
mod tree;
mod turns;

use std::fmt::Debug;

#[cfg(feature = "mpi")]
pub use mpi::{end_mpi, mpi_ranks};
pub(super) use ranks::NOTHING;
pub use ranks::Ranks;
pub use threads::thread_ranks;
pub(super) use tree::Tree;
pub(crate) use turns::Piece;

use crate::error::Result;

/// How a process of several reaches the others. All of them make the same calls in the same order.
///
/// [`Ranks`] is what a run has: it makes sums, broadcasts and barriers of these exchanges, always in
/// the same order. So an implementation brings no arithmetic of its own, which could change bits.
pub trait Exchange: Debug + Send + Sync {
    /// The number of this process, counted from 0. Process 0 writes all files and reports.
    fn rank(&self) -> usize;

    /// How many processes there are, a power of two.
    fn ranks(&self) -> usize;

    /// Sends `values` to the process `partner`, and receives as many from it into `received`.
    ///
    /// # Errors
    ///
    /// When the partner has ended, or sends another number of values.
    fn swap(&self, partner: usize, values: &[f32], received: &mut [f32]) -> Result<()>;
}

/// What every one of `count` threads makes of `work`.
#[cfg(test)]
fn on_each<T: Send>(count: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads = thread_ranks(count).unwrap().into_iter();
        let threads: Vec<_> = threads.map(|ranks| scope.spawn(|| work(ranks))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
