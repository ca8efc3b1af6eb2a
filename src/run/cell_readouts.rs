//! Read-outs of the cells of an encoder: attentive probes, and segmentation.

use std::time::Instant;

use super::helpers::{Part, Reads, Work};
use super::{Evaluation, Subject};
use crate::data::{ImageDataset, Subset};
use crate::encoder::Backbone;
use crate::error::{Result, ensure};
use crate::eval::{
    AttentiveProbe, CellFeatures, DenseFeatures, DenseImages, Labels, Score, SegmentationProbe,
    map_classes,
};

/// The most training and test images that are segmented.
const SEGMENTED: [usize; 2] = [1000, 500];

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Attentive probes on the cells of every seed: one score for each.
    ///
    /// # Errors
    ///
    /// As [`AttentiveProbe::fit`] and [`CellFeatures::extract`]; when `subject` is no encoder.
    pub fn attentive(&self, probes: &[AttentiveProbe], subject: Subject) -> Result<Vec<Score>> {
        let mut measured = vec![(Vec::new(), 0.0); probes.len()];
        let mut known: Option<[CellFeatures; 2]> = None;
        let mut images = 0;
        for seed in self.all_seeds() {
            let cells = |part| self.cells(subject, seed, part);
            // As for pooled features, little differs between seeds.
            let part = self.labels != Labels::ALL;
            let [train, test] = match (known.take(), subject == Subject::Random, part) {
                (Some(known), false, false) => known,
                (Some([_, test]), false, true) => [cells(Part::Train)?, test],
                _ => [cells(Part::Train)?, cells(Part::Test)?],
            };
            for (probe, (results, seconds)) in probes.iter().zip(&mut measured) {
                self.interrupt.check()?;
                let started = Instant::now();
                results.push(probe.fit(&train, seed)?.test(&test));
                *seconds += started.elapsed().as_secs_f64();
            }
            images = train.len();
            known = Some([train, test]);
        }
        let score = |(probe, (results, seconds)): (&AttentiveProbe, _)| {
            let (setting, now) = (probe.describe(), Instant::now());
            let score = self.score("attentive", setting, subject, results, images, now);
            Score { seconds, ..score }
        };
        Ok(probes.iter().zip(measured).map(score).collect())
    }

    fn cells(&self, subject: Subject, seed: u64, part: Part) -> Result<CellFeatures> {
        self.interrupt.check()?;
        self.ask(Work { subject, seed, part, read: Reads::Cells })?;
        let found = self.share_of_cells(subject, seed, part)?;
        Ok(found.expect("the first process has all cells"))
    }

    /// The part of this process in extracting these cells, the first of which has them all.
    pub(super) fn share_of_cells(
        &self,
        subject: Subject,
        seed: u64,
        part: Part,
    ) -> Result<Option<CellFeatures>> {
        let source = self.backbone(subject, seed);
        let source =
            source.and_then(|encoder| Ok((encoder, self.source(subject, seed, part, None)?.1)));
        let (encoder, loader) = self.ranks.together(source)?;
        let read = |images| self.cells.read(&encoder, images);
        CellFeatures::extract_by(&self.ranks, self.turns(&loader), read)
    }

    /// Whether images have label maps, which segmentation is measured on.
    pub(super) fn has_label_maps(&self) -> Result<bool> {
        Ok(self.data.train.label_map(0)?.is_some() && self.data.test.label_map(0)?.is_some())
    }

    /// Segmentation by the cells of every seed, linear and by nearest neighbors: of each the mean
    /// intersection over union, and the share of pixels whose class is guessed. Of more images, 1000
    /// are trained on and 500 segmented, as many of each class as of any other.
    ///
    /// # Errors
    ///
    /// When an image or its label map cannot be read, or has none; when `subject` is no encoder.
    pub fn dense(&self, probe: &SegmentationProbe, subject: Subject) -> Result<Vec<Score>> {
        let [mut linear, mut knn] = [(Vec::new(), 0.0), (Vec::new(), 0.0)];
        let mut images = [0; 2];
        let test = Subset::balanced(self.data.test.clone(), SEGMENTED[1], 0)?;
        for seed in self.all_seeds() {
            let train = Subset::balanced(self.train(seed)?, SEGMENTED[0], seed)?;
            let classes = map_classes(&[&train, &test])?;
            ensure!(
                classes > 1,
                "the label maps have pixels of one class alone (255 stands for none): dense read-outs \
                 need two"
            );
            let cells = |images| self.dense_features(subject, seed, images, classes);
            let [train, test] = [cells(&train)?, cells(&test)?];
            images = [train.maps.len(), test.maps.len()];
            let started = Instant::now();
            linear.0.push(probe.linear(&train, &test, seed)?);
            linear.1 += started.elapsed().as_secs_f64();
            self.interrupt.check()?;
            let started = Instant::now();
            knn.0.push(probe.knn(&train, &test, seed)?);
            knn.1 += started.elapsed().as_secs_f64();
        }
        let score = |setting: &str, measure: &str, values, seconds| Score {
            protocol: "dense".into(),
            setting: setting.into(),
            encoder: self.title(subject),
            measure: measure.into(),
            values,
            results: Vec::new(),
            train_images: images[0],
            test_images: images[1],
            seconds,
        };
        let neighbors = format!("k = {}", probe.neighbors);
        let mut scores = Vec::new();
        for (setting, (results, seconds)) in [("linear", linear), (neighbors.as_str(), knn)] {
            let values = results.iter().map(|result| result.mean_iou()).collect();
            scores.push(score(setting, "mIoU %", values, seconds));
            let values = results.iter().map(|result| result.accuracy).collect();
            scores.push(score(setting, "pixels %", values, seconds));
        }
        Ok(scores)
    }

    fn dense_features(
        &self,
        subject: Subject,
        seed: u64,
        images: &dyn ImageDataset,
        classes: usize,
    ) -> Result<DenseFeatures> {
        self.interrupt.check()?;
        let backbone = self.backbone(subject, seed)?;
        let shown = DenseImages::new(self.encoder.image, self.statistics())?;
        let read = |images| self.cells.read(&backbone, images);
        DenseFeatures::extract(images, &shown, classes, self.batch_size, &self.device, read)
    }
}
