//! Batch normalization.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, InitialWeights};
use crate::kernel;

/// How far [`RunningNorm::follow`] moves, PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// Every feature normalized by its mean and its variance over the batch at hand (Ioffe & Szegedy
/// 2015, arXiv 1502.03167), in training and in validation.
///
/// burn's own keeps running averages for networks that are used on single images. The heads that
/// pre-training throws away never are, and without a memory a step is a function of its batch.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// What a normalized feature is multiplied by, `[features]`.
    pub gamma: Param<Tensor<1>>,
    /// What is added then, `[features]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

/// The mean and the variance of every feature over a batch, without gradient.
#[derive(Debug, Clone)]
pub struct Moments {
    /// `[features]`.
    pub mean: Tensor<1>,
    /// `[features]`; unbiased, as PyTorch remembers it.
    pub variance: Tensor<1>,
}

/// What the norms of a network saw of a batch, in the order in which it computes them.
#[derive(Debug, Clone, Default)]
pub struct NormsSeen(pub Vec<Moments>);

impl NormsSeen {
    /// What `network` makes of a function that moves one norm after the other by what it saw.
    ///
    /// # Panics
    ///
    /// When it moves more or fewer norms than have seen something.
    pub(crate) fn move_all<T>(
        self,
        network: impl FnOnce(&mut dyn FnMut(RunningNorm) -> RunningNorm) -> T,
    ) -> T {
        let mut seen = self.0.into_iter();
        let moved =
            network(&mut |norm| norm.follow(seen.next().expect("each norm has seen a batch")));
        assert!(seen.next().is_none(), "more norms have seen a batch than there are");
        moved
    }
}

impl BatchNorm {
    /// Of `features`, with PyTorch's epsilon of 1e-5.
    pub fn new(features: usize, weights: &mut InitialWeights) -> Self {
        let gamma = weights.param([features], Init::Constant(1.0));
        Self { gamma, beta: weights.zeros([features]), epsilon: 1e-5 }
    }

    /// # Shapes
    ///
    /// - input: `[batch, features]`
    /// - output: the same
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let centered = input.clone() - input.mean_dim(0);
        let variance = centered.clone().square().mean_dim(0);
        let normalized = centered / (variance + self.epsilon).sqrt();
        normalized * self.gamma.val().unsqueeze() + self.beta.val().unsqueeze()
    }

    /// Maps by the statistics of the cells that `shown` has a 1 at, so many of each image; zeros at the
    /// others.
    ///
    /// # Shapes
    ///
    /// - maps: `[batch, features, rows, cols]`
    /// - shown: `[batch, 1, rows, cols]`
    /// - output: as `maps`
    pub fn forward_shown(
        &self,
        maps: Tensor<4>,
        shown: Tensor<4>,
        of_each: usize,
    ) -> (Tensor<4>, Moments) {
        let count = (maps.dims()[0] * of_each) as f64;
        let weights = [self.gamma.val(), self.beta.val()];
        let (output, [mean, variance]) =
            kernel::batch_norm(maps, weights, Some(shown), self.epsilon, false);
        let variance = variance * (count / (count - 1.0).max(1.0));
        (output, Moments { mean, variance })
    }
}

/// A [`BatchNorm`] of maps that remembers the batches it saw, so that it can read single images.
///
/// What is remembered is moved by [`follow`](Self::follow) alone, after a step: computing a loss changes
/// nothing, and several processes remember the same.
#[derive(Module, Debug)]
pub struct RunningNorm {
    /// By the batch.
    pub norm: BatchNorm,
    /// The mean that is remembered of every feature, `[features]`; not trained.
    pub running_mean: Param<Tensor<1>>,
    /// The variance that is remembered, `[features]`; not trained.
    pub running_variance: Param<Tensor<1>>,
}

impl RunningNorm {
    /// Of `features`, remembering a mean of 0 and a variance of 1.
    pub fn new(features: usize, weights: &mut InitialWeights) -> Self {
        let norm = BatchNorm::new(features, weights);
        let mut remembered = |value| weights.param([features], Init::Constant(value));
        Self {
            running_mean: remembered(0.0).set_require_grad(false),
            running_variance: remembered(1.0).set_require_grad(false),
            norm,
        }
    }

    /// Maps by what is remembered.
    ///
    /// # Shapes
    ///
    /// - maps: `[batch, features, rows, cols]`
    /// - output: the same
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let deviation = (self.running_variance.val() + self.norm.epsilon).sqrt();
        let scale = self.norm.gamma.val() / deviation;
        let shift = self.norm.beta.val() - self.running_mean.val() * scale.clone();
        let column = |values: Tensor<1>| values.reshape([1, -1, 1, 1]);
        maps * column(scale) + column(shift)
    }

    /// A tenth of the way from what is remembered to the moments of a batch.
    pub fn follow(self, seen: Moments) -> Self {
        let moved = |old: Param<Tensor<1>>, new: Tensor<1>| {
            old.map(|old| {
                let new = new.without_autodiff().cast(old.dtype());
                old.without_autodiff() * (1.0 - MOMENTUM) + new * MOMENTUM
            })
        };
        Self {
            running_mean: moved(self.running_mean, seen.mean),
            running_variance: moved(self.running_variance, seen.variance),
            norm: self.norm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn norm() -> BatchNorm {
        BatchNorm::new(2, &mut InitialWeights::new(0, &test_device()))
    }

    #[test]
    fn a_feature_has_mean_zero_and_variance_one_over_the_batch() {
        // Means 2 and 0, variances 2 / 3 and 0.
        let input = Tensor::from_floats([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], &test_device());
        let output = norm().forward(input).into_data();
        let root = 1.5f32.sqrt();
        let expected = [[-root, 0.0], [0.0, 0.0], [root, 0.0]];
        output.assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-4));
    }

    #[test]
    fn a_batch_of_one_is_finite() {
        let output = norm().forward(Tensor::from_floats([[5.0, -3.0]], &test_device()));
        assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn statistics_of_maps_are_those_of_the_shown_cells_and_are_remembered_when_followed() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let norm = RunningNorm::new(1, weights);
        // 1, 3, 5 and 7 are shown, of two images: a mean of 4, a variance of 5, 20 / 3 unbiased.
        let maps =
            Tensor::from_floats([[[[1.0, 3.0, 50.0]]], [[[70.0, 5.0, 7.0]]]], &test_device());
        let shown = Tensor::from_floats([[[[1.0, 1.0, 0.0]]], [[[0.0, 1.0, 1.0]]]], &test_device());
        let (output, seen) = norm.norm.forward_shown(maps, shown, 2);
        let [a, b] = [1.0, 3.0].map(|off: f32| off / 5f32.sqrt());
        let output: Vec<f32> = output.into_data().try_to_vec().unwrap();
        for (value, expected) in output.iter().zip([-b, -a, 0.0, 0.0, a, b]) {
            assert!((value - expected).abs() < 1e-5, "{output:?}");
        }
        let norm = norm.follow(seen);
        assert!((norm.running_mean.val().into_scalar::<f32>() - 0.4).abs() < 1e-6);
        let variance: f32 = norm.running_variance.val().into_scalar();
        assert!((variance - (0.9 + 2.0 / 3.0)).abs() < 1e-6, "{variance}");
        assert!(!norm.running_mean.is_require_grad());
        // (5 − 0.4) / √variance.
        let read = norm.forward(Tensor::full([1, 1, 1, 1], 5.0, &test_device()));
        assert!((read.into_scalar::<f32>() - 4.6 / variance.sqrt()).abs() < 1e-4);
    }
}
