//! Selfie (Trinh et al. 2019, arXiv 1906.02940).

#[cfg(feature = "run")]
mod picture;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Int, Tensor, s};

#[cfg(feature = "run")]
pub use picture::selfie_sheet;

use std::sync::Arc;

use crate::batch::MimBatch;
use crate::config::config;
use crate::encoder::{Backbone, Patchwise, ResidualConfig, ResidualNet};
use crate::error::{Error, Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{
    Init, InitialWeights, PositionTable, Positions, Transformer, TransformerConfig, cast_parameters,
};
use crate::task::{Measured, PretextTask, TaskOutput, choose, guessing, measure_choice};

config! {
    /// The parts of a [`Selfie`] on a residual network.
    #[derive(Debug, PartialEq)]
    pub struct SelfieConfig {
        /// The images.
        pub image: ImageShape,
        /// Side of a patch in pixels. Default: 8, the paper's for 32 × 32 pixels
        pub patch: usize = 8,
        /// The network that reads every patch.
        pub encoder: ResidualConfig,
        /// Which patches are hidden, and are each other's distractors. Default: half of them, at
        /// random
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.5 },
        /// Blocks of the attention pooling. Default: 3
        pub depth: usize = 3,
        /// Attention heads of these. Default: 4
        pub heads: usize = 4,
    }
}

impl SelfieConfig {
    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes:
    /// patches of a quarter of the shorter side.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(image, ResidualConfig::new(image.channels))
            .with_patch(image.height.min(image.width) / 4)
            .with_depth(2)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        let (reads, has) = (self.encoder.channels, self.image.channels);
        ensure!(reads == has, "an encoder of {reads} channels cannot read images of {has}");
        limits::image(self.image)?;
        let mask = self.mask()?;
        ensure!(
            mask.hidden() >= 2,
            "a mask hides one patch of {}: there is nothing to choose from",
            mask.grid()
        );
        let pooling = self.pooling()?;
        pooling.validate()?;
        let cells = mask.grid().cells();
        limits::at_most("the number of patches", cells, limits::TOKENS)?;
        limits::parameters(limits::product(&[cells, pooling.width]))
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.image, self.patch)
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SelfieConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Selfie<ResidualNet> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let encoder = Patchwise { network: self.encoder.init(weights), patch: self.patch };
        let pooling = self.pooling().unwrap_or_else(|error| panic!("{error}"));
        let grid = self.image.grid(self.patch).unwrap_or_else(|error| panic!("{error}"));
        Selfie { encoder, pooling: AttentionPooling::new(&pooling, grid, weights) }
    }

    /// The transformer of the attention pooling.
    fn pooling(&self) -> Result<TransformerConfig> {
        let Some(&width) = self.encoder.widths.last() else {
            return Err(Error::config("a residual network needs at least one stage"));
        };
        Ok(TransformerConfig::new(width, self.depth, self.heads))
    }
}

/// One vector for a place from what is visible: a transformer over the visible patches and a
/// summary token, whose output meets the position asked for (the paper's "attention pooling").
#[derive(Module, Debug)]
pub struct AttentionPooling {
    /// What gathers the summary, `[1, width]`.
    pub summary_token: Param<Tensor<2>>,
    /// Of visible patches, and of the hidden ones that are asked for.
    pub positions: PositionTable,
    /// Lets the summary token look at the patches.
    pub transformer: Transformer,
}

impl AttentionPooling {
    fn new(config: &TransformerConfig, grid: Grid, weights: &mut InitialWeights) -> Self {
        let width = config.width;
        Self {
            summary_token: weights.param([1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(Positions::Learned, grid, width, false, weights)
                .expect("the positions are learned"),
            transformer: config.init(weights),
        }
    }

    /// What should be at each hidden cell, in ascending order.
    ///
    /// # Shapes
    ///
    /// - patches: `[batch, cells, width]`; the hidden ones are not looked at
    /// - output: `[batch, hidden, width]`
    fn forward(&self, patches: Tensor<3>, grid: Grid, batch: &MimBatch) -> Tensor<3> {
        let mask = batch.mask.at(grid);
        let ([samples, cells, width], table) = (patches.dims(), self.positions.cells(grid));
        let visible = mask.visible.select(patches) + mask.visible.select_from_table(table.clone());
        let summary = self.summary_token.val().unsqueeze::<3>().expand([samples, 1, width]);
        let tokens = Tensor::cat(vec![summary, visible], 1);
        let first = |tokens: Tensor<3>| tokens.slice(s![.., 0..1, ..]);
        let summary = self.transformer.forward_some(tokens, grid, first);
        let places = table.unsqueeze::<3>().expand([samples, cells, width]);
        summary + mask.asked.select(places)
    }
}

/// Which of the hidden patches belongs here? Every hidden patch of an image is a candidate for every
/// hidden place.
#[derive(Module, Debug)]
pub struct Selfie<E: Module> {
    /// Reads every patch on its own; what is kept after pre-training.
    pub encoder: Patchwise<E>,
    /// Looks at the visible patches.
    pub pooling: AttentionPooling,
}

impl<E: Backbone> Selfie<E> {
    /// For every hidden place a logit of every hidden patch, both in ascending order.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, places, candidates]`, both `hidden` many
    ///
    /// # Panics
    ///
    /// When the patch does not divide the images, or the mask does not fit their grid.
    pub fn predict(&self, batch: &MimBatch) -> Tensor<3> {
        let (grid, patches) = self.encoder.patches(batch.images.clone());
        let patches = self.encoder.encode_patches(patches);
        let candidates = batch.mask.at(grid).asked.select(patches.clone());
        let places = self.pooling.forward(patches, grid, batch);
        let scale = (self.encoder.width() as f64).powf(-0.5);
        (places * scale).matmul(candidates.transpose())
    }
}

impl<E: Backbone> PretextTask for Selfie<E> {
    type Batch = MimBatch;
    type Observed = ();

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        let (logits, own) = choices(self.predict(&batch));
        choose(logits, own).into()
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let whole = batch.images.dtype();
        let batch = MimBatch { images: batch.images.cast(dtype), ..batch };
        let logits = cast_parameters(self, dtype).predict(&batch).cast(whole);
        let (logits, own) = choices(logits);
        Ok(choose(logits, own).into())
    }

    fn measure(&self, batch: MimBatch) -> Measured {
        let (logits, own) = choices(self.predict(&batch));
        measure_choice(logits, own)
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let grid = self.encoder.patches(batch.images.clone()).0;
        Some(guessing(batch.mask.at(grid).asked.count(), &batch.images.device()))
    }
}

/// The logits of every place, `[places, patches]`, and the right patch, which is the place's own.
fn choices(logits: Tensor<3>) -> (Tensor<2>, Tensor<1, Int>) {
    let [samples, hidden, _] = logits.dims();
    let own = Tensor::<1, Int>::arange(0..hidden as i64, &logits.device());
    (logits.reshape([samples * hidden, hidden]), own.repeat_dim(0, samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;
    use burn::tensor::TensorData;

    fn config() -> SelfieConfig {
        let encoder = ResidualConfig::new(2).with_widths(vec![8, 16]).with_groups(4);
        SelfieConfig::new(ImageShape::new(2, 16, 24), encoder).with_depth(1)
    }

    fn batch(images: Tensor<4>, hidden: [usize; 3]) -> MimBatch {
        let mask = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
        let masks = vec![mask; images.dims()[0]];
        MimBatch::new(images, Mask::new(masks, &test_device()).unwrap())
    }

    fn images() -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([2, 2, 16, 24], init).val()
    }

    fn logits(batch: &MimBatch) -> Vec<f32> {
        let selfie = config().init(&mut InitialWeights::new(0, &test_device()));
        selfie.predict(batch).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn exchanging_two_hidden_patches_exchanges_their_logits() {
        // Cells 3 and 5 are the lower left and the lower right.
        let straight = images();
        let lower = |cols| straight.clone().slice(s![.., .., 8..16, cols]);
        let lower = Tensor::cat(vec![lower(16..24), lower(8..16), lower(0..8)], 3);
        let exchanged = Tensor::cat(vec![straight.clone().slice(s![.., .., 0..8, ..]), lower], 2);
        let (before, after) =
            (logits(&batch(straight, [1, 3, 5])), logits(&batch(exchanged, [1, 3, 5])));
        for (before, after) in before.chunks(3).zip(after.chunks(3)) {
            let expected = [before[0], before[2], before[1]];
            assert!(after.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn a_perfect_choice_has_accuracy_one_and_a_constant_one_is_right_once() {
        let data = |values: [f32; 4]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &test_device())
        };
        let right = Tensor::<1, Int>::from_ints([0, 1], &test_device());
        let perfect = measure_choice(data([30.0, 0.0, 0.0, 30.0]), right.clone());
        assert!(perfect.loss.into_scalar::<f32>() < 1e-6);
        assert_eq!(perfect.metrics[0].1.clone().into_scalar::<f32>(), 1.0);
        let constant = measure_choice(data([1.0, 0.0, 1.0, 0.0]), right);
        assert_eq!(constant.metrics[0].1.clone().into_scalar::<f32>(), 0.5);
    }

    #[test]
    fn guessing_costs_the_logarithm_of_the_candidates() {
        let selfie = config().init(&mut InitialWeights::new(0, &test_device()));
        let loss = selfie.trivial_loss(&batch(images(), [0, 1, 2])).unwrap();
        assert!((loss.into_scalar::<f32>() - 3.0f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: SelfieConfig| config.validate().unwrap_err().to_string();
        assert!(
            broken(config().with_mask(MaskConfig::Mae { ratio: 0.1 }))
                .contains("nothing to choose from")
        );
        assert!(broken(config().with_patch(7)).contains("squares of 7"));
        assert!(broken(config().with_heads(3)).contains("3 heads do not divide a width of 16"));
        let wrong = SelfieConfig { encoder: ResidualConfig::new(3), ..config() };
        assert!(broken(wrong).contains("an encoder of 3 channels cannot read images of 2"));
    }

    #[test]
    fn every_place_of_every_sample_is_to_choose_its_own_patch() {
        let selfie = config().init(&mut InitialWeights::new(0, &test_device()));
        let batch = batch(images(), [0, 1, 4]);
        let rows = logits(&batch);
        let cost = |(place, row): (usize, &[f32])| {
            row.iter().map(|logit| logit.exp()).sum::<f32>().ln() - row[place % 3]
        };
        let expected: f32 = rows.chunks(3).enumerate().map(cost).sum::<f32>() / 6.0;
        let loss: f32 = selfie.loss(batch).loss.into_scalar();
        assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    }

    #[test]
    fn logits_are_products_over_the_root_of_the_width() {
        let selfie = config().init(&mut InitialWeights::new(0, &test_device()));
        let batch = batch(images(), [0, 1, 4]);
        let (grid, patches) = selfie.encoder.patches(batch.images.clone());
        let patches = selfie.encoder.encode_patches(patches);
        let candidates = batch.mask.at(grid).asked.select(patches.clone());
        let places = selfie.pooling.forward(patches, grid, &batch);
        // 16 features.
        let expected = places.matmul(candidates.transpose()) / 4.0;
        let tolerance = burn::tensor::Tolerance::absolute(1e-5);
        selfie
            .predict(&batch)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
    }
}
