//! Images from an autoregressive Image GPT, color by color.

use burn::tensor::{Int, Tensor, TensorData, s};
use rand::{Rng, RngExt};

use super::ImageGpt;
use crate::config::config;
use crate::error::{Error, Result};
use crate::nn::{TransformerCache, per_token};
use crate::rng::{Purpose, stream};

config! {
    /// How the next color is drawn.
    #[derive(Debug, Copy, PartialEq)]
    pub struct Sampling {
        /// The divisor of the logits: below 1 likely colors become likelier. Default: 1
        pub temperature: f64 = 1.0,
        /// How many of the likeliest colors may be drawn; all by default.
        pub top_k: Option<usize> = None,
        /// The seed of the draws; every sample of a batch has a stream of its own. Default: 0
        pub seed: u64 = 0,
    }
}

impl Sampling {
    /// Checks every rule the numbers must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the value.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::config(format!(
                "a temperature must be positive and finite, got {}",
                self.temperature
            )));
        }
        if self.top_k == Some(0) {
            return Err(Error::config("top_k must leave at least 1 color, got 0"));
        }
        Ok(())
    }

    /// A color by its logits.
    fn draw(&self, logits: &[f32], rng: &mut dyn Rng) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let largest = f64::from(logits[order[0]]);
        let weight =
            |color: &usize| libm::exp((f64::from(logits[*color]) - largest) / self.temperature);
        let mut left = rng.random::<f64>() * order.iter().map(weight).sum::<f64>();
        let drawn = order.iter().find(|color| {
            left -= weight(color);
            left < 0.0
        });
        // Rounding may leave a rest after the last of them.
        drawn.copied().unwrap_or(order[order.len() - 1])
    }
}

impl ImageGpt {
    /// Completes images from their first pixels; without any given pixel, draws new images.
    ///
    /// Keys and values of what was seen are kept, so each step computes one token.
    ///
    /// # Shapes
    ///
    /// - given: `[batch, pixels]`, at most as many as an image has
    /// - output: `[batch, all pixels]`, the given ones first
    ///
    /// # Errors
    ///
    /// When the sampling is broken, or the model has the BERT objective.
    ///
    /// # Panics
    ///
    /// When more pixels are given than an image has.
    pub fn complete(&self, given: Tensor<2, Int>, sampling: &Sampling) -> Result<Tensor<2, Int>> {
        sampling.validate()?;
        let config = self.encoder.gpt.config();
        if !config.causal {
            return Err(Error::config(
                "a model of the BERT objective cannot draw pixels one after another",
            ));
        }
        let ([batch, count], all) = (given.dims(), config.grid().cells());
        assert!(count <= all, "{count} pixels are given of an image of {all}");
        let device = given.device();
        let mut streams: Vec<_> = (0..batch as u64)
            .map(|index| stream(sampling.seed, Purpose::Sampling, 0, index))
            .collect();
        let start = Tensor::full([batch, 1], config.colors as i64, &device);
        let (mut ids, mut next) = (given.clone(), Tensor::cat(vec![start, given], 1));
        let mut cache = TransformerCache::default();
        for _ in count..all {
            let drawn = self.draw_next(next, &mut cache, sampling, &mut streams);
            next = Tensor::from_data(TensorData::new(drawn, [batch, 1]), &device);
            ids = Tensor::cat(vec![ids, next.clone()], 1);
        }
        Ok(ids)
    }

    fn draw_next(
        &self,
        ids: Tensor<2, Int>,
        cache: &mut TransformerCache,
        sampling: &Sampling,
        streams: &mut [impl Rng],
    ) -> Vec<i64> {
        let features = self.encoder.gpt.forward_cached(ids, cache);
        let logits = per_token(&self.head, features.slice(s![.., -1.., ..]));
        let logits: Vec<f32> = logits.into_data().iter().collect();
        let samples = logits.chunks(self.encoder.gpt.config().colors).zip(streams);
        samples.map(|(logits, stream)| sampling.draw(logits, stream) as i64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::GptConfig;
    use crate::grid::ImageShape;
    use crate::method::ImageGptConfig;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::module::Param;

    fn model(causal: bool) -> ImageGpt {
        let config = GptConfig::new(ImageShape::new(1, 4, 5), 8, 2, 2).with_colors(6);
        let weights = &mut InitialWeights::new(0, &test_device());
        let palette = weights.param([6, 1], Init::Normal { std: 1.0 }).val();
        let config = ImageGptConfig::new(config.with_causal(causal));
        let mut model = config.init(Some(palette), weights);
        // Fresh logits are all alike: larger weights make some colors likelier.
        model.head.weight = Param::from_tensor(model.head.weight.val() * 100.0);
        model
    }

    fn host(ids: Tensor<2, Int>) -> Vec<i64> {
        ids.into_data().try_into_vec_as().unwrap()
    }

    /// The same draws, with everything computed anew for every pixel.
    fn complete_uncached(model: &ImageGpt, given: &[i64], sampling: &Sampling) -> Vec<i64> {
        let mut rng = stream(sampling.seed, Purpose::Sampling, 0, 0);
        let mut ids = vec![6];
        ids.extend(given);
        while ids.len() <= 20 {
            let count = ids.len();
            let sequence =
                Tensor::from_data(TensorData::new(ids.clone(), [1, count]), &test_device());
            let logits: Vec<f32> = model.logits(sequence).into_data().try_to_vec().unwrap();
            ids.push(sampling.draw(&logits[(count - 1) * 6..], &mut rng) as i64);
        }
        ids.split_off(1)
    }

    #[test]
    fn the_cached_sampler_draws_what_the_uncached_one_does() {
        let model = model(true);
        for (given, sampling) in [
            (vec![2, 3, 1, 5, 0, 4, 4], Sampling::new().with_seed(1)),
            (vec![1], Sampling::new().with_temperature(0.5).with_top_k(Some(3)).with_seed(2)),
            (vec![0; 20], Sampling::new()),
        ] {
            let count = given.len();
            let ids = Tensor::from_data(TensorData::new(given.clone(), [1, count]), &test_device());
            let completed = host(model.complete(ids, &sampling).unwrap());
            assert_eq!(completed, complete_uncached(&model, &given, &sampling));
            assert_eq!(completed[..count], given);
        }
    }

    #[test]
    fn an_image_can_begin_from_nothing() {
        let nothing = || Tensor::<2, Int>::zeros([3, 0], &test_device());
        let sampling = Sampling::new().with_seed(4);
        let drawn = host(model(true).complete(nothing(), &sampling).unwrap());
        assert_eq!(drawn.len(), 60);
        assert_ne!(drawn[..20], drawn[20..40], "each sample has its own stream");
        assert_eq!(host(model(true).complete(nothing(), &sampling).unwrap()), drawn);
    }

    #[test]
    fn draws_follow_temperature_and_top_k() {
        let logits = [1.0, 3.0, 2.0, -1.0];
        let share = |sampling: Sampling, color: usize| {
            let rng = &mut stream(0, Purpose::Sampling, 0, 0);
            let drawn = (0..4000).filter(|_| sampling.draw(&logits, rng) == color);
            drawn.count() as f64 / 4000.0
        };
        let softmax = |temperature: f64, colors: &[usize], color: usize| {
            let weight = |color: &usize| (f64::from(logits[*color]) / temperature).exp();
            weight(&color) / colors.iter().map(weight).sum::<f64>()
        };
        let close =
            |got: f64, expected: f64| assert!((got - expected).abs() < 0.03, "{got} {expected}");
        close(share(Sampling::new(), 1), softmax(1.0, &[0, 1, 2, 3], 1));
        close(share(Sampling::new().with_temperature(2.0), 2), softmax(2.0, &[0, 1, 2, 3], 2));
        let two = Sampling::new().with_top_k(Some(2));
        close(share(two, 2), softmax(1.0, &[1, 2], 2));
        assert_eq!(share(two, 0), 0.0);
        assert_eq!(share(Sampling::new().with_top_k(Some(1)), 1), 1.0);
    }

    #[test]
    fn what_cannot_be_sampled_is_an_error() {
        let message = |sampling: Sampling| sampling.validate().unwrap_err().to_string();
        assert!(message(Sampling::new().with_temperature(0.0)).contains("got 0"));
        assert!(message(Sampling::new().with_top_k(Some(0))).contains("at least 1 color"));
        let given = Tensor::<2, Int>::zeros([1, 3], &test_device());
        let error = model(false).complete(given, &Sampling::new()).unwrap_err();
        assert!(error.to_string().contains("BERT objective"));
    }
}
