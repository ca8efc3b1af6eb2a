//! The protocols that an evaluation runs.
//!
//! A new one is a variant of [`Protocol`], a line of [`EACH`], a line of `Reading::measure` in
//! `readouts.rs`, and a method of `Reading`, in a file of its own where it is more than a few lines.

use std::fmt;
use std::str::FromStr;

use super::Subject;
use crate::error::{Error, Result};

/// A protocol, as named on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Linear probing: logistic regression, and from 16384 images on the papers' probe beside it.
    Linear,
    /// k nearest neighbors, of features as they are and of standardized ones.
    Knn,
    /// Logistic regression with 1 % and with 10 % of the labels.
    Few,
    /// Logistic regression on the features of several layers and of the last ones together; the best
    /// is chosen on a held-out part of the training labels.
    Layers,
    /// Attentive probing of the encoder's cells: efficient probing, and one query.
    Attentive,
    /// Segmentation from the encoder's cells, linear and by nearest neighbors; it needs a label map
    /// of each image, and without one is no part of `All`.
    Dense,
    /// What needs no labels: RankMe and LiDAR.
    Quality,
    /// Fine-tuning of the whole encoder.
    FineTune,
    /// Fine-tuning of the last blocks alone, of 0, 1, 2, 4, ... and all of them.
    Partial,
    /// All of the above, and the score card.
    All,
}

/// Every protocol with its name, in the order in which [`Protocol::All`], the last, runs them.
const EACH: [(Protocol, &str); 10] = [
    (Protocol::Linear, "linear"),
    (Protocol::Knn, "knn"),
    (Protocol::Few, "few"),
    (Protocol::Layers, "layers"),
    (Protocol::Attentive, "attentive"),
    (Protocol::Dense, "dense"),
    (Protocol::Quality, "quality"),
    (Protocol::FineTune, "finetune"),
    (Protocol::Partial, "partial"),
    (Protocol::All, "all"),
];

impl Protocol {
    /// Whether it trains the encoder, so that epochs of fine-tuning act.
    pub fn trains_encoder(self) -> bool {
        matches!(self, Self::FineTune | Self::Partial | Self::All)
    }

    /// Whether what has no tokens and no weights can be measured by it.
    fn measures(self, subject: Subject) -> bool {
        subject.is_encoder() || matches!(self, Self::Linear | Self::Knn | Self::Few)
    }

    /// The protocols to run on a subject one after another.
    pub(super) fn parts(self, subject: Subject) -> Vec<Self> {
        let each = EACH.iter().map(|&(protocol, _)| protocol);
        let asked = each.filter(|&part| part != Self::All && (self == part || self == Self::All));
        asked.filter(|part| part.measures(subject)).collect()
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = EACH.iter().find(|(_, name)| *name == text);
        found.map(|&(protocol, _)| protocol).ok_or_else(|| {
            let names: Vec<_> = EACH.iter().map(|&(_, name)| name).collect();
            let (last, names) = names.split_last().expect("there are protocols");
            let names = names.join(", ");
            Error::config(format!("unknown protocol `{text}`, expected {names} or {last}"))
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = EACH.iter().find(|(protocol, _)| protocol == self);
        f.write_str(found.expect("every protocol has a name").1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_reads_back_as_it_is_written() {
        for (protocol, name) in EACH {
            assert_eq!((protocol.to_string().as_str(), name.parse().ok()), (name, Some(protocol)));
        }
        let message = "probe".parse::<Protocol>().unwrap_err().to_string();
        assert!(message.ends_with("finetune, partial or all"), "{message}");
    }

    #[test]
    fn what_is_no_encoder_is_not_fine_tuned() {
        assert_eq!(Protocol::FineTune.parts(Subject::Random), [Protocol::FineTune]);
        assert_eq!(Protocol::FineTune.parts(Subject::Pixels), []);
        assert!(Protocol::All.parts(Subject::Hog).contains(&Protocol::Knn));
        assert!(!Protocol::All.parts(Subject::Hog).contains(&Protocol::Partial));
        assert!(!Protocol::All.parts(Subject::Given).contains(&Protocol::All));
    }
}
