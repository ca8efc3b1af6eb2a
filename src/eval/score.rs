//! The score of a protocol.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Summary, TestResult};

/// The result of one protocol on one encoder, with one or several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The protocol's name, as on a command line.
    pub protocol: String,
    /// The setting of the protocol, such as the number of neighbors.
    pub setting: String,
    /// A description of the encoder.
    pub encoder: String,
    /// What is measured, with its unit: [`Score::TOP1`], `mIoU %`. More is better.
    pub measure: String,
    /// The measured number, one for each seed.
    pub values: Vec<f64>,
    /// The classification of the test images, one result for each seed; none where a protocol
    /// classifies nothing.
    pub results: Vec<TestResult>,
    /// The number of labelled images for training.
    pub train_images: usize,
    /// The number of images that were classified.
    pub test_images: usize,
    /// Wall time of all seeds, without the extraction of features that several protocols share.
    pub seconds: f64,
}

impl Score {
    /// The measure of classification: percent of test images whose class is guessed first.
    pub const TOP1: &str = "top-1 %";

    /// The measured number over the seeds.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.values)
    }

    /// Percent right at the first guess, over the seeds.
    ///
    /// # Panics
    ///
    /// When nothing was classified.
    pub fn top1(&self) -> Summary {
        Summary::of(&self.results.iter().map(|result| result.top1).collect::<Vec<_>>())
    }

    /// Percent right among the first five guesses, over the seeds.
    ///
    /// # Panics
    ///
    /// When nothing was classified.
    pub fn top5(&self) -> Summary {
        Summary::of(&self.results.iter().map(|result| result.top5).collect::<Vec<_>>())
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, setting, encoder, measure, .. } = self;
        let Summary { mean, std } = self.summary();
        let (measure, unit) = match measure.strip_suffix(" %") {
            Some(name) => (name, " %"),
            None => (measure.as_str(), ""),
        };
        write!(f, "{protocol} ({setting}) of {encoder}: {measure} {mean:.2} ± {std:.2}{unit}")?;
        if !self.results.is_empty() {
            write!(f, ", top-5 {:.2} %", self.top5().mean)?;
        }
        write!(f, ", {:.1} s", self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_says_what_it_is_of() {
        let score = Score {
            protocol: "dense".into(),
            setting: "linear".into(),
            encoder: "ViT".into(),
            measure: "mIoU %".into(),
            values: vec![30.0, 32.0],
            results: Vec::new(),
            train_images: 2,
            test_images: 1,
            seconds: 1.25,
        };
        let said = score.to_string();
        assert_eq!(said, "dense (linear) of ViT: mIoU 31.00 ± 1.41 %, 1.2 s");
        let rank = Score { measure: "RankMe".into(), values: vec![7.0], ..score };
        assert_eq!(rank.to_string(), "dense (linear) of ViT: RankMe 7.00 ± 0.00, 1.2 s");
    }
}
