//! The score of a protocol.

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
    /// One result for each seed.
    pub results: Vec<TestResult>,
    /// The number of labelled images for training.
    pub train_images: usize,
    /// The number of images that were classified.
    pub test_images: usize,
    /// Wall time of all seeds, without the extraction of features that several protocols share.
    pub seconds: f64,
}

impl Score {
    /// Percent right at the first guess, over the seeds.
    ///
    /// # Panics
    ///
    /// When there is no result.
    pub fn top1(&self) -> Summary {
        Summary::of(&self.results.iter().map(|result| result.top1).collect::<Vec<_>>())
    }

    /// Percent right among the first five guesses, over the seeds.
    ///
    /// # Panics
    ///
    /// When there is no result.
    pub fn top5(&self) -> Summary {
        Summary::of(&self.results.iter().map(|result| result.top5).collect::<Vec<_>>())
    }
}
