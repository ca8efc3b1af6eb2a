//! Multinomial logistic regression.

use burn::nn::Linear;
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use serde::{Deserialize, Serialize};

use super::linear::{Standardizer, cross_entropy};
use super::{Features, LinearClassifier};
use crate::error::{Error, Result};
use crate::nn::{Init, InitialWeights};

/// A linear probe without hyperparameters to tune: multinomial logistic regression on standardized
/// features, solved by L-BFGS on all samples at once. The objective is the one of scikit-learn's
/// `LogisticRegression`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    /// The inverse strength of the penalty on squared weights, relative to the *sum* of the
    /// samples' losses.
    pub c: f64,
    /// The largest number of iterations.
    pub iterations: usize,
}

impl Default for LogisticRegression {
    /// `c` = 1, scikit-learn's default, and at most 300 iterations.
    fn default() -> Self {
        Self { c: 1.0, iterations: 300 }
    }
}

impl LogisticRegression {
    /// The classifier with the smallest penalized loss on `train`.
    ///
    /// # Errors
    ///
    /// When `c` is not above 0.
    pub fn fit(&self, train: &Features) -> Result<LinearClassifier> {
        if !(self.c > 0.0 && self.c.is_finite()) {
            return Err(Error::config(format!(
                "the c of logistic regression must be above 0, got {}",
                self.c
            )));
        }
        let standardizer = Standardizer::of(train);
        let (inputs, targets) = (standardizer.apply(train.values.clone()), train.one_hot());
        let penalty = 0.5 / (self.c * train.len() as f64);
        // The starting point does not matter: the loss has a single minimum.
        let weights = &mut InitialWeights::new(0, &train.device().autodiff());
        let layer = weights.linear(train.width(), train.classes, Init::Constant(0.0));
        let mut optimizer = LBFGSConfig::new()
            .with_max_iter(self.iterations)
            .with_history_size(10)
            .with_tolerance_grad(1e-5)
            .with_line_search_fn(LineSearchFn::StrongWolfe)
            .init();
        let (layer, _) = optimizer.step(1.0, layer, |layer: Linear| {
            let loss = cross_entropy(layer.forward(inputs.clone()), targets.clone());
            let loss = loss + layer.weight.val().square().sum() * penalty;
            let value = loss.clone().into_scalar::<f32>();
            (f64::from(value), GradientsParams::from_grads(loss.backward(), &layer))
        });
        let bias = layer.bias.expect("the layer was made with a bias").val();
        Ok(LinearClassifier {
            standardizer,
            weight: layer.weight.val().without_autodiff(),
            bias: bias.without_autodiff().unsqueeze(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tensor;

    /// Two classes on a line, overlapping.
    fn line() -> Features {
        let values =
            Tensor::from_floats([[-2.0], [-1.0], [0.5], [-0.5], [1.0], [2.0]], &test_device());
        Features::new(values, vec![0, 0, 0, 1, 1, 1], 2).unwrap()
    }

    #[test]
    fn the_gradient_of_the_penalized_loss_is_zero_at_the_solution() {
        for c in [0.1, 1.0, 100.0] {
            let train = line();
            let classifier = LogisticRegression { c, ..Default::default() }.fit(&train).unwrap();
            let probabilities = classifier.scores(&train).exp();
            let inputs = classifier.standardizer.apply(train.values.clone());
            let gradient =
                inputs.transpose().matmul(probabilities - train.one_hot()) + classifier.weight / c;
            let largest = gradient.abs().max().into_scalar::<f32>();
            assert!(largest < 1e-3, "{c}: {largest}");
        }
    }

    #[test]
    fn a_c_that_is_none_is_refused() {
        let fit = LogisticRegression { c: 0.0, ..Default::default() }.fit(&line());
        assert!(fit.unwrap_err().to_string().ends_with("must be above 0, got 0"));
    }
}
