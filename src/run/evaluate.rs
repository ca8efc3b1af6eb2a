//! Evaluation of an encoder on a data set, protocol by protocol.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};

use super::{LoadedBackbone, Split, Subject};
use crate::data::{ChannelStatistics, ImageData, ImageDataset, Loader, LoaderConfig};
use crate::encoder::{Backbone, GridTokens};
use crate::error::{Error, Result, ensure};
use crate::eval::{
    CellSource, Features, Knn, LabelledCollate, Labels, LinearProbe, LogisticRegression, Pooling,
    Score, TestResult, labelled_share, require_labels,
};
use crate::grid::ImageShape;
use crate::limits;
use crate::train::{Interrupt, Progress, Ranks};

/// The most GiB that cells side by side may take.
const CELLS: f64 = 3.0;

/// The settings that all protocols share: the encoder, the images, the seeds and the device.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Evaluation<'a, B> {
    /// The encoder.
    pub encoder: &'a LoadedBackbone<B>,
    /// Labelled images.
    pub data: &'a ImageData,
    /// How the encoder's tokens become one vector per image.
    pub pooling: Pooling,
    /// Which of the encoder's features are read cell by cell, by attentive probes and segmentation.
    pub cells: CellSource,
    /// How many of the labelled training images are used.
    pub labels: Labels,
    /// How many parts of a clip, one after the other from its beginning to its end, its features are the
    /// mean of.
    pub clip_views: usize,
    /// Images per batch.
    pub batch_size: usize,
    /// Threads that prepare batches.
    pub workers: usize,
    /// The first seed, which decides the labelled share, initial heads, orders and random encoders.
    pub seed: u64,
    /// The number of seeds, counted up from the first.
    pub seeds: u64,
    /// The device.
    pub device: Device,
    /// The flag by which others can stop the evaluation.
    pub interrupt: Interrupt,
    /// How fine-tuning reports.
    pub progress: Progress,
    /// The processes that share out the extraction of features, in [`Evaluation::run_by`].
    pub(super) ranks: Ranks,
}

impl<'a, B: Backbone + Clone> Evaluation<'a, B> {
    /// An evaluation of `encoder` on `data`: mean features of the middle of clips, all labels, batches of 64 that one
    /// thread prepares, the single seed 0, and no reports. All of these are public fields.
    pub fn new(encoder: &'a LoadedBackbone<B>, data: &'a ImageData, device: &Device) -> Self {
        Self {
            encoder,
            data,
            pooling: Pooling::Mean,
            cells: CellSource::Last,
            labels: Labels::ALL,
            clip_views: 1,
            batch_size: 64,
            workers: 1,
            seed: 0,
            seeds: 1,
            device: device.clone(),
            interrupt: Interrupt::default(),
            progress: Progress::Silent,
            ranks: Ranks::default(),
        }
    }

    /// Checks that the images have classes, and that the encoder can read them and has the tokens
    /// that are pooled.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken.
    pub fn validate(&self) -> Result<()> {
        require_labels(self.data)?;
        self.labels.validate()?;
        self.validate_encoder()?;
        self.validate_memory()
    }

    /// The same of images that need no classes.
    pub(super) fn validate_encoder(&self) -> Result<()> {
        let (reads, has) = (self.encoder.image, self.data.shape);
        if reads.channels != has.channels {
            return Err(Error::config(format!(
                "the encoder reads images of {} channels, the data has {}",
                reads.channels, has.channels
            )));
        }
        ensure!(self.seeds > 0, "an evaluation needs at least 1 seed, got 0");
        ensure!(
            self.seeds <= limits::SEEDS && self.seed.checked_add(self.seeds).is_some(),
            "an evaluation has at most {} seeds, the last one a number of 64 bits, got {} from {} on",
            limits::SEEDS,
            self.seeds,
            self.seed
        );
        ensure!(
            (1..=limits::SEEDS as usize).contains(&self.clip_views),
            "features are means of 1 to {} parts of a clip, got {}",
            limits::SEEDS,
            self.clip_views
        );
        if matches!(self.pooling, Pooling::ClassToken | Pooling::Both) {
            self.pooling.of(self.of_black())?;
        }
        Ok(())
    }

    /// Refuses more cells side by side than fit into memory, before any is extracted.
    fn validate_memory(&self) -> Result<()> {
        if self.pooling != Pooling::Cells {
            return Ok(());
        }
        let numbers = self.of_black().tokens.shape().num_elements();
        check_cells(numbers, self.train(self.seed)?.len().max(self.data.test.len()))
    }

    /// What the encoder makes of one black image.
    fn of_black(&self) -> GridTokens {
        let ImageShape { channels, height, width, .. } = self.encoder.image;
        let black = Tensor::zeros([1, channels, height, width], &self.device);
        self.encoder.backbone.represent(black)
    }

    /// Logistic regression with the default penalty, on the features of every seed.
    ///
    /// # Errors
    ///
    /// As [`LogisticRegression::fit`].
    pub fn linear(&self, subject: Subject, splits: &[Split]) -> Result<Score> {
        let probe = LogisticRegression::default();
        let setting = format!("logistic regression, C = {}", probe.c);
        self.logistic(setting, subject, splits, |_, _| Ok(probe))
    }

    /// Logistic regression with the penalty that [`LogisticRegression::chosen`] finds, on the features
    /// of every seed.
    ///
    /// # Errors
    ///
    /// As [`LogisticRegression::fit`].
    pub fn linear_chosen(&self, subject: Subject, splits: &[Split]) -> Result<Score> {
        let setting = "logistic regression, C chosen on held-out labels".into();
        self.logistic(setting, subject, splits, |train, seed| {
            self.interrupt.check()?;
            LogisticRegression::chosen(train, seed)
        })
    }

    fn logistic(
        &self,
        setting: String,
        subject: Subject,
        splits: &[Split],
        probe: impl Fn(&Features, u64) -> Result<LogisticRegression>,
    ) -> Result<Score> {
        let started = Instant::now();
        let fit = |(seed, Split { train, test }): (u64, &Split)| {
            Ok(probe(train, seed)?.fit(train)?.test(test))
        };
        let results = self.all_seeds().zip(splits).map(fit).collect::<Result<_>>()?;
        Ok(self.score("linear", setting, subject, results, splits[0].train.len(), started))
    }

    /// The papers' linear probe, on the features of every seed.
    ///
    /// # Errors
    ///
    /// As [`LinearProbe::fit`].
    pub fn probe(&self, probe: &LinearProbe, subject: Subject, splits: &[Split]) -> Result<Score> {
        let started = Instant::now();
        let seeds = self.all_seeds().zip(splits);
        let fit =
            |(seed, split): (u64, &Split)| Ok(probe.fit(&split.train, seed)?.test(&split.test));
        let results = seeds.map(fit).collect::<Result<_>>()?;
        let optimizer = if probe.lars { "LARS" } else { "SGD" };
        let setting = format!("{optimizer}, {} epochs", probe.epochs);
        Ok(self.score("linear", setting, subject, results, splits[0].train.len(), started))
    }

    /// k-NN on the features of every seed: one score for each number of neighbors.
    ///
    /// # Errors
    ///
    /// As [`Knn::scores`].
    pub fn knn(&self, knn: &Knn, subject: Subject, splits: &[Split]) -> Result<Vec<Score>> {
        let started = Instant::now();
        let mut results = vec![Vec::new(); knn.neighbors.len()];
        for Split { train, test } in splits {
            for (results, scores) in results.iter_mut().zip(knn.scores(train, test)?) {
                results.push(TestResult::new(scores, &test.labels));
            }
        }
        let score = |(results, count): (_, &usize)| {
            self.score(
                "knn",
                knn.setting(*count, splits[0].train.len()),
                subject,
                results,
                splits[0].train.len(),
                started,
            )
        };
        Ok(results.into_iter().zip(&knn.neighbors).map(score).collect())
    }

    pub(super) fn score(
        &self,
        protocol: &str,
        setting: String,
        subject: Subject,
        results: Vec<TestResult>,
        train_images: usize,
        started: Instant,
    ) -> Score {
        Score {
            protocol: protocol.into(),
            setting,
            encoder: self.title(subject),
            measure: Score::TOP1.into(),
            values: results.iter().map(|result| result.top1).collect(),
            results,
            train_images,
            test_images: self.data.test.len(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    pub(super) fn title(&self, subject: Subject) -> String {
        match subject {
            Subject::Given => self.encoder.title.clone(),
            baseline => baseline.title().into(),
        }
    }

    pub(super) fn all_seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed + self.seeds
    }

    /// The encoder that `subject` is.
    ///
    /// # Errors
    ///
    /// When it is none, or cannot be built.
    pub(super) fn backbone(&self, subject: Subject, seed: u64) -> Result<B> {
        match subject {
            Subject::Given => Ok(self.encoder.backbone.clone()),
            Subject::Random => self.encoder.random(seed),
            other => Err(Error::config(format!("{} are no encoder", other.title()))),
        }
    }

    /// The labelled training images of a seed.
    pub(super) fn train(&self, seed: u64) -> Result<Arc<dyn ImageDataset>> {
        labelled_share(&self.data.train, self.labels, seed)
    }

    /// The statistics the encoder was trained with, or else the data's own.
    pub(super) fn statistics(&self) -> &ChannelStatistics {
        self.encoder.statistics.as_ref().unwrap_or(&self.data.statistics)
    }

    pub(super) fn collate(&self) -> Result<LabelledCollate> {
        LabelledCollate::new(self.encoder.image, self.statistics(), self.data.class_names.len())
    }

    pub(super) fn loader(
        &self,
        images: &Arc<dyn ImageDataset>,
        collate: LabelledCollate,
        seed: u64,
        training: bool,
    ) -> Result<Loader<LabelledCollate>> {
        let batch_size = if training { self.batch_size.min(images.len()) } else { self.batch_size };
        let config = LoaderConfig { batch_size, seed, workers: self.workers, training };
        Loader::new(images.clone(), collate, config, &self.device)
    }
}

/// Refuses so many numbers of each of so many images where they would take more than [`CELLS`].
fn check_cells(numbers: usize, images: usize) -> Result<()> {
    let gib = 4.0 * numbers as f64 * images as f64 / f64::from(1 << 30);
    ensure!(
        gib <= CELLS,
        "the pooling `cells` makes {numbers} numbers of an image: of {images} images they take {gib:.1} GiB, and \
         at most {CELLS} are kept: use fewer labels, or the mean over all cells"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cells_side_by_side_than_are_kept_are_an_error_with_both_sizes() {
        assert!(check_cells(16 * 192, 60_000).is_ok());
        let message = check_cells(196 * 768, 50_000).unwrap_err().to_string();
        assert!(message.contains("take 28.0 GiB, and at most 3 are kept"), "{message}");
    }
}
