//! One linear layer on standardized features.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::{Features, TestResult};

/// Standardizes features: every number has mean 0 and standard deviation 1 over the training set.
/// With a frozen encoder this is what the papers' batch norm without affine parameters does.
#[derive(Debug, Clone)]
pub(super) struct Standardizer {
    mean: Tensor<2>,
    /// `[1, width]`, above 0.
    pub(super) std: Tensor<2>,
}

impl Standardizer {
    /// The standardization by the mean and the (population) standard deviation of `train`. A number
    /// that never changes becomes 0.
    pub(super) fn of(train: &Features) -> Self {
        Self::of_blocks(|| std::iter::once(train.values.clone()))
    }

    /// [`Standardizer::of`] of rows that come block by block, `[rows, width]`.
    ///
    /// # Panics
    ///
    /// When there is no block.
    pub(super) fn of_blocks<I: Iterator<Item = Tensor<2>>>(blocks: impl Fn() -> I) -> Self {
        let rows: usize = blocks().map(|block| block.dims()[0]).sum();
        let sum = |sums: &mut dyn Iterator<Item = Tensor<2>>| {
            sums.map(|block| block.sum_dim(0)).reduce(|sum, block| sum + block).expect("a block")
        };
        let mean = sum(&mut blocks()) / rows as f64;
        let mut squares = blocks().map(|block| (block - mean.clone()).square());
        let std = (sum(&mut squares) / rows as f64).sqrt();
        // The deviation of a constant in 32 bits is a rounding error, which must not be scaled up.
        let least = mean.clone().abs() * 1e-5 + 1e-12;
        Self { mean, std: std.max_pair(least) }
    }

    pub(super) fn apply(&self, values: Tensor<2>) -> Tensor<2> {
        (values - self.mean.clone()) / self.std.clone()
    }
}

/// A trained linear classifier with the standardization of its inputs.
#[derive(Debug, Clone)]
pub struct LinearClassifier {
    pub(super) standardizer: Standardizer,
    /// The weight for standardized features, `[width, classes]`.
    pub weight: Tensor<2>,
    /// The bias, `[1, classes]`.
    pub bias: Tensor<2>,
}

impl LinearClassifier {
    /// Log-probabilities, `[samples, classes]`.
    ///
    /// # Panics
    ///
    /// When the features have another width than the training features.
    pub fn scores(&self, features: &Features) -> Tensor<2> {
        let [width, _] = self.weight.dims();
        assert!(
            features.width() == width,
            "a classifier of {width} features cannot judge vectors of {}",
            features.width()
        );
        let inputs = self.standardizer.apply(features.values.clone());
        log_softmax(inputs.matmul(self.weight.clone()) + self.bias.clone(), 1)
    }

    /// The result of classifying `test`.
    ///
    /// # Panics
    ///
    /// As [`LinearClassifier::scores`].
    pub fn test(&self, test: &Features) -> TestResult {
        TestResult::new(self.scores(test), &test.labels)
    }
}

/// The mean cross-entropy of `logits`.
///
/// # Shapes
///
/// - logits: `[samples, classes]`
/// - targets: `[samples, classes]`, rows of sum 1
/// - output: `[1]`
///
/// # Panics
///
/// When the two shapes differ.
pub(super) fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let ([scored, guesses], [samples, classes]) = (logits.dims(), targets.dims());
    assert!(
        (scored, guesses) == (samples, classes),
        "a classifier of {guesses} classes scored {scored} samples, the batch has {samples} of \
         {classes} classes"
    );
    -(log_softmax(logits, 1) * targets).sum_dim(1).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn every_number_is_standardized_and_a_constant_is_0() {
        let values = Tensor::from_floats([[1.0, 0.1], [3.0, 0.1], [8.0, 0.1]], &test_device());
        let features = Features::new(values.clone(), vec![0; 3], 1).unwrap();
        let out = Standardizer::of(&features).apply(values);
        let out: Vec<f32> = out.into_data().try_to_vec().unwrap();
        // Mean 4, variance (9 + 1 + 16) / 3.
        let std = (26.0f32 / 3.0).sqrt();
        for (got, expected) in out.chunks(2).zip([-3.0 / std, -1.0 / std, 4.0 / std]) {
            assert!((got[0] - expected).abs() < 1e-5 && got[1].abs() < 0.02, "{out:?}");
        }
    }

    #[test]
    #[should_panic(expected = "a classifier of 3 features cannot judge vectors of 2")]
    fn features_of_another_width_panic_with_both() {
        let features =
            |width| Features::new(Tensor::ones([4, width], &test_device()), vec![0; 4], 2).unwrap();
        let classifier = LinearClassifier {
            standardizer: Standardizer::of(&features(3)),
            weight: Tensor::ones([3, 2], &test_device()),
            bias: Tensor::zeros([1, 2], &test_device()),
        };
        classifier.scores(&features(2));
    }

    #[test]
    #[should_panic(expected = "a classifier of 2 classes scored 4 samples, the batch has 4 of 5")]
    fn scores_of_another_number_of_classes_panic_with_both() {
        let [scores, targets] = [2, 5].map(|classes| Tensor::ones([4, classes], &test_device()));
        cross_entropy(scores, targets);
    }

    #[test]
    fn cross_entropy_is_that_of_the_targets() {
        let logits = Tensor::from_floats([[0.0, 0.0], [1.0, 0.0]], &test_device());
        let targets = Tensor::from_floats([[1.0, 0.0], [0.25, 0.75]], &test_device());
        let loss = cross_entropy(logits, targets).into_scalar::<f32>();
        let sum = (1.0f32 + 1.0f32.exp()).ln();
        let expected = (2.0f32.ln() + sum - 0.25) / 2.0;
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }
}
