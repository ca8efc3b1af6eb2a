//! Multinomial logistic regression.

use burn::nn::Linear;
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use serde::{Deserialize, Serialize};

use super::linear::{Standardizer, cross_entropy};
use super::{Features, LinearClassifier, held_out};
use crate::error::{Error, Result};
use crate::nn::{Init, InitialWeights};

/// What [`LogisticRegression::chosen`] chooses among, from the strongest penalty to the weakest.
const CHOICES: [f64; 4] = [0.001, 0.01, 0.1, 1.0];

/// The share of the training samples that it chooses by.
const HELD_OUT: f64 = 0.2;

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
    /// The regression whose `c` is right most often for a fifth of the training samples that is drawn by
    /// `seed` and held out: 0.001, 0.01, 0.1 and 1 are tried in this order, until one is right less often
    /// than the one before it. Many features, such as all cells side by side, need a smaller `c` than few.
    /// Where every class has a single sample, so that none can be held out, this is the default.
    ///
    /// # Errors
    ///
    /// As [`LogisticRegression::fit`].
    pub fn chosen(train: &Features, seed: u64) -> Result<Self> {
        let [rest, held] = held_out(&train.labels, HELD_OUT, seed);
        if held.is_empty() {
            return Ok(Self::default());
        }
        let (rest, held) = (train.select(&rest)?, train.select(&held)?);
        let mut best: Option<(f64, Self)> = None;
        for c in CHOICES {
            let regression = Self { c, ..Self::default() };
            let top1 = regression.fit(&rest)?.test(&held).top1;
            // The weaker the penalty, the longer a fit takes.
            if best.is_some_and(|(most, _)| top1 < most) {
                break;
            }
            best = Some((top1, regression));
        }
        Ok(best.expect("there are choices").1)
    }

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
    use crate::rng::{Purpose, stream};
    use crate::test_device;
    use burn::tensor::{Tensor, TensorData};
    use rand::RngExt;

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

    /// Two classes that the first of 40 features tells apart; the others are noise. Of every fifth
    /// sample the label is wrong.
    fn noisy() -> Features {
        let mut noise = stream(0, Purpose::Data, 0, 0);
        let label = |sample: usize| sample % 2;
        let mut values = Vec::new();
        for sample in 0..60 {
            let told = if sample % 5 == 4 { 1 - label(sample) } else { label(sample) };
            values.push(told as f32);
            values.extend((1..40).map(|_| noise.random_range(-1.0_f32..1.0)));
        }
        let values = Tensor::from_data(TensorData::new(values, [60, 40]), &test_device());
        Features::new(values, (0..60).map(label).collect(), 2).unwrap()
    }

    #[test]
    fn the_penalty_is_chosen_on_samples_held_out_and_is_a_strong_one_among_features_of_noise() {
        let chosen = LogisticRegression::chosen(&noisy(), 0).unwrap();
        assert!(chosen.c < 1.0, "{}", chosen.c);
        assert_eq!(chosen, LogisticRegression::chosen(&noisy(), 0).unwrap());
        // Where one feature tells everything any penalty does, and the weakest is kept.
        let values = Tensor::from_floats([[0.0], [1.0], [0.0], [1.0]], &test_device());
        let certain = Features::new(values, vec![0, 1, 0, 1], 2).unwrap();
        assert_eq!(LogisticRegression::chosen(&certain, 0).unwrap().c, 1.0);
    }

    #[test]
    fn classes_of_one_sample_leave_nothing_to_choose_by() {
        let values = Tensor::from_floats([[0.0], [1.0]], &test_device());
        let train = Features::new(values, vec![0, 1], 2).unwrap();
        assert_eq!(LogisticRegression::chosen(&train, 0).unwrap(), LogisticRegression::default());
    }

    #[test]
    fn a_c_that_is_none_is_refused() {
        let fit = LogisticRegression { c: 0.0, ..Default::default() }.fit(&line());
        assert!(fit.unwrap_err().to_string().ends_with("must be above 0, got 0"));
    }
}
