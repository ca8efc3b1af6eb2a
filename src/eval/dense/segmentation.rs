//! Segmentation by frozen cells: linear, and by nearest neighbors.

use burn::tensor::Tensor;

use super::DenseFeatures;
use crate::config::config;
use crate::data::LabelMap;
use crate::error::{Result, ensure};
use crate::eval::{ConfusionMatrix, Knn, LogisticRegression};
use crate::grid::Grid;

config! {
    /// Segmentation of images by the features of their cells alone. A classifier learns the class of
    /// most of a cell's pixels; the scores that it gives the cells of a test image are interpolated
    /// between the cells' middles, bilinearly, and every pixel is of the class with the highest.
    ///
    /// The first is linear, as in the linear segmentation of BEiT's successors and of DINOv2 (arXiv
    /// 2304.07193 §7.4), but solved without hyperparameters ([`LogisticRegression`]); the second
    /// lets the most similar training cells vote ([`Knn`]), and trains nothing.
    #[derive(Debug, PartialEq)]
    pub struct SegmentationProbe {
        /// The most training cells; more are drawn from. Default: 20000
        pub cells: usize = 20_000,
        /// The neighbors of a cell that vote. Default: 20
        pub neighbors: usize = 20,
    }
}

impl SegmentationProbe {
    /// The segmentation of `test` by a linear classifier of the cells of `train`.
    ///
    /// # Errors
    ///
    /// When the two are of different classes, or no training cell has one.
    pub fn linear(
        &self,
        train: &DenseFeatures,
        test: &DenseFeatures,
        seed: u64,
    ) -> Result<SegmentationResult> {
        check(train, test)?;
        let classifier = LogisticRegression::default().fit(&train.labelled(self.cells, seed)?)?;
        Ok(SegmentationResult::new(classifier.scores(&test.cells), test))
    }

    /// The segmentation of `test` by the cells of `train` that are most similar to its own.
    ///
    /// # Errors
    ///
    /// As [`SegmentationProbe::linear`], and when no neighbor is to vote.
    pub fn knn(
        &self,
        train: &DenseFeatures,
        test: &DenseFeatures,
        seed: u64,
    ) -> Result<SegmentationResult> {
        check(train, test)?;
        let knn = Knn { neighbors: vec![self.neighbors], ..Knn::default() };
        let train = train.labelled(self.cells, seed)?;
        let votes = knn.scores(&train, &test.cells)?.remove(0);
        // Each cell has one vote, shared among the classes.
        Ok(SegmentationResult::new(votes.clone() / votes.sum_dim(1), test))
    }
}

fn check(train: &DenseFeatures, test: &DenseFeatures) -> Result<()> {
    let (learned, judged) = (train.cells.classes, test.cells.classes);
    ensure!(learned == judged, "cells of {learned} classes cannot segment images of {judged}");
    Ok(())
}

/// How well pixels were told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationResult {
    /// Percent of pixels, of those that have a class, whose class was guessed.
    pub accuracy: f64,
    /// For each class the pixels of it that were found, in percent of those that are of it or were
    /// taken for it; `None` where there are none.
    pub iou: Vec<Option<f64>>,
    /// The confusion of pixels.
    pub confusion: ConfusionMatrix,
}

impl SegmentationResult {
    /// The segmentation by the `scores` of all cells of `test`, `[cells of all images, classes]`.
    fn new(scores: Tensor<2>, test: &DenseFeatures) -> Self {
        let classes = test.cells.classes;
        let scores: Vec<f32> = scores.into_data().iter().collect();
        let mut confusion = ConfusionMatrix::new(classes);
        let of_image = scores.chunks_exact(test.grid.cells() * classes);
        for (cells, map) in of_image.zip(&test.maps) {
            for (pixel, &label) in map.classes().iter().enumerate() {
                if label != LabelMap::VOID {
                    let guess = guess(cells, test.grid, classes, map, pixel);
                    confusion.add(label.into(), guess);
                }
            }
        }
        Self::of(confusion)
    }

    fn of(confusion: ConfusionMatrix) -> Self {
        let counts = confusion.counts();
        let classes = counts.len();
        let all: usize = counts.iter().flatten().sum();
        let right: usize = (0..classes).map(|class| counts[class][class]).sum();
        let iou = |class: usize| {
            let is: usize = counts[class].iter().sum();
            let taken: usize = counts.iter().map(|row| row[class]).sum();
            let union = is + taken - counts[class][class];
            (union > 0).then(|| 100.0 * counts[class][class] as f64 / union as f64)
        };
        let iou = (0..classes).map(iou).collect();
        Self { accuracy: 100.0 * right as f64 / all.max(1) as f64, iou, confusion }
    }

    /// The mean of the classes' intersections over unions, in percent, of those that occur or were
    /// guessed; 0 where there are none.
    pub fn mean_iou(&self) -> f64 {
        let known: Vec<f64> = self.iou.iter().copied().flatten().collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    }
}

/// The class with the highest score at a pixel, the first of equals.
fn guess(cells: &[f32], grid: Grid, classes: usize, map: &LabelMap, pixel: usize) -> usize {
    let rows = between(pixel / map.width(), map.height(), grid.rows);
    let cols = between(pixel % map.width(), map.width(), grid.cols);
    let score = |class: usize| -> f32 {
        let corner = |&(row, row_share): &(usize, f32)| {
            let at = |&(col, share): &(usize, f32)| {
                cells[(row * grid.cols + col) * classes + class] * share * row_share
            };
            cols.iter().map(at).sum::<f32>()
        };
        rows.iter().map(corner).sum()
    };
    let scores: Vec<f32> = (0..classes).map(score).collect();
    (1..classes).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

/// The two cells along an axis whose middles a pixel lies between, with their shares; beyond the
/// middle of the outermost cell, this one alone.
fn between(pixel: usize, pixels: usize, cells: usize) -> [(usize, f32); 2] {
    let place = ((pixel as f32 + 0.5) * cells as f32 / pixels as f32 - 0.5).max(0.0);
    let before = (place as usize).min(cells - 1);
    let share = place - before as f32;
    [(before, 1.0 - share), ((before + 1).min(cells - 1), share)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    #[test]
    fn a_pixel_lies_between_the_middles_of_two_cells() {
        // Two cells of four pixels: middles at 2 and 6, so pixel 3 (its middle at 3.5) lies 3/8 on.
        assert_eq!(between(3, 8, 2), [(0, 0.625), (1, 0.375)]);
        assert_eq!(between(0, 8, 2), [(0, 1.0), (1, 0.0)]);
        assert_eq!(between(7, 8, 2), [(1, 0.625), (1, 0.375)]);
        assert_eq!(between(3, 4, 1), [(0, 0.625), (0, 0.375)]);
    }

    #[test]
    fn the_mean_iou_is_that_of_the_classes_there_are() {
        let mut confusion = ConfusionMatrix::new(4);
        // Class 0: 3 right, 1 taken for 1. Class 1: 2 right, 2 taken for 2. Class 2 and 3: none.
        for (label, guess, count) in [(0, 0, 3), (0, 1, 1), (1, 1, 2), (1, 2, 2)] {
            (0..count).for_each(|_| confusion.add(label, guess));
        }
        let result = SegmentationResult::of(confusion);
        assert_eq!(result.accuracy, 62.5);
        assert_eq!(result.iou, [Some(75.0), Some(40.0), Some(0.0), None]);
        assert!((result.mean_iou() - 115.0 / 3.0).abs() < 1e-9);
    }

    /// Images of 2 × 2 cells of 2 × 2 pixels, whose cells are of class 0 or 1; the features are a
    /// direction for each class, with a wobble.
    fn images(count: usize, first: usize) -> DenseFeatures {
        let class = |image: usize, cell: usize| (image * 7 + cell * 5 + image / 3 * cell) % 3 % 2;
        let (mut values, mut maps) = (Vec::new(), Vec::new());
        for image in first..first + count {
            for cell in 0..4 {
                let wobble = ((image * 4 + cell) as f32 * 2.3).sin() * 0.2;
                let sign = if class(image, cell) == 0 { 1.0 } else { -1.0 };
                values.extend([sign + wobble, wobble, 0.3 - wobble]);
            }
            let pixel = |i: usize| class(image, i / 4 / 2 * 2 + i % 4 / 2) as u8;
            maps.push(LabelMap::new(4, 4, (0..16).map(pixel).collect()).unwrap());
        }
        let values = TensorData::new(values, [count, 4, 3]);
        let values = Tensor::from_data(values, &test_device());
        DenseFeatures::new(values, Grid::new(2, 2), maps, 2).unwrap()
    }

    #[test]
    fn cells_that_tell_their_classes_segment_images() {
        let (train, test) = (images(30, 0), images(20, 30));
        let probe = SegmentationProbe::new().with_neighbors(5);
        for result in [probe.linear(&train, &test, 0), probe.knn(&train, &test, 0)] {
            let result = result.unwrap();
            // Pixels are on their cell's side of every border, where scores are symmetric.
            assert!(result.accuracy > 95.0, "{result:?}");
            assert!(result.mean_iou() > 90.0, "{result:?}");
        }
        let chance = SegmentationResult::new(Tensor::zeros([80, 2], &test_device()), &test);
        assert!(chance.iou[1] == Some(0.0) && chance.accuracy < 80.0);
    }

    #[test]
    fn pixels_without_a_class_count_for_nothing() {
        let map = LabelMap::new(2, 2, vec![0, 255, 255, 1]).unwrap();
        let values = Tensor::zeros([1, 4, 1], &test_device());
        let test = DenseFeatures::new(values, Grid::new(2, 2), vec![map], 2).unwrap();
        let scores = Tensor::from_floats([[1.0, 0.0]; 4], &test_device());
        let result = SegmentationResult::new(scores, &test);
        assert_eq!(result.confusion.counts(), [[1, 0], [1, 0]]);
    }
}
