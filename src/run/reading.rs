//! An evaluation under way: its plan, one subject after another, and its scores.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Evaluation, Protocol, Split, Subject};
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{Features, FineTuning, Score};

/// The plan of an evaluation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The protocol.
    pub protocol: Protocol,
    /// Whether to measure the [baselines](Subject::BASELINES) beside the encoder.
    pub baselines: bool,
    /// How to fine-tune.
    pub tuning: FineTuning,
    /// Where fine-tuning keeps its runs.
    pub out: PathBuf,
}

/// The scores of an evaluation.
#[derive(Debug, Clone)]
pub struct Scores {
    /// The protocol that was run.
    pub protocol: Protocol,
    /// The encoder's own scores, in the order they were measured.
    pub given: Vec<Score>,
    /// The scores of the baselines: random encoders, and what is no encoder.
    pub baselines: Vec<Score>,
    /// The encoder's features with the first seed, if a protocol read them.
    pub features: Option<Split>,
    /// The first seed.
    pub seed: u64,
}

/// One subject of an evaluation that is being measured, with what its protocols share.
#[derive(Debug)]
pub(super) struct Reading<'a, 'b, B> {
    pub(super) evaluation: &'b Evaluation<'a, B>,
    pub(super) plan: &'b Plan,
    pub(super) subject: Subject,
    splits: Option<Vec<Split>>,
}

impl<B: Backbone + Clone> Reading<'_, '_, B> {
    /// The subject's pooled features, one split for each seed, extracted when first asked for.
    pub(super) fn splits(&mut self) -> Result<&[Split]> {
        let splits = match self.splits.take() {
            Some(splits) => splits,
            None => self.evaluation.splits(self.subject)?,
        };
        self.evaluation.interrupt.check()?;
        Ok(self.splits.insert(splits))
    }

    /// The pooled features of the test images alone, one for each seed.
    pub(super) fn test_features(&self) -> Result<Vec<Features>> {
        match &self.splits {
            Some(splits) => Ok(splits.iter().map(|split| split.test.clone()).collect()),
            None => self.evaluation.test_features(self.subject),
        }
    }
}

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Runs `plan`; `say` is called with every score.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::validate`]; when an image cannot be read or fine-tuning fails; when somebody
    /// asked to stop.
    pub fn run(&self, plan: &Plan, say: &mut dyn FnMut(&Score)) -> Result<Scores> {
        // Classes of pixels are not those of images.
        match plan.protocol {
            Protocol::Dense => self.validate_encoder()?,
            _ => self.validate()?,
        }
        // Before anything is measured.
        if matches!(plan.protocol, Protocol::FineTune | Protocol::Partial | Protocol::All) {
            FineTuning { pooling: self.pooling, ..plan.tuning.clone() }.validate()?;
        }
        let (mut given, mut baselines, mut features) = (Vec::new(), Vec::new(), None);
        let compared = Subject::BASELINES.into_iter().filter(|_| plan.baselines);
        for subject in [Subject::Given].into_iter().chain(compared) {
            let is_given = subject == Subject::Given;
            let scores = if is_given { &mut given } else { &mut baselines };
            let mut reading = Reading { evaluation: self, plan, subject, splits: None };
            for protocol in plan.protocol.parts(subject) {
                self.interrupt.check()?;
                reading.measure(protocol, &mut |score| {
                    say(&score);
                    scores.push(score);
                })?;
            }
            if is_given {
                features = reading.splits.and_then(|splits| splits.into_iter().next());
            }
        }
        let (protocol, seed) = (plan.protocol, self.seed);
        Ok(Scores { protocol, given, baselines, features, seed })
    }
}

impl Scores {
    /// The one score that stands for the protocol: logistic regression, 20 neighbors, fine-tuning,
    /// or partial fine-tuning of all blocks.
    pub fn headline(&self) -> &Score {
        let found = match self.protocol {
            Protocol::Partial => self.given.last(),
            _ => self.given.first(),
        };
        found.expect("every protocol has a score")
    }

    /// The evaluation as one JSON object; accuracies are in percent, `measure` says what `value` is,
    /// and what is no accuracy has no `top1`.
    pub fn to_json(&self) -> Value {
        let headline = self.headline();
        let mut json = brief(headline);
        let all = self.given.iter().chain(&self.baselines);
        json["protocol"] = self.protocol.to_string().into();
        json["train_images"] = headline.train_images.into();
        json["test_images"] = headline.test_images.into();
        json["seed"] = self.seed.into();
        json["seeds"] = headline.values.len().into();
        json["scores"] = all.map(brief).collect();
        json
    }
}

fn brief(score: &Score) -> Value {
    let summary = score.summary();
    let [top1, top5] = if score.results.is_empty() {
        [None; 2]
    } else {
        [Some(score.top1().mean), Some(score.top5().mean)]
    };
    json!({
        "protocol": score.protocol, "setting": score.setting, "encoder": score.encoder,
        "top1": top1, "std": summary.std, "top5": top5, "seconds": score.seconds,
        "measure": score.measure, "value": summary.mean,
    })
}
