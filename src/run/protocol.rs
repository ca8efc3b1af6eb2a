//! The protocols that an evaluation runs, and its scores.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Evaluation, Split, Start};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{FineTuning, Knn, LinearProbe, Score};

/// A protocol, as named on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Linear probing: logistic regression, and from 16384 images on the papers' probe beside it.
    Linear,
    /// k nearest neighbors.
    Knn,
    /// Fine-tuning of the whole encoder.
    FineTune,
    /// Fine-tuning of the last blocks alone, of 0, 1, 2, 4, ... and all of them.
    Partial,
    /// All of the above, and the score card.
    All,
}

/// The plan of an evaluation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The protocol.
    pub protocol: Protocol,
    /// Whether to evaluate random encoders of the same shape beside the given one.
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
    /// The scores of random encoders.
    pub baselines: Vec<Score>,
    /// The encoder's features with the first seed, if a protocol read them.
    pub features: Option<Split>,
    /// The first seed.
    pub seed: u64,
}

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Runs `plan`; `say` is called with every score.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::validate`]; when an image cannot be read or fine-tuning fails; when somebody
    /// asked to stop.
    pub fn run(&self, plan: &Plan, say: &mut dyn FnMut(&Score)) -> Result<Scores> {
        self.validate()?;
        let mut scores = Scores {
            protocol: plan.protocol,
            given: Vec::new(),
            baselines: Vec::new(),
            features: None,
            seed: self.seed,
        };
        for start in [Start::Given, Start::Random] {
            if start == Start::Given || plan.baselines {
                self.frozen(plan, start, &mut scores, say)?;
                self.trained(plan, start, &mut scores, say)?;
            }
        }
        Ok(scores)
    }

    /// The protocols that read features.
    fn frozen(
        &self,
        plan: &Plan,
        start: Start,
        scores: &mut Scores,
        say: &mut dyn FnMut(&Score),
    ) -> Result<()> {
        let protocol = plan.protocol;
        if !matches!(protocol, Protocol::Linear | Protocol::Knn | Protocol::All) {
            return Ok(());
        }
        let splits = self.splits(start)?;
        self.interrupt.check()?;
        if protocol != Protocol::Knn {
            scores.add(start, self.linear(start, &splits)?, say);
            let probe = LinearProbe::mae();
            // With fewer images than a batch it would take only a few small steps, which lead
            // nowhere.
            if splits[0].train.len() >= probe.batch_size {
                scores.add(start, self.probe(&probe, start, &splits)?, say);
            }
        }
        self.interrupt.check()?;
        if protocol != Protocol::Linear {
            for score in self.knn(&Knn::default(), start, &splits)? {
                scores.add(start, score, say);
            }
        }
        if start == Start::Given {
            scores.features = splits.into_iter().next();
        }
        Ok(())
    }

    /// The protocols that train the encoder.
    fn trained(
        &self,
        plan: &Plan,
        start: Start,
        scores: &mut Scores,
        say: &mut dyn FnMut(&Score),
    ) -> Result<()> {
        if matches!(plan.protocol, Protocol::FineTune | Protocol::All) {
            scores.add(start, self.fine_tune(&plan.tuning, start, &plan.out)?, say);
        }
        // An encoder that does not name its layers has no last ones; asked for alone, that is a fault.
        let layers = self.encoder.backbone.layers();
        if plan.protocol == Protocol::Partial || plan.protocol == Protocol::All && layers > 0 {
            for blocks in steps(layers) {
                let tuning = FineTuning { last_blocks: Some(blocks), ..plan.tuning.clone() };
                scores.add(start, self.fine_tune(&tuning, start, &plan.out)?, say);
            }
        }
        Ok(())
    }
}

/// 0, 1, 2, 4, ... and `layers`.
fn steps(layers: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power).take_while(|&blocks| blocks < layers);
    [0].into_iter().chain(powers).chain([layers]).collect()
}

impl Scores {
    fn add(&mut self, start: Start, score: Score, say: &mut dyn FnMut(&Score)) {
        say(&score);
        match start {
            Start::Given => self.given.push(score),
            Start::Random => self.baselines.push(score),
        }
    }

    /// The one score that stands for the protocol: logistic regression, 20 neighbors, fine-tuning,
    /// or partial fine-tuning of all blocks.
    pub fn headline(&self) -> &Score {
        let found = match self.protocol {
            Protocol::Partial => self.given.last(),
            _ => self.given.first(),
        };
        found.expect("every protocol has a score")
    }

    /// The evaluation as one JSON object; accuracies are in percent.
    pub fn to_json(&self) -> Value {
        let brief = |score: &Score| {
            let (top1, top5) = (score.top1(), score.top5());
            json!({
                "protocol": score.protocol, "setting": score.setting, "encoder": score.encoder,
                "top1": top1.mean, "std": top1.std, "top5": top5.mean, "seconds": score.seconds,
            })
        };
        let headline = self.headline();
        let mut json = brief(headline);
        let all = self.given.iter().chain(&self.baselines);
        json["protocol"] = self.protocol.to_string().into();
        json["train_images"] = headline.train_images.into();
        json["test_images"] = headline.test_images.into();
        json["seed"] = self.seed.into();
        json["seeds"] = headline.results.len().into();
        json["scores"] = all.map(brief).collect();
        json
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "linear" => Self::Linear,
            "knn" => Self::Knn,
            "finetune" => Self::FineTune,
            "partial" => Self::Partial,
            "all" => Self::All,
            _ => {
                return Err(Error::config(format!(
                    "unknown protocol `{text}`, expected linear, knn, finetune, partial or all"
                )));
            }
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Knn => "knn",
            Self::FineTune => "finetune",
            Self::Partial => "partial",
            Self::All => "all",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_fine_tuning_doubles_its_blocks() {
        assert_eq!(steps(6), [0, 1, 2, 4, 6]);
        assert_eq!(steps(12), [0, 1, 2, 4, 8, 12]);
        assert_eq!(steps(1), [0, 1]);
    }

    #[test]
    fn a_protocol_reads_back_as_it_is_written() {
        for name in ["linear", "knn", "finetune", "partial", "all"] {
            assert_eq!(name.parse::<Protocol>().unwrap().to_string(), name);
        }
        let message = "probe".parse::<Protocol>().unwrap_err().to_string();
        assert!(message.ends_with("linear, knn, finetune, partial or all"), "{message}");
    }
}
