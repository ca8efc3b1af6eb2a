//! Processes that MPI connects.

use std::sync::Mutex;

use mpi::Threading;
use mpi::environment::Universe;
use mpi::point_to_point::send_receive_into;
use mpi::topology::{Communicator, SimpleCommunicator};

use super::{Exchange, Ranks};
use crate::error::{Error, Result};

/// What ends MPI when it is dropped. It is kept here, so that a panic does not wait for the others.
static UNIVERSE: Mutex<Option<Universe>> = Mutex::new(None);

/// The processes that `mpirun` (or the queue's launcher) started; a process that was started without
/// it is alone. At the end every process calls [`end_mpi`].
///
/// # Errors
///
/// When MPI cannot be started, and when the number of processes is no power of two.
pub fn mpi_ranks() -> Result<Ranks> {
    let mut universe = UNIVERSE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if universe.is_none() {
        let begun = mpi::initialize_with_threading(Threading::Serialized);
        let (begun, _) = begun.ok_or_else(|| Error::config("MPI was started by somebody else"))?;
        *universe = Some(begun);
    }
    let world = SimpleCommunicator::world();
    let number = |number: i32| usize::try_from(number).unwrap_or_default();
    Ranks::new(Mpi { rank: number(world.rank()), ranks: number(world.size()) })
}

/// Ends what [`mpi_ranks`] began, if it did: waits for the other processes, or ends all of them at once
/// where this one has `failed`, with this status. Call it when the fault was reported.
pub fn end_mpi(failed: Option<u8>) {
    let mut universe = UNIVERSE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(universe) = universe.take() else { return };
    match failed {
        Some(status) if universe.world().size() > 1 => universe.world().abort(status.into()),
        _ => drop(universe),
    }
}

/// A process among those of MPI's world.
#[derive(Debug)]
struct Mpi {
    rank: usize,
    ranks: usize,
}

impl Exchange for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    /// MPI ends the whole job where one of the two has gone, or sends too much.
    fn swap(&self, partner: usize, values: &[f32], received: &mut [f32]) -> Result<()> {
        let world = SimpleCommunicator::world();
        let partner = world.process_at_rank(partner as i32);
        send_receive_into(values, &partner, received, &partner);
        Ok(())
    }
}
