//! The attentive probe: learned queries read the cells of a frozen encoder.

mod classifier;
#[cfg(test)]
mod parity_tests;
mod pooling;

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rand::seq::SliceRandom;

pub use classifier::AttentiveClassifier;
pub use pooling::CellQueries;

use super::labels::one_hot;
use super::linear::{Standardizer, cross_entropy};
use super::{CellFeatures, held_out};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::nn::{Init, InitialWeights};
use crate::rng::{Purpose, stream};
use crate::train::{Recipe, Schedule, optimizer};
use pooling::CellAttention;

/// What is added to the variance in a batch norm, as in the papers' code.
const EPSILON: f64 = 1e-6;

/// The images that a probe is shown in all its epochs, unless these would be too few or too many.
const SHOWN: usize = 1_200_000;

/// The fewest samples of a batch: a batch norm needs several.
const LEAST: usize = 16;

config! {
    /// Learned queries pool the cells of each image by attention, and a linear layer classifies the
    /// result, batch-normalized without affine parameters (Psomas et al. 2025, arXiv 2506.10178
    /// §3). The encoder is frozen and its cells extracted once, without augmentation.
    ///
    /// The learning rate is the one of `rates` with the highest accuracy on a part of the training
    /// images held out for this; the classifier is then trained on all of them. The papers train
    /// for 90 or 100 epochs of ImageNet with LARS or AdamW; these defaults are for 2000 small
    /// images, on which they were chosen, and [`AttentiveProbe::for_images`] says what more have.
    #[derive(Debug, PartialEq)]
    pub struct AttentiveProbe {
        /// The queries. Default: 8 of efficient probing
        pub queries: CellQueries = CellQueries::Many { queries: 8 },
        /// Passes over the training images. Default: 60
        pub epochs: usize = 60,
        /// Samples per step, of all samples at most a tenth or 16. Default: 128
        pub batch_size: usize = 128,
        /// The peak learning rates to choose among, which fall along a cosine; of equally good ones
        /// the first. Default: 1e-2, 3e-2
        pub rates: Vec<f64> = vec![1e-2, 3e-2],
        /// The share of the training images held out to choose the rate. Default: 0.2
        pub held_out: f64 = 0.2,
        /// AdamW's weight decay of matrices. Default: 0.05
        pub weight_decay: f32 = 0.05,
    }
}

impl AttentiveProbe {
    /// Efficient probing, with the defaults.
    pub fn efficient() -> Self {
        Self::new()
    }

    /// AIM's probe: 4 heads share one query.
    pub fn one_query() -> Self {
        Self::new().with_queries(CellQueries::One { heads: 4 })
    }

    /// The same probe with as many epochs as show 1 200 000 images of so many, from 20 to 60.
    #[must_use]
    pub fn for_images(self, images: usize) -> Self {
        self.with_epochs((SHOWN / images.max(1)).clamp(20, 60))
    }

    /// What tells this probe from others, such as `8 queries`.
    pub fn describe(&self) -> String {
        match self.queries {
            CellQueries::One { heads } => format!("1 query, {heads} heads"),
            CellQueries::Many { queries } => format!("{queries} queries"),
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken.
    pub fn validate(&self) -> Result<()> {
        let (CellQueries::One { heads: count } | CellQueries::Many { queries: count }) =
            self.queries;
        ensure!(count > 0, "an attentive probe needs at least 1 query and head, got 0");
        ensure!(self.batch_size > 0, "the batch size must be at least 1");
        ensure!(!self.rates.is_empty(), "an attentive probe needs a learning rate, got none");
        ensure!(
            self.held_out > 0.0 && self.held_out < 1.0,
            "held_out must be between 0 and 1, got {}",
            self.held_out
        );
        self.rates.iter().try_for_each(|&rate| self.recipe(rate).validate())
    }

    /// Trains a classifier on `train`. The seed decides its first weights, the order of samples and
    /// which of them are held out; the same seed gives the same bits.
    ///
    /// # Errors
    ///
    /// When a number is broken.
    pub fn fit(&self, train: &CellFeatures, seed: u64) -> Result<AttentiveClassifier> {
        self.validate()?;
        let standardizer = train.standardizer();
        let rate = self.choose(train, &standardizer, seed);
        let all: Vec<usize> = (0..train.len()).collect();
        Ok(self.train(train, &all, &standardizer, rate, seed))
    }

    fn recipe(&self, rate: f64) -> Recipe {
        Recipe::new()
            .with_epochs(self.epochs)
            .with_base_lr(rate)
            .with_warmup_epochs(0.0)
            .with_betas([0.9, 0.999])
            .with_weight_decay(self.weight_decay)
    }

    /// The rate that does best on images held out.
    fn choose(&self, train: &CellFeatures, standardizer: &Standardizer, seed: u64) -> f64 {
        let [rest, held] = held_out(&train.labels, self.held_out, seed);
        if self.rates.len() == 1 || held.is_empty() {
            return self.rates[0];
        }
        let accuracy = |rate: f64| {
            let classifier = self.train(train, &rest, standardizer, rate, seed);
            classifier.test_at(train, &held).top1
        };
        let scored = self.rates.iter().map(|&rate| (accuracy(rate), rate));
        let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.expect("there is a rate").1
    }

    /// A classifier trained on the images at `places`.
    fn train(
        &self,
        train: &CellFeatures,
        places: &[usize],
        standardizer: &Standardizer,
        rate: f64,
        seed: u64,
    ) -> AttentiveClassifier {
        let weights = &mut InitialWeights::new(seed, &train.device().autodiff());
        let probe = Probe::new(self.queries, train.width(), train.classes, weights);
        let order = |epoch: usize| {
            let mut order = places.to_vec();
            order.shuffle(&mut stream(seed, Purpose::Order, epoch as u64, 0));
            order
        };
        let probe = self.descend(probe, train, order, standardizer, rate);
        AttentiveClassifier::new(probe, standardizer.clone(), train, places, rate)
    }

    /// The probe after all epochs, on a plain device; `order` says which images an epoch has.
    fn descend(
        &self,
        mut probe: Probe,
        train: &CellFeatures,
        order: impl Fn(usize) -> Vec<usize>,
        standardizer: &Standardizer,
        rate: f64,
    ) -> Probe {
        let images = order(0).len();
        let batch = self.batch_size.min((images / 10).max(LEAST)).min(images);
        let steps = images.div_ceil(batch);
        let recipe = self.recipe(rate).with_lr_batch(batch);
        let schedule = Schedule::new(&recipe, batch, steps);
        let mut optimizer = optimizer(&probe, &recipe);
        for epoch in 0..self.epochs {
            let order = order(epoch);
            for step in 0..steps {
                let [first, last] = [step, step + 1].map(|step| step * images / steps);
                let loss = probe.loss(train, &order[first..last], standardizer);
                let gradients = GradientsParams::from_grads(loss.backward(), &probe);
                probe = optimizer.step(schedule.at(epoch * steps + step), probe, gradients);
            }
        }
        probe.valid()
    }
}

/// The parameters under training.
#[derive(Module, Debug)]
struct Probe {
    attention: CellAttention,
    head: Linear,
}

impl Probe {
    fn new(
        queries: CellQueries,
        width: usize,
        classes: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        let init = Init::TruncatedNormal { std: 0.01, bound: 2.0 };
        let attention = CellAttention::new(queries, width, weights);
        Self { attention, head: weights.linear(width, classes, init) }
    }

    /// The mean cross-entropy of the images at `places`.
    fn loss(
        &self,
        train: &CellFeatures,
        places: &[usize],
        standardizer: &Standardizer,
    ) -> Tensor<1> {
        let labels: Vec<usize> = places.iter().map(|&place| train.labels[place]).collect();
        let targets = one_hot(&labels, train.classes, &train.device());
        let targets = targets.expect("labels are checked where cells are made");
        cross_entropy(self.logits(train.batch(places), standardizer), targets)
    }

    /// Scores of every class, `[batch, classes]`; what is pooled is normalized over the batch.
    fn logits(&self, cells: Tensor<3>, standardizer: &Standardizer) -> Tensor<2> {
        let pooled = self.attention.forward(cells, standardizer);
        let centered = pooled.clone() - pooled.mean_dim(0);
        let deviation = (centered.clone().square().mean_dim(0) + EPSILON).sqrt();
        self.head.forward(centered / deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::test_device;
    use burn::tensor::TensorData;

    const SIDE: usize = 3;

    /// Images of 9 cells of 4 features. One cell, anywhere, is marked by its third feature, and its
    /// sign of the first two is the class; the other cells have the same two features at random, of
    /// either sign, so that the mean over all cells tells little.
    fn images(count: usize, seed: u64) -> CellFeatures {
        let cells = SIDE * SIDE;
        let hash = |i: u64| {
            let mixed = (i ^ seed << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as usize
        };
        let mut values = Vec::new();
        for image in 0..count {
            let marked = hash(image as u64) % cells;
            for cell in 0..cells {
                let sign = |feature: u64| {
                    let random = hash((image * cells + cell) as u64 * 2 + feature + (1 << 20)) % 2;
                    let bit = if cell == marked { image >> feature & 1 } else { random };
                    bit as f32 * 2.0 - 1.0
                };
                values.extend([sign(0), sign(1), f32::from(cell == marked), 1.0]);
            }
        }
        let values = TensorData::new(values, [count, cells, 4]);
        let values = Tensor::from_data(values, &test_device());
        let labels = (0..count).map(|image| image % 4).collect();
        CellFeatures::new(values, Grid { rows: SIDE, cols: SIDE }, labels, 4).unwrap()
    }

    #[test]
    fn queries_find_the_cell_that_tells_the_class_where_the_mean_does_not() {
        let (train, test) = (images(400, 1), images(200, 2));
        let linear = crate::eval::LogisticRegression::default();
        let linear = linear.fit(&train.mean_pool()).unwrap().test(&test.mean_pool()).top1;
        assert!(linear < 60.0, "{linear}");
        for probe in [AttentiveProbe::efficient(), AttentiveProbe::one_query()] {
            let probe = probe.with_rates(vec![0.03]).with_epochs(30);
            let top1 = probe.fit(&train, 0).unwrap().test(&test).top1;
            assert!(top1 > 95.0, "{}: {top1}", probe.describe());
        }
    }

    #[test]
    fn more_images_have_fewer_epochs() {
        let epochs = [1, 600, 20_000, 30_000, 60_000]
            .map(|images| AttentiveProbe::one_query().for_images(images).epochs);
        assert_eq!(epochs, [60, 60, 60, 40, 20]);
    }

    #[test]
    fn the_rate_is_chosen_on_images_held_out() {
        let train = images(200, 3);
        let probe = AttentiveProbe::new().with_epochs(10).with_rates(vec![1e-9, 0.03, 1e-8]);
        assert_eq!(probe.fit(&train, 0).unwrap().rate, 0.03);
        // Where every class has a single image none is held out.
        let few = images(4, 3);
        assert_eq!(probe.fit(&few, 0).unwrap().rate, 1e-9);
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let train = images(100, 4);
        let probe = AttentiveProbe::new().with_epochs(2);
        let scores = |seed| probe.fit(&train, seed).unwrap().scores(&train).into_data();
        assert_eq!(scores(1), scores(1));
        assert_ne!(scores(1), scores(2));
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let message = |probe: AttentiveProbe| probe.validate().unwrap_err().to_string();
        let probe = AttentiveProbe::new;
        let none = CellQueries::Many { queries: 0 };
        assert!(message(probe().with_queries(none)).ends_with("at least 1 query and head, got 0"));
        assert!(message(probe().with_rates(vec![])).ends_with("a learning rate, got none"));
        assert!(message(probe().with_held_out(1.0)).ends_with("between 0 and 1, got 1"));
        assert!(message(probe().with_rates(vec![f64::NAN])).contains("base_lr"));
    }
}
