//! The papers' linear probe.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use rand::seq::SliceRandom;

use super::features::indices;
use super::linear::Standardizer;
use super::{Features, LinearClassifier};
use crate::config::config;
use crate::error::{Error, Result};
use crate::nn::{Init, InitialWeights};
use crate::rng::{Purpose, stream};
use crate::train::{Recipe, Schedule};

/// How far a step of LARS may move a matrix, relative to the norm of the matrix (You et al. 2017,
/// arXiv 1708.03888).
const TRUST: f64 = 1e-3;

config! {
    /// A linear layer on batch-normalized features, trained by momentum SGD or LARS. This is the
    /// papers' protocol, except that features are extracted once, without augmentation.
    #[derive(Debug, PartialEq)]
    pub struct LinearProbe {
        /// Passes over the training features. Default: 90
        pub epochs: usize = 90,
        /// Samples per step; all where there are fewer. Default: 16384
        pub batch_size: usize = 16384,
        /// Peak learning rate for a batch of 256. Default: 0.1
        pub base_lr: f64 = 0.1,
        /// Epochs of linear warm-up. Default: 10
        pub warmup_epochs: f64 = 10.0,
        /// Momentum: the share of the last step in the next. Default: 0.9
        pub momentum: f64 = 0.9,
        /// Weight decay, added to the gradient. Default: 0
        pub weight_decay: f64 = 0.0,
        /// Whether steps of the weight are scaled to its norm (LARS). Default: true
        pub lars: bool = true,
    }
}

impl LinearProbe {
    /// MAE's linear probe: LARS, batches of 16384, 90 epochs, no weight decay (arXiv 2111.06377,
    /// Table 10).
    pub fn mae() -> Self {
        Self::new()
    }

    /// MoCo v3's linear probe: momentum SGD, batches of 1024, 90 epochs (arXiv 2104.02057 §A).
    pub fn sgd() -> Self {
        Self::new().with_batch_size(1024).with_warmup_epochs(0.0).with_lars(false)
    }

    /// Trains a classifier on `train`. The seed decides its first weights and the order of samples.
    ///
    /// # Errors
    ///
    /// When the batch size is 0, or epochs, rates or warm-up are what
    /// [`Recipe::validate`](crate::train::Recipe::validate) refuses.
    pub fn fit(&self, train: &Features, seed: u64) -> Result<LinearClassifier> {
        if self.batch_size == 0 {
            return Err(Error::config("the batch size must be at least 1"));
        }
        let recipe = Recipe::new()
            .with_epochs(self.epochs)
            .with_base_lr(self.base_lr)
            .with_warmup_epochs(self.warmup_epochs);
        recipe.validate()?;
        let batch_size = self.batch_size.min(train.len());
        let steps = train.len() / batch_size;
        let schedule = Schedule::new(&recipe, batch_size, steps);
        let standardizer = Standardizer::of(train);
        let (inputs, targets) = (standardizer.apply(train.values.clone()), train.one_hot());
        let device = train.device();
        let mut state = State::new(train.width(), train.classes, seed, &device);
        for epoch in 0..self.epochs {
            let mut order: Vec<usize> = (0..train.len()).collect();
            order.shuffle(&mut stream(seed, Purpose::Order, epoch as u64, 0));
            for (step, batch) in order.chunks_exact(batch_size).enumerate() {
                let batch = indices(batch, &device);
                let inputs = inputs.clone().select(0, batch.clone());
                let targets = targets.clone().select(0, batch);
                state = state.step(self, inputs, targets, schedule.at(epoch * steps + step));
            }
        }
        Ok(LinearClassifier { standardizer, weight: state.weight, bias: state.bias })
    }
}

/// The layer under training, with the last step of its weight and its bias.
struct State {
    weight: Tensor<2>,
    bias: Tensor<2>,
    weight_step: Tensor<2>,
    bias_step: Tensor<2>,
}

impl State {
    fn new(width: usize, classes: usize, seed: u64, device: &Device) -> Self {
        let init = Init::TruncatedNormal { std: 0.01, bound: 2.0 };
        Self {
            weight: InitialWeights::new(seed, device).param([width, classes], init).val().detach(),
            bias: Tensor::zeros([1, classes], device),
            weight_step: Tensor::zeros([width, classes], device),
            bias_step: Tensor::zeros([1, classes], device),
        }
    }

    /// One step; the gradient of a linear layer under cross-entropy needs no autodiff.
    fn step(self, probe: &LinearProbe, inputs: Tensor<2>, targets: Tensor<2>, lr: f64) -> Self {
        let [samples, _] = inputs.dims();
        let logits = inputs.clone().matmul(self.weight.clone()) + self.bias.clone();
        let error = (softmax(logits, 1) - targets) / samples as f64;
        let bias_gradient = error.clone().sum_dim(0);
        let mut gradient = inputs.transpose().matmul(error);
        gradient = gradient + self.weight.clone() * probe.weight_decay;
        if probe.lars {
            let trust = length(self.weight.clone()) / length(gradient.clone()) * TRUST;
            gradient = gradient * trust;
        }
        let weight_step = self.weight_step * probe.momentum + gradient;
        let bias_step = self.bias_step * probe.momentum + bias_gradient;
        Self {
            weight: self.weight - weight_step.clone() * lr,
            bias: self.bias - bias_step.clone() * lr,
            weight_step,
            bias_step,
        }
    }
}

/// The norm of a tensor, `[1, 1]`; a small positive number instead of 0.
fn length(values: Tensor<2>) -> Tensor<2> {
    values.square().sum().sqrt().clamp_min(1e-12).unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::Tolerance;

    /// Three classes on a plane, at the corners of a triangle.
    fn triangle() -> Features {
        let corners = [[4.0, 0.0], [-2.0, 3.0], [-2.0, -3.0]];
        let values: Vec<f32> = (0..90)
            .flat_map(|i| {
                let wobble = (i as f32 * 0.7).sin();
                corners[i % 3].map(|x: f32| x + wobble)
            })
            .collect();
        let values = burn::tensor::TensorData::new(values, [90, 2]);
        let values = Tensor::from_data(values, &test_device());
        Features::new(values, (0..90).map(|i| i % 3).collect(), 3).unwrap()
    }

    #[test]
    fn both_optimizers_find_what_separates_the_classes() {
        for (probe, base_lr) in [(LinearProbe::mae(), 50.0), (LinearProbe::sgd(), 1.0)] {
            let probe = probe.with_base_lr(base_lr).with_epochs(100).with_warmup_epochs(2.0);
            let probe = probe.with_batch_size(90);
            let train = triangle();
            assert_eq!(probe.fit(&train, 0).unwrap().test(&train).top1, 100.0);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let fit = |seed| {
            let probe = LinearProbe::mae().with_epochs(3).with_batch_size(20);
            probe.fit(&triangle(), seed).unwrap().weight.into_data()
        };
        assert_eq!(fit(1), fit(1));
        assert_ne!(fit(1), fit(2));
    }

    #[test]
    fn a_step_moves_along_momentum_and_as_far_as_lars_trusts() {
        let device = test_device();
        let state = || State {
            weight: Tensor::from_floats([[3.0, 4.0]], &device),
            weight_step: Tensor::from_floats([[1.0, 0.0]], &device),
            ..State::new(1, 2, 0, &device)
        };
        let inputs = Tensor::from_floats([[0.0], [2.0]], &device);
        let targets = Tensor::from_floats([[1.0, 0.0], [1.0, 0.0]], &device);
        // The second sample's logits are 6 and 8, so its error is p = σ(2) of the wrong class.
        let p = 1.0 / (1.0 + (-2.0f32).exp());
        let step = |lars| {
            let probe = LinearProbe::new().with_lars(lars);
            state().step(&probe, inputs.clone(), targets.clone(), 0.5).weight.into_data()
        };
        let expected = [[3.0 - 0.5 * (0.9 - p), 4.0 - 0.5 * p]];
        let near = Tolerance::<f32>::absolute(1e-5);
        step(false).assert_approx_eq(&burn::tensor::TensorData::from(expected), near);
        // The gradient is [−p, p], of length p√2; the weight's is 5.
        let trusted = 5.0 / 2.0f32.sqrt() * 1e-3;
        let expected = [[3.0 - 0.5 * (0.9 - trusted), 4.0 - 0.5 * trusted]];
        step(true).assert_approx_eq(&burn::tensor::TensorData::from(expected), near);
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let fit = LinearProbe::mae().with_batch_size(0).fit(&triangle(), 0);
        assert!(fit.unwrap_err().to_string().ends_with("the batch size must be at least 1"));
    }
}
