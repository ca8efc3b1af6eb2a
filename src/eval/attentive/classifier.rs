//! A trained attentive probe.

use burn::tensor::Tensor;

use super::Probe;
use crate::eval::cells::BLOCK;
use crate::eval::linear::Standardizer;
use crate::eval::{CellFeatures, Features, LinearClassifier, TestResult};

/// A trained attentive probe. The statistics of its batch norm are those of all training images
/// under the final weights, and no moving average.
#[derive(Debug, Clone)]
pub struct AttentiveClassifier {
    probe: Probe,
    cells: Standardizer,
    classifier: LinearClassifier,
    /// The learning rate that it was trained with.
    pub rate: f64,
}

impl AttentiveClassifier {
    /// The classifier of a probe that was trained on the images at `places`.
    pub(super) fn new(
        probe: Probe,
        cells: Standardizer,
        train: &CellFeatures,
        places: &[usize],
        rate: f64,
    ) -> Self {
        let pooled = pool(&probe, &cells, train, places);
        let bias = probe.head.bias.as_ref().expect("the head was made with a bias");
        let classifier = LinearClassifier {
            standardizer: Standardizer::of(&pooled),
            weight: probe.head.weight.val(),
            bias: bias.val().unsqueeze(),
        };
        Self { probe, cells, classifier, rate }
    }

    /// Log-probabilities, `[images, classes]`.
    ///
    /// # Panics
    ///
    /// When the cells have another width than the training cells.
    pub fn scores(&self, images: &CellFeatures) -> Tensor<2> {
        self.classifier.scores(&self.pooled(images, &all(images)))
    }

    /// The result of classifying `test`.
    ///
    /// # Panics
    ///
    /// As [`AttentiveClassifier::scores`].
    pub fn test(&self, test: &CellFeatures) -> TestResult {
        self.test_at(test, &all(test))
    }

    /// The result of classifying the images at `places`.
    pub(super) fn test_at(&self, images: &CellFeatures, places: &[usize]) -> TestResult {
        self.classifier.test(&self.pooled(images, places))
    }

    fn pooled(&self, images: &CellFeatures, places: &[usize]) -> Features {
        pool(&self.probe, &self.cells, images, places)
    }
}

fn all(images: &CellFeatures) -> Vec<usize> {
    (0..images.len()).collect()
}

/// What the probe's queries read of the images at `places`.
fn pool(probe: &Probe, cells: &Standardizer, images: &CellFeatures, places: &[usize]) -> Features {
    let read = |block: &[usize]| probe.attention.forward(images.batch(block), cells);
    let values = Tensor::cat(places.chunks(BLOCK).map(read).collect(), 0);
    let labels = places.iter().map(|&place| images.labels[place]).collect();
    Features { values, labels, classes: images.classes }
}
