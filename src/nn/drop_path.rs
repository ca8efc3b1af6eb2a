//! Stochastic depth.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;

/// Drops a whole residual branch of a sample with probability `prob` while training (Huang et al.
/// 2016), and scales the kept ones by 1 / (1 − `prob`).
///
/// Together with [`Dropout`] this is the only layer of the crate that draws random numbers on the
/// device. It acts only on an autodiff device, and not in a frozen or validating module.
#[derive(Module, Debug)]
pub struct DropPath {
    per_sample: Dropout,
}

impl DropPath {
    /// A drop path of probability `prob`, in [0, 1).
    ///
    /// # Panics
    ///
    /// When `prob` is outside that range.
    pub fn new(prob: f64) -> Self {
        Self { per_sample: DropoutConfig::new(prob).init() }
    }

    /// The probability to drop a branch.
    pub fn probability(&self) -> f64 {
        self.per_sample.prob
    }

    /// The probability of the block at `index`, counted from 0, of `count` blocks: it grows linearly
    /// from 0 to `last`, and stays there in blocks beyond.
    pub(crate) fn growing_to(last: f64, index: usize, count: usize) -> f64 {
        last * (index as f64 / count.saturating_sub(1).max(1) as f64).min(1.0)
    }

    /// The same, frozen or not, with another probability.
    ///
    /// # Panics
    ///
    /// When `prob` is not in [0, 1).
    pub fn with_probability(self, prob: f64) -> Self {
        let Dropout { training, .. } = self.per_sample;
        Self { per_sample: Dropout { training, ..Self::new(prob).per_sample } }
    }

    /// The branch, dropped for some samples.
    ///
    /// # Shapes
    ///
    /// - branch: `[batch, tokens, width]`
    /// - output: the same
    pub fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        self.draw(&branch).apply(branch)
    }

    /// Which samples lose the first branch of a block, and which the second: see [`DropPath::draw`].
    pub fn draw_two(&self, tokens: &Tensor<3>) -> [Dropped; 2] {
        [self.draw(tokens), self.draw(tokens)]
    }

    /// Which samples lose a branch, of a batch of `tokens`.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    pub fn draw(&self, tokens: &Tensor<3>) -> Dropped {
        if self.per_sample.prob == 0.0 || !tokens.device().is_autodiff() {
            return Dropped(None);
        }
        let [batch, ..] = tokens.dims();
        let keep = Tensor::ones([batch, 1, 1], (&tokens.device(), tokens.dtype()));
        Dropped(Some(self.per_sample.forward(keep).inner()))
    }
}

/// What a [`DropPath`] has drawn for a batch: a factor for each sample, `[batch, 1, 1]`, or nothing.
#[derive(Debug, Clone)]
pub struct Dropped(Option<Tensor<3>>);

impl Dropped {
    /// The branch, dropped for the samples drawn.
    ///
    /// # Shapes
    ///
    /// - branch: `[batch, tokens, width]`
    /// - output: the same
    pub fn apply(&self, branch: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            Some(factors) => branch * factors.clone(),
            None => branch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn ones(device: &burn::tensor::Device) -> Tensor<3> {
        Tensor::ones([200, 2, 3], device)
    }

    #[test]
    fn whole_samples_are_dropped_and_the_others_scaled_up() {
        let output = DropPath::new(0.5).forward(ones(&test_device().autodiff()));
        let values: Vec<f32> = output.into_data().try_to_vec().unwrap();
        let samples: Vec<_> = values.chunks(6).collect();
        assert!(samples.iter().all(|s| s.iter().all(|v| *v == s[0]) && [0.0, 2.0].contains(&s[0])));
        let dropped = samples.iter().filter(|s| s[0] == 0.0).count();
        assert!((50..150).contains(&dropped), "{dropped}");
    }

    #[test]
    fn nothing_is_dropped_outside_training() {
        let output = DropPath::new(0.5).forward(ones(&test_device()));
        assert_eq!(output.into_data(), ones(&test_device()).into_data());
    }
}
