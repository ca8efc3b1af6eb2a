//! Context prediction (Doersch et al. 2015, arXiv 1505.05192).

#[cfg(feature = "run")]
mod collate;
#[cfg(feature = "run")]
mod picture;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};

#[cfg(feature = "run")]
pub use collate::ContextCollate;
#[cfg(feature = "run")]
pub use picture::context_sheet;

use crate::config::config;
use crate::encoder::{Backbone, ResidualConfig, ResidualNet};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::nn::{Init, InitialWeights, cast_parameters};
use crate::task::{Measured, PretextTask, TaskOutput, choose, guessing, measure_choice};

/// Places around the center of a 3 × 3 neighborhood.
pub const NEIGHBORS: usize = 8;

/// How colors are kept from revealing the answer: a lens shifts green against red and blue, and the
/// more so the farther from the image's center (§3.1, "chromatic aberration").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorGuard {
    /// Colors stay as they are.
    None,
    /// Each patch keeps one channel, drawn at random; noise of a hundredth of its deviation stands
    /// for the others. An image of one channel stays as it is.
    Dropping,
    /// Green against magenta becomes gray: each pixel minus its projection on (−1, 2, −1). For
    /// three channels.
    Projection,
}

config! {
    /// Pairs of patches of a 3 × 3 neighborhood, and the guards against answers that need no
    /// understanding.
    #[derive(Debug, PartialEq)]
    pub struct PatchPairs {
        /// The images they are cut from.
        pub image: ImageShape,
        /// Side of a patch in pixels.
        pub patch: usize,
        /// Pixels between neighbors, so that no edge or texture goes on from one to the other.
        pub gap: usize,
        /// Each patch is moved by up to this many pixels, along rows and along columns.
        pub jitter: usize,
        /// The guard against colors. Default: dropping
        pub colors: ColorGuard = ColorGuard::Dropping,
        /// The share of patches that are shrunk and enlarged again, against clues of sharpness.
        /// Default: 0.5
        pub downsampled: f64 = 0.5,
        /// The fewest pixels a patch is shrunk to. Default: 100, the paper's
        pub min_pixels: usize = 100,
    }
}

impl PatchPairs {
    /// The paper's patches of 96 pixels, gaps of half a patch and jitter of 7 pixels (§3, §3.1).
    pub fn large_images(image: ImageShape) -> Self {
        Self::new(image, 96, 48, 7)
    }

    /// For images of a few dozen pixels: a quarter of the shorter side, a gap of a quarter patch, a
    /// pixel of jitter, and shrinking to half the side.
    pub fn small_images(image: ImageShape) -> Self {
        let patch = image.height.min(image.width) / 4;
        Self::new(image, patch, patch / 4, 1).with_min_pixels((patch / 2).pow(2).max(1))
    }

    /// Pixels from the first edge of a neighborhood to its last.
    pub fn span(&self) -> usize {
        3 * self.patch + 2 * self.gap
    }

    /// The patches.
    pub fn shape(&self) -> ImageShape {
        ImageShape::square(self.image.channels, self.patch)
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { image, patch, gap, jitter, colors, downsampled, min_pixels } = *self;
        limits::image(image)?;
        ensure!(patch > 0, "patches of {patch} pixels of {image} images are empty");
        // Each is compared alone first: their sum may be too large for a number.
        let shorter = image.height.min(image.width);
        ensure!(
            patch.max(gap).max(jitter) <= shorter && self.span() + 2 * jitter <= shorter,
            "a neighborhood of patches of {patch} pixels, gaps of {gap} and jitter of {jitter} \
             does not fit images of {}×{}",
            image.height,
            image.width
        );
        ensure!(
            colors != ColorGuard::Projection || image.channels == 3,
            "colors are projected in images of 3 channels, got {}",
            image.channels
        );
        ensure!(
            (0.0..=1.0).contains(&downsampled) && min_pixels > 0,
            "a share in [0, 1] is shrunk to at least one pixel, got {downsampled:?} and {min_pixels}"
        );
        Ok(())
    }
}

config! {
    /// The parts of a [`ContextPrediction`] on a residual network.
    #[derive(Debug, PartialEq)]
    pub struct ContextConfig {
        /// The network that reads both patches.
        pub encoder: ResidualConfig,
        /// The pairs.
        pub pairs: PatchPairs,
        /// Features between the two layers of the classifier. Default: 512
        pub hidden: usize = 512,
    }
}

impl ContextConfig {
    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(ResidualConfig::new(image.channels), PatchPairs::small_images(image))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.pairs.validate()?;
        let (reads, has) = (self.encoder.channels, self.pairs.image.channels);
        ensure!(reads == has, "an encoder of {reads} channels cannot read patches of {has}");
        ensure!(self.hidden > 0, "a classifier needs at least one hidden feature, got 0");
        limits::at_most("hidden", self.hidden, limits::MLP_WIDTH)?;
        let cells = self.encoder.grid(self.pairs.shape()).cells();
        let width = self.encoder.widths.last().copied().unwrap_or(0);
        limits::parameters(limits::product(&[2, cells, width, self.hidden]))
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`ContextConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> ContextPrediction<ResidualNet> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let cells = self.encoder.grid(self.pairs.shape()).cells();
        ContextPrediction::new(self.encoder.init(weights), cells, self.hidden, weights)
    }
}

/// A batch of [`ContextPrediction`].
#[derive(Debug, Clone)]
pub struct ContextBatch {
    /// The patches in the middle, `[batch, channels, patch, patch]`, normalized.
    pub centers: Tensor<4>,
    /// One neighbor of each.
    pub neighbors: Tensor<4>,
    /// Where it is, `[batch]`: 0 upper left, 1 above, and on row by row to 7, lower right.
    pub positions: Tensor<1, Int>,
}

/// Where is the second patch, seen from the first? One encoder reads both, and a small classifier
/// sees all cells of the two.
#[derive(Module, Debug)]
pub struct ContextPrediction<E: Module> {
    /// What is kept after pre-training.
    pub encoder: E,
    /// Both patches' features → hidden.
    pub fuse: Linear,
    /// Hidden → one logit for each of the 8 places.
    pub classify: Linear,
}

impl<E: Backbone> ContextPrediction<E> {
    /// A task on `encoder`, which turns a patch into `cells` cells.
    pub fn new(encoder: E, cells: usize, hidden: usize, weights: &mut InitialWeights) -> Self {
        let features = 2 * cells * encoder.width();
        Self {
            fuse: weights.linear(features, hidden, Init::XavierUniform),
            classify: weights.linear(hidden, NEIGHBORS, Init::XavierUniform),
            encoder,
        }
    }

    /// One logit for each place of the neighbor, `[batch, 8]`.
    ///
    /// # Panics
    ///
    /// When the encoder makes another number of cells of a patch than the classifier reads.
    pub fn predict(&self, centers: Tensor<4>, neighbors: Tensor<4>) -> Tensor<2> {
        let batch = centers.dims()[0];
        let both = self.encoder.represent(Tensor::cat(vec![centers, neighbors], 0)).tokens;
        let [_, cells, width] = both.dims();
        let features = both.reshape([2, batch, cells * width]).swap_dims(0, 1);
        let features = features.reshape([batch, 2 * cells * width]);
        self.classify.forward(relu(self.fuse.forward(features)))
    }
}

impl<E: Backbone> PretextTask for ContextPrediction<E> {
    type Batch = ContextBatch;
    type Observed = ();

    fn loss(&self, batch: ContextBatch) -> TaskOutput {
        choose(self.predict(batch.centers, batch.neighbors), batch.positions).into()
    }

    fn loss_in(&self, batch: ContextBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let whole = batch.centers.dtype();
        let network = cast_parameters(self, dtype);
        let logits = network.predict(batch.centers.cast(dtype), batch.neighbors.cast(dtype));
        Ok(choose(logits.cast(whole), batch.positions).into())
    }

    fn measure(&self, batch: ContextBatch) -> Measured {
        measure_choice(self.predict(batch.centers, batch.neighbors), batch.positions)
    }

    fn trivial_loss(&self, batch: &ContextBatch) -> Option<Tensor<1>> {
        Some(guessing(NEIGHBORS, &batch.centers.device()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn config() -> ContextConfig {
        ContextConfig::small_images(ImageShape::new(2, 32, 40)).with_hidden(16)
    }

    fn patches(seed: u64) -> Tensor<4> {
        InitialWeights::new(seed, &test_device())
            .param([3, 2, 8, 8], Init::Normal { std: 1.0 })
            .val()
    }

    #[test]
    fn each_pair_is_judged_alone_and_its_order_matters() {
        let task = config().init(&mut InitialWeights::new(0, &test_device()));
        let together = task.predict(patches(1), patches(2)).slice([1..2, 0..8]).into_data();
        let one = |seed| patches(seed).slice([1..2, 0..2, 0..8, 0..8]);
        let alone = task.predict(one(1), one(2)).into_data();
        alone.assert_approx_eq::<f32>(&together, burn::tensor::Tolerance::absolute(1e-5));
        assert_ne!(task.predict(one(2), one(1)).into_data(), alone);
    }

    #[test]
    fn the_papers_patches_fit_images_of_400_pixels() {
        let pairs = PatchPairs::large_images(ImageShape::square(3, 400));
        pairs.validate().unwrap();
        assert_eq!((pairs.span(), pairs.shape()), (384, ImageShape::square(3, 96)));
        let small = PatchPairs::large_images(ImageShape::square(3, 397));
        let message = small.validate().unwrap_err().to_string();
        assert!(message.contains("patches of 96 pixels, gaps of 48 and jitter of 7"), "{message}");
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let pairs = || config().pairs;
        let broken = |pairs: PatchPairs| pairs.validate().unwrap_err().to_string();
        assert!(broken(pairs().with_colors(ColorGuard::Projection)).contains("3 channels, got 2"));
        assert!(broken(pairs().with_downsampled(1.5)).contains("got 1.5"));
        let wrong = ContextConfig { encoder: ResidualConfig::new(3), ..config() };
        let message = wrong.validate().unwrap_err().to_string();
        assert!(message.contains("an encoder of 3 channels cannot read patches of 2"), "{message}");
    }

    #[test]
    fn small_patches_are_shrunk_to_half_their_side_at_most() {
        let of = |side| PatchPairs::small_images(ImageShape::square(1, side));
        let pairs = of(32);
        assert_eq!((pairs.patch, pairs.gap, pairs.jitter, pairs.min_pixels), (8, 2, 1, 16));
        assert_eq!(of(4).min_pixels, 1);
    }
}
