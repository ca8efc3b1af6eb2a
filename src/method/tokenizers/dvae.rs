//! Training a discrete variational autoencoder (Ramesh et al. 2021, arXiv 2102.12092, §2.1).

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::batch::TokenizerBatch;
use crate::config::config;
use crate::error::{Error, Result};
use crate::image::grid_of;
use crate::kernel;
use crate::nn::cast_parameters;
use crate::target::tokenizer::Dvae;
use crate::target::{Tokenizer, entropy};
use crate::task::{Measured, PretextTask, StepEnd, TaskOutput};

config! {
    /// What changes while a [`DvaeTask`] trains.
    #[derive(Debug, PartialEq)]
    pub struct DvaeSchedule {
        /// Temperature of the relaxed choice, before and after it falls. Default: 1 and 1/16
        /// (appendix A.2)
        pub temperature: [f64; 2] = [1.0, 0.0625],
        /// The share of the run in which the temperature falls, along half a cosine. Default: 0.05
        /// (appendix A.2: 150 000 of 3 000 000 steps)
        pub cooling: f64 = 0.05,
        /// Weight of the KL divergence to the uniform distribution, in units of nats a cell over
        /// the reconstruction loss of a pixel value, at the end of its growth. Default: 1e-3
        pub kl_weight: f64 = 1e-3,
        /// The share of the run in which the weight grows from 0 along half a cosine. Default: 0.1
        pub kl_growth: f64 = 0.1,
        /// Weight of a second KL divergence, from the batch's mean choice to the uniform
        /// distribution: it keeps tokens in use, and leaves open how sure a single choice is.
        /// Default: 0, as there
        pub balance: f64 = 0.0,
    }
}

impl DvaeSchedule {
    /// Checks every rule the numbers must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let [first, last] = self.temperature;
        if !(last > 0.0 && first >= last && first.is_finite()) {
            return Err(Error::config(format!(
                "a temperature must fall and stay above 0, got {first} to {last}"
            )));
        }
        for (name, weight) in [("kl_weight", self.kl_weight), ("balance", self.balance)] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(Error::config(format!("{name} must be at least 0, got {weight}")));
            }
        }
        for (name, share) in [("cooling", self.cooling), ("kl_growth", self.kl_growth)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::config(format!("{name} must be in [0, 1], got {share}")));
            }
        }
        Ok(())
    }

    /// The temperature after `progress` of the run.
    pub fn temperature_at(&self, progress: f64) -> f64 {
        let [first, last] = self.temperature;
        first + (last - first) * half_cosine(share_of(progress, self.cooling))
    }

    /// The KL divergence's weight after `progress` of the run.
    pub fn kl_weight_at(&self, progress: f64) -> f64 {
        self.kl_weight * half_cosine(share_of(progress, self.kl_growth))
    }
}

/// How much of the first `part` of a run is over.
fn share_of(progress: f64, part: f64) -> f64 {
    if progress < part { progress / part } else { 1.0 }
}

/// 0 to 1 along half a cosine.
fn half_cosine(share: f64) -> f64 {
    0.5 - 0.5 * (std::f64::consts::PI * share).cos()
}

/// Encode, choose tokens a little at random, decode, compare: the evidence lower bound with a
/// relaxed choice that grows colder. Without noise (validation) the choice is the tokenizer's own.
#[derive(Module, Debug)]
pub struct DvaeTask {
    /// What is kept.
    pub tokenizer: Dvae,
    /// Temperature of the choice, `[1]`.
    pub temperature: Param<Tensor<1>>,
    /// Weight of the KL divergence, `[1]`.
    pub kl_weight: Param<Tensor<1>>,
    #[module(skip)]
    schedule: DvaeSchedule,
}

impl DvaeTask {
    /// A task that trains `tokenizer` by `schedule`.
    ///
    /// # Panics
    ///
    /// With the message of [`DvaeSchedule::validate`] when that fails, or when the tokenizer has no
    /// decoder.
    pub fn new(tokenizer: Dvae, schedule: DvaeSchedule) -> Self {
        schedule.validate().unwrap_or_else(|error| panic!("{error}"));
        assert!(tokenizer.decoder.is_some(), "a dVAE without decoder cannot be trained");
        let device = tokenizer.to_logits.weight.lazy_device();
        let temperature = constant(schedule.temperature_at(0.0), &device);
        let kl_weight = constant(schedule.kl_weight_at(0.0), &device);
        Self { tokenizer, temperature, kl_weight, schedule }
    }
}

fn constant(value: f64, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::full([1], value, device)).set_require_grad(false)
}

impl PretextTask for DvaeTask {
    type Batch = TokenizerBatch;
    type Observed = ();

    fn loss(&self, batch: TokenizerBatch) -> TaskOutput {
        self.measure(batch).loss.into()
    }

    /// The tokenizer's convolutions compute in `dtype`; tokens are chosen and the loss is computed
    /// in the input's own type.
    fn loss_in(&self, batch: TokenizerBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.judge(&cast_parameters(&self.tokenizer, dtype), batch, dtype).loss.into())
    }

    fn measure(&self, batch: TokenizerBatch) -> Measured {
        let whole = batch.images.dtype().into();
        self.judge(&self.tokenizer, batch, whole)
    }

    fn after_step(mut self, step: StepEnd) -> Self {
        let temperature = self.schedule.temperature_at(step.progress);
        let kl_weight = self.schedule.kl_weight_at(step.progress);
        self.temperature = self.temperature.map(|old| old.full_like(temperature));
        self.kl_weight = self.kl_weight.map(|old| old.full_like(kl_weight));
        self
    }
}

impl DvaeTask {
    /// The loss and its parts where `network`, the tokenizer, encodes and decodes in `dtype`.
    fn judge(&self, network: &Dvae, batch: TokenizerBatch, dtype: FloatDType) -> Measured {
        let TokenizerBatch { images, noise } = batch;
        let (grid, whole) = (grid_of(&images, self.tokenizer.patch()), images.dtype());
        let logits = network.logits(images.clone().cast(dtype)).cast(whole);
        let log_choices = kernel::log_softmax(logits.clone());
        let choices = kernel::softmax(logits.clone());
        let imbalance = imbalance(choices.clone());
        let divergence = divergence_from_uniform(choices, log_choices);
        let codes = match noise {
            Some(noise) => {
                self.tokenizer.relaxed_codes(logits, Some(noise), self.temperature.val())
            }
            None => self.tokenizer.codes(logits.argmax(2).squeeze_dim(2)),
        };
        let decoded = network.decode_codes(codes.cast(dtype), grid).cast(whole);
        let reconstruction = self.tokenizer.reconstruction_loss(decoded, images);
        let metrics = [
            ("reconstruction", reconstruction.clone()),
            ("kl", divergence.clone()),
            ("imbalance", imbalance.clone()),
        ];
        let divergences = divergence * self.kl_weight.val() + imbalance * self.schedule.balance;
        Measured::new(reconstruction + divergences, metrics)
    }
}

/// The mean over all cells of KL(choice ‖ uniform), in nats.
fn divergence_from_uniform(choices: Tensor<3>, log_choices: Tensor<3>) -> Tensor<1> {
    let [_, _, vocabulary] = choices.dims();
    (choices * log_choices).sum_dim(2).mean() + (vocabulary as f64).ln()
}

/// KL(mean choice of all cells ‖ uniform), in nats: 0 when all tokens are used alike.
fn imbalance(choices: Tensor<3>) -> Tensor<1> {
    let [batch, cells, vocabulary] = choices.dims();
    let shares = choices.reshape([batch * cells, vocabulary]).mean_dim(0).squeeze_dim(0);
    entropy(shares).neg() + (vocabulary as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::nn::InitialWeights;
    use crate::target::tokenizer::DvaeConfig;
    use crate::test_device;

    fn task() -> DvaeTask {
        let config = DvaeConfig::new(ImageShape::new(1, 4, 8))
            .with_patch(2)
            .with_vocabulary(5)
            .with_hidden(4)
            .with_blocks(1)
            .with_code_width(3);
        let weights = &mut InitialWeights::new(0, &test_device().autodiff());
        DvaeTask::new(config.init(weights), DvaeSchedule::new())
    }

    #[test]
    fn the_divergence_is_zero_for_a_uniform_choice_and_ln_of_the_vocabulary_for_a_sure_one() {
        let divergence = |logits: Tensor<3>| -> f32 {
            let logs = kernel::log_softmax(logits);
            divergence_from_uniform(logs.clone().exp(), logs).into_scalar()
        };
        assert!(divergence(Tensor::zeros([2, 3, 8], &test_device())).abs() < 1e-6);
        let sure = divergence(Tensor::from_floats([[[1e3, 0.0, 0.0, 0.0]]], &test_device()));
        assert!((sure - 4f32.ln()).abs() < 1e-5, "{sure}");
    }

    #[test]
    fn sure_choices_are_balanced_when_their_mean_is_uniform() {
        let of = |choices| imbalance(Tensor::from_floats([choices], &test_device()));
        let of = |choices: [[f32; 2]; 2]| of(choices).into_scalar::<f32>();
        assert!(of([[1.0, 0.0], [0.0, 1.0]]).abs() < 1e-6);
        assert!((of([[1.0, 0.0], [1.0, 0.0]]) - 2f32.ln()).abs() < 1e-6);
        let expected = 0.75 * 0.75f32.ln() + 0.25 * 0.25f32.ln() + 2f32.ln();
        assert!((of([[1.0, 0.0], [0.5, 0.5]]) - expected).abs() < 1e-6);
    }

    #[test]
    fn temperature_and_weight_follow_the_runs_progress() {
        let task = task().after_step(StepEnd { progress: 0.05, observed: vec![] });
        // Half way through the growth, and at the end of the cooling.
        assert_eq!(task.temperature.val().into_scalar::<f32>(), 0.0625);
        assert!((task.kl_weight.val().into_scalar::<f32>() - 5e-4).abs() < 1e-8);
        let task = task.after_step(StepEnd { progress: 0.025, observed: vec![] });
        assert_eq!(task.temperature.val().into_scalar::<f32>(), 0.53125);
        let task = task.after_step(StepEnd { progress: 1.0, observed: vec![] });
        assert_eq!(task.temperature.val().into_scalar::<f32>(), 0.0625);
        assert!((task.kl_weight.val().into_scalar::<f32>() - 1e-3).abs() < 1e-8);
        assert!(!task.temperature.is_require_grad());
    }

    #[test]
    fn every_weight_has_a_gradient_in_training() {
        let task = task().after_step(StepEnd { progress: 0.5, observed: vec![] });
        let images = Tensor::ones([2, 1, 4, 8], &test_device()) * 0.3;
        let noise = Some(Tensor::ones([2, 8, 5], &test_device()));
        let gradients = task.loss(TokenizerBatch { images, noise }).loss.backward();
        let dvae = &task.tokenizer;
        assert!(dvae.input.weight.grad(&gradients).is_some());
        assert!(dvae.to_logits.weight.grad(&gradients).is_some());
        assert!(dvae.decoder.as_ref().unwrap().codes.weight.grad(&gradients).is_some());
    }

    #[test]
    fn broken_schedules_are_named() {
        let message = |schedule: DvaeSchedule| schedule.validate().unwrap_err().to_string();
        let schedule = DvaeSchedule::new;
        assert!(message(schedule().with_temperature([0.1, 1.0])).contains("got 0.1 to 1"));
        assert!(message(schedule().with_kl_weight(f64::NAN)).contains("kl_weight"));
        assert!(
            message(schedule().with_balance(-1.0)).contains("balance must be at least 0, got -1")
        );
        assert!(message(schedule().with_kl_growth(2.0)).contains("[0, 1], got 2"));
    }

    #[test]
    fn the_loss_is_the_weighted_sum_of_what_it_reports() {
        let mut task = task();
        task.schedule = DvaeSchedule::new().with_balance(0.5).with_kl_weight(0.25);
        let task = task.after_step(StepEnd { progress: 1.0, observed: vec![] });
        let images = Tensor::ones([2, 1, 4, 8], &test_device()) * 0.3;
        let noise = Some(Tensor::ones([2, 8, 5], &test_device()));
        let output = task.measure(TokenizerBatch { images, noise });
        let reported: Vec<f32> =
            output.metrics.into_iter().map(|(_, metric)| metric.into_scalar()).collect();
        let expected = reported[0] + 0.25 * reported[1] + 0.5 * reported[2];
        assert!(reported[1] > 0.0 && reported[2] > 0.0, "{reported:?}");
        assert!((output.loss.into_scalar::<f32>() - expected).abs() < 1e-6);
    }
}
