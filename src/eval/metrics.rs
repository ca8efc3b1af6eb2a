//! How often a classifier is right, and which classes it confuses.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Counts of which class was taken for which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfusionMatrix {
    counts: Vec<Vec<usize>>,
}

impl ConfusionMatrix {
    /// An empty matrix of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts one more sample of class `label` that was taken for `prediction`.
    ///
    /// # Panics
    ///
    /// When `label` or `prediction` is not a class of the matrix.
    pub fn add(&mut self, label: usize, prediction: usize) {
        self.counts[label][prediction] += 1;
    }

    /// How many samples of one class (row) were taken for another (column).
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    /// The share of a class's samples that were classified correctly, in percent; `None` without
    /// samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let row = &self.counts[class];
        let samples: usize = row.iter().sum();
        (samples > 0).then(|| 100.0 * row[class] as f64 / samples as f64)
    }
}

/// The result of a classifier on a test set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Percent of samples whose class has the highest score.
    pub top1: f64,
    /// Percent of samples whose class has one of the five highest scores (100 if there are at most
    /// five classes).
    pub top5: f64,
    /// The confusion matrix.
    pub confusion: ConfusionMatrix,
}

impl TestResult {
    /// The result of classifying samples of the classes `labels` by `scores`, where a higher score
    /// means a likelier class. Of equal scores the one of the earlier class counts as higher.
    ///
    /// # Shapes
    ///
    /// - scores: `[samples, classes]`
    ///
    /// # Panics
    ///
    /// When the number of labels differs from the number of rows, or a label is not a class.
    pub fn new(scores: Tensor<2>, labels: &[usize]) -> Self {
        let [samples, classes] = scores.dims();
        assert!(labels.len() == samples, "{samples} rows of scores for {} labels", labels.len());
        let scores: Vec<f32> = scores.into_data().iter().collect();
        let mut confusion = ConfusionMatrix::new(classes);
        let [mut first, mut first_five] = [0, 0];
        for (row, &label) in scores.chunks_exact(classes).zip(labels) {
            let ahead = (0..classes).filter(|&class| precedes(row, class, label)).count();
            first += usize::from(ahead == 0);
            first_five += usize::from(ahead < 5);
            confusion.add(label, best(row));
        }
        let percent = |count: usize| 100.0 * count as f64 / samples as f64;
        Self { top1: percent(first), top5: percent(first_five), confusion }
    }
}

/// Whether `class` is guessed before `other`. A score that is not a number is guessed last.
fn precedes(scores: &[f32], class: usize, other: usize) -> bool {
    let key = |class: usize| if scores[class].is_nan() { f32::NEG_INFINITY } else { scores[class] };
    key(class) > key(other) || key(class) == key(other) && class < other
}

fn best(scores: &[f32]) -> usize {
    (1..scores.len())
        .fold(0, |best, class| if precedes(scores, class, best) { class } else { best })
}

/// A measurement repeated with several seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation (divided by n − 1); 0 for a single value.
    pub std: f64,
}

impl Summary {
    /// Summarizes at least one value.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn of(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "no value has no mean");
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let std = if values.len() > 1 { (square / (count - 1.0)).sqrt() } else { 0.0 };
        Self { mean, std }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn the_highest_score_counts_and_the_five_highest() {
        #[rustfmt::skip]
        let scores = Tensor::from_floats([
            [0.1, 0.9, 0.0, 0.0, 0.0, 0.0],
            [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
            [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
            [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
        ], &test_device());
        let result = TestResult::new(scores, &[1, 4, 5, 0]);
        assert_eq!((result.top1, result.top5), (50.0, 75.0));
        let counts = result.confusion.counts();
        assert_eq!(counts[1], [0, 1, 0, 0, 0, 0]);
        assert_eq!([counts[4][0], counts[5][0], counts[0][0]], [1, 1, 1]);
        assert_eq!(counts.iter().flatten().sum::<usize>(), 4);
        assert_eq!(
            [1, 4, 2].map(|class| result.confusion.recall(class)),
            [Some(100.0), Some(0.0), None]
        );
    }

    #[test]
    fn scores_that_are_no_numbers_are_never_right() {
        let scores = Tensor::from_floats([[f32::NAN, f32::NAN], [f32::NAN, -1.0]], &test_device());
        let result = TestResult::new(scores, &[1, 1]);
        assert_eq!(result.top1, 50.0);
        assert_eq!(result.confusion.counts(), [[0, 0], [1, 1]]);
    }

    #[test]
    fn a_summary_is_of_the_sample() {
        assert_eq!(Summary::of(&[7.0]), Summary { mean: 7.0, std: 0.0 });
        let Summary { mean, std } = Summary::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean, 2.5);
        assert!((std - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
