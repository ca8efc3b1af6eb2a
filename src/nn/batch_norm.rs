//! Batch normalization without a memory.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, InitialWeights};

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
}
