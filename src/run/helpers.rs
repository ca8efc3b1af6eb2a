//! Processes that help the first one with an evaluation: they extract their share of the features.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reading::{Plan, Scores};
use super::{Evaluation, Subject};
use crate::data::{Epoch, Loader};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{LabelledBatch, LabelledCollate, Score};
use crate::train::{Ranks, weights_sha256};

/// Features that all processes extract together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) subject: Subject,
    pub(super) seed: u64,
    pub(super) part: Part,
    pub(super) read: Reads,
}

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Part {
    /// The labelled training images of the seed.
    Train,
    /// The test images.
    Test,
}

/// What is read of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Reads {
    /// One vector; of each of these layers, where some are named.
    Vectors(Option<Vec<usize>>),
    /// All cells.
    Cells,
}

/// What the first process says to those that help it.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    Work(Work),
    Stopped,
    Done,
}

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Runs `plan` as [`Evaluation::run`] does, with other processes that make the same call: all
    /// extract their share of the features, batch by batch, and the first does everything else. It has
    /// the same scores that it would have alone; the others have none.
    ///
    /// What extracts few features is not shared out: those of dense read-outs and LiDAR. Neither is
    /// fine-tuning.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::run`], and before anything is measured when the processes have other images,
    /// weights or settings. A fault of one is one of all: on the others an [`Error::Process`].
    pub fn run_by(
        &self,
        ranks: &Ranks,
        plan: &Plan,
        say: &mut dyn FnMut(&Score),
    ) -> Result<Option<Scores>> {
        let shared = Self { ranks: ranks.clone(), ..self.clone() };
        if ranks.ranks() > 1 {
            ranks.agree("images, weights or settings", shared.facts(plan))?;
        }
        if !ranks.is_first() {
            return shared.help().map(|()| None);
        }
        match shared.run(plan, say) {
            Ok(scores) => ranks.first(|| Ok(Word::Done)).map(|_| Some(scores)),
            Err(Error::Interrupted) => {
                ranks.first(|| Ok(Word::Stopped)).and(Err(Error::Interrupted))
            }
            Err(fault) => ranks.first(|| Err(fault)).map(|_: Word| None),
        }
    }

    /// Extracts this process's share of what the first asks for, until that has all it needs.
    fn help(&self) -> Result<()> {
        let mut own = None;
        loop {
            let fault = match self.ranks.first(|| Ok(Word::Done)) {
                Ok(Word::Work(work)) => {
                    // The first has heard of a fault, and says so next.
                    own = self.share_of(&work).err();
                    continue;
                }
                Ok(Word::Done) => return Ok(()),
                Ok(Word::Stopped) => Error::Interrupted,
                Err(fault) => fault,
            };
            return Err(own.take().unwrap_or(fault));
        }
    }

    fn share_of(&self, work: &Work) -> Result<()> {
        let Work { subject, seed, part, read } = work;
        match read {
            Reads::Vectors(layers) => {
                self.share_of_features(*subject, layers.as_deref(), *seed, *part).map(drop)
            }
            Reads::Cells => self.share_of_cells(*subject, *seed, *part).map(drop),
        }
    }

    /// Asks the other processes for their share of `work`.
    pub(super) fn ask(&self, work: Work) -> Result<()> {
        self.ranks.first(|| Ok(Word::Work(work))).map(drop)
    }

    /// The batches that are this process's to read.
    pub(super) fn turns(&self, loader: &Loader<LabelledCollate>) -> Epoch<LabelledBatch> {
        loader.part(0, (self.ranks.rank()..loader.batches()).step_by(self.ranks.ranks()))
    }

    /// What must be the same for all processes.
    fn facts(&self, plan: &Plan) -> String {
        let Self { data, pooling, cells, labels, batch_size, seed, seeds, clip_views, .. } = self;
        let (protocol, baselines) = (plan.protocol.to_string(), plan.baselines);
        json!({
            "protocol": protocol, "baselines": baselines, "pooling": pooling, "cells": cells,
            "labels": format!("{labels:?}"), "batch_size": batch_size, "seeds": [seed, seeds], "clip_views": clip_views,
            "images": [data.train.identity(), data.test.identity()],
            "image": self.encoder.image, "statistics": self.statistics(),
            "weights": weights_sha256(&self.encoder.backbone),
        })
        .to_string()
    }
}
