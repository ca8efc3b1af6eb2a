//! The score card of an encoder: all its scores on one page.

mod chart;
mod html;
mod markdown;
mod part;

use std::path::Path;

use serde_json::Value;

use super::{ConfusionMatrix, Score};
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
    /// Scores of what the encoder is compared with, by the same protocols: random encoders of the
    /// same shape, and handmade features.
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

    /// The names of all baselines, in the order of their first scores.
    fn baseline_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for score in &self.baselines {
            if !names.contains(&score.encoder.as_str()) {
                names.push(&score.encoder);
            }
        }
        names
    }

    /// The score of the baseline `name` by the same protocol and setting.
    fn baseline<'a>(&'a self, score: &'a Score, name: &str) -> Option<&'a Score> {
        self.rivals(score).find(|other| other.setting == score.setting && other.encoder == name)
    }

    /// The best score of any baseline by the same protocol, whatever its setting.
    fn best<'a>(&'a self, score: &'a Score) -> Option<&'a Score> {
        let mean = |score: &&Score| score.summary().mean;
        self.rivals(score).max_by(|a, b| mean(a).total_cmp(&mean(b)))
    }

    /// The scores of baselines by the same protocol and measure.
    fn rivals<'a>(&'a self, score: &'a Score) -> impl Iterator<Item = &'a Score> {
        let is_same =
            |other: &&Score| (&other.protocol, &other.measure) == (&score.protocol, &score.measure);
        self.baselines.iter().filter(is_same)
    }

    /// The first score that classifies, with its confusion matrix.
    fn confusion_shown(&self) -> Option<(&Score, &ConfusionMatrix)> {
        self.scores.iter().find_map(|score| Some((score, &score.results.first()?.confusion)))
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
        "few" => "Few labels",
        "finetune" => "Fine-tuning",
        "partial" => "Partial fine-tuning",
        other => other,
    }
}

/// `77.82`, `77.82 ± 0.31` over several seeds, and with the name of what is no accuracy:
/// `31.20 mIoU %`.
fn value(score: &Score) -> String {
    let summary = score.summary();
    let mut text = format!("{:.2}", summary.mean);
    if score.values.len() > 1 {
        text += &format!(" ± {:.2}", summary.std);
    }
    if score.measure != Score::TOP1 {
        text += &format!(" {}", score.measure);
    }
    text
}

/// The share of images whose class is among the first five guesses, where classes are guessed.
fn top5(score: &Score) -> String {
    if score.results.is_empty() { String::new() } else { format!("{:.2}", score.top5().mean) }
}

/// `+5.31`: how far above its baseline a score is.
fn gain(score: &Score, baseline: &Score) -> String {
    format!("{:+.2}", score.summary().mean - baseline.summary().mean).replace('-', "−")
}

/// What a baseline is, and how it was read: `HOG, k = 20`.
fn rival(baseline: &Score) -> String {
    match (baseline.protocol.as_str(), baseline.encoder.as_str()) {
        ("finetune" | "partial", _) => "training from scratch".into(),
        (_, encoder) => format!("{encoder}, {}", baseline.setting),
    }
}
