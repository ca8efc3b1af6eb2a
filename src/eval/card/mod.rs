//! The score card of an encoder: all its scores on one page.

mod chart;
mod html;
mod markdown;
mod part;

use std::path::Path;

use serde_json::Value;

use super::Score;
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::train::History;
use crate::viz::Picture;

/// The scores of an encoder with the pictures and curves that explain them, as one page of HTML
/// without other files, and as Markdown.
#[derive(Debug, Clone)]
pub struct ScoreCard {
    /// A description of the encoder.
    pub encoder: String,
    /// A description of the images.
    pub data: String,
    /// The scores of the encoder, in the order in which they are shown. The card shows the
    /// confusion matrix of the first one.
    pub scores: Vec<Score>,
    /// Scores of random encoders of the same shape, by the same protocols and settings.
    pub baselines: Vec<Score>,
    /// The names of the classes.
    pub class_names: Vec<String>,
    /// The losses of pre-training epoch by epoch, if known.
    pub history: Option<History>,
    /// The predictions of the encoder's task for hidden patches as a PNG file, if known.
    pub reconstructions: Option<Vec<u8>>,
    /// Test images with the training images most similar to them.
    pub neighbors: Vec<NeighborRow>,
    /// The configuration of the encoder's training, if known.
    pub config: Option<Value>,
}

/// A test image and the training images nearest to it in the encoder's features.
#[derive(Debug, Clone)]
pub struct NeighborRow {
    /// The test image.
    pub query: LabelledPicture,
    /// The neighbors, the most similar first, each with the cosine of the angle between its
    /// features and the query's.
    pub found: Vec<(LabelledPicture, f32)>,
}

/// An image and its class.
#[derive(Debug, Clone)]
pub struct LabelledPicture {
    /// The image.
    pub picture: Picture,
    /// Its class.
    pub label: usize,
}

impl ScoreCard {
    /// Writes `score_card.html` and `score_card.md` to `folder`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|error| Error::data(folder, error))?;
        for (name, text) in
            [("score_card.html", self.to_html()?), ("score_card.md", self.to_markdown())]
        {
            let path = folder.join(name);
            write_whole(&path, text.as_bytes()).map_err(|error| Error::data(&path, error))?;
        }
        Ok(())
    }

    /// The random encoder's score by the same protocol and setting.
    fn baseline(&self, score: &Score) -> Option<&Score> {
        let is_same =
            |other: &&Score| (&other.protocol, &other.setting) == (&score.protocol, &score.setting);
        self.baselines.iter().find(is_same)
    }

    fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

/// A protocol's name in prose.
fn protocol_title(protocol: &str) -> &str {
    match protocol {
        "knn" => "k-NN",
        "linear" => "Linear probe",
        "finetune" => "Fine-tuning",
        "partial" => "Partial fine-tuning",
        other => other,
    }
}

/// `77.82`, or `77.82 ± 0.31` over several seeds.
fn percent(score: &Score) -> String {
    let summary = score.top1();
    if score.results.len() > 1 {
        format!("{:.2} ± {:.2}", summary.mean, summary.std)
    } else {
        format!("{:.2}", summary.mean)
    }
}

/// `+5.31`: how far above its baseline a score is.
fn gain(score: &Score, baseline: &Score) -> String {
    format!("{:+.2}", score.top1().mean - baseline.top1().mean).replace('-', "−")
}
