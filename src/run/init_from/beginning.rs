//! How a run begins: with fresh weights, with given ones, or where its checkpoint left off.

use serde_json::Value;

use super::{Begun, Given};
use crate::data::ChannelStatistics;
use crate::error::{Error, Result};
use crate::method::{Fitted, InitFrom, Method, Run};
use crate::train::RunFolder;

/// The beginning of a run.
pub(in crate::run) struct Beginning {
    /// Whether there is a checkpoint to go on from.
    checkpoint: bool,
    /// The weights that the run begins with or began with, and their SHA-256.
    pub(in crate::run) identity: (Option<InitFrom>, Option<String>),
    given: Option<Given>,
    /// What became of them.
    pub(in crate::run) begun: Option<Begun>,
}

impl Beginning {
    /// The beginning of `run`, which goes on from a checkpoint if `checkpoint` is true. Weights are
    /// read only if it does not.
    pub(in crate::run) fn of<M: Method>(run: &Run, method: &M, checkpoint: bool) -> Result<Self> {
        let begun = None;
        if checkpoint {
            let identity = resumed(run)?;
            return Ok(Self { checkpoint, identity, given: None, begun });
        }
        let open = |from| Given::open(from, method, &run.device);
        let given = run.init_from.as_ref().map(open).transpose()?;
        let weights = given.as_ref().map(|given| given.weights.clone());
        Ok(Self { checkpoint, identity: (run.init_from.clone(), weights), given, begun })
    }

    /// The statistics that the given weights were trained with, if images are to be normalized so.
    pub(in crate::run) fn statistics(&self) -> Option<ChannelStatistics> {
        self.given.as_ref().and_then(|given| given.statistics.clone())
    }

    /// The task to train, made of a fresh one: with what is fitted to the images unless a checkpoint
    /// or the given weights bring it, and with the given weights.
    pub(in crate::run) fn task<M: Method>(
        &mut self,
        method: &M,
        fresh: M::Task,
        run: &Run,
    ) -> Result<Fitted<M::Task>> {
        if self.checkpoint {
            return Ok(fresh.into());
        }
        let Some(given) = self.given.take() else {
            let Fitted { task, resumed } = method.fit(fresh, run)?;
            return Ok(Fitted { task: method.begin(task), resumed });
        };
        let plan = given.plan(method, &fresh)?;
        let Fitted { task, resumed } =
            if plan.fresh.is_empty() { fresh.into() } else { method.fit(fresh, run)? };
        let (task, begun) = given.put(task, plan);
        self.begun = Some(begun);
        Ok(Fitted { task: method.begin(task), resumed })
    }
}

/// The weights that a run began with which goes on from a checkpoint. Its source is looked at only
/// if it is at another place now.
fn resumed(run: &Run) -> Result<(Option<InitFrom>, Option<String>)> {
    let saved: Value = RunFolder::new(&run.out).config().unwrap_or_default();
    let began: Option<InitFrom> = serde_json::from_value(saved["init_from"].clone()).ok();
    let weights = saved["initial_weights"].as_str().map(String::from);
    match (&run.init_from, began) {
        (None, began) => Ok((began, weights)),
        (Some(from), Some(began)) if from.source == began.source => {
            Ok((Some(from.clone()), weights))
        }
        (Some(from), Some(_)) => Ok((Some(from.clone()), Some(from.checksum()?))),
        (Some(from), None) => Err(Error::checkpoint(
            &run.out,
            format!(
                "this run began with fresh weights, and goes on with its own: init_from.source ({}) \
                 is for a new run, in another folder",
                from.source.display()
            ),
        )),
    }
}
