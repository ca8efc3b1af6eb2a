//! Targets: what is predicted for hidden patches, and how a prediction is judged.
//!
//! A [`Target`] computes from a batch the values that the head should predict, and the loss of a
//! prediction. [`PixelTarget`] is MAE's and SimMIM's, [`TokenTarget`] BEiT's on a [`tokenizer`],
//! [`HogTarget`] and [`SobelTarget`] MaskFeat's and its relatives'; [`Sum`] is two of them at once.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use burn_mim::{Grid, Mask, MimBatch, PixelTarget, Target, UnitMask};
//!
//! // One gray image of 2 × 2 patches of 2 × 2 pixels: white on the left, black on the right.
//! let device = Device::flex();
//! let row = Tensor::<1>::from_floats([1.0, 1.0, 0.0, 0.0], &device);
//! let images = row.reshape([1, 1, 1, 4]).repeat_dim(2, 4);
//! // The two patches in the upper row are hidden.
//! let hidden = UnitMask::from_indices(Grid::square(2), [0, 1])?;
//! let batch = MimBatch::new(images, Mask::new([hidden], &device)?);
//!
//! let target = PixelTarget::simmim(1, 2);
//! let value = target.of(&batch);
//! assert_eq!(value.dims(), [1, 2, 4]); // 4 pixels of each of 2 hidden patches
//!
//! // Predicting gray everywhere is wrong by a half in every pixel.
//! let gray = value.ones_like() * 0.5;
//! assert_eq!(target.loss(gray, value.clone()).into_scalar::<f32>(), 0.5);
//! assert_eq!(target.loss(value.clone(), value).into_scalar::<f32>(), 0.0);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod both;
mod clip_motion;
mod clip_pixels;
mod features;
mod gradients;
mod hog;
mod hog_glyph;
mod normalization;
mod pixels;
mod shares;
mod sobel;
mod sum;
pub mod tokenizer;
mod tokens;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

pub use both::Both;
pub use clip_motion::{ClipMotionConfig, ClipMotionTarget};
pub use clip_pixels::ClipPixelTarget;
pub(crate) use features::first_cells;
pub use features::{FeatureConfig, FeatureLayers, FeatureLoss, FeatureNorm, FeatureTarget};
pub use gradients::{GradientTarget, GradientTargetConfig};
pub use hog::HogTarget;
pub use normalization::Normalization;
pub use pixels::{PixelLoss, PixelTarget};
pub(crate) use shares::{counts, entropy, log_shares, shares};
pub use sobel::SobelTarget;
pub use sum::Sum;
pub use tokenizer::{Tokenizer, TokenizerConfig};
pub use tokens::TokenTarget;

use crate::batch::MimBatch;
use crate::head::Prediction;
use crate::image::grid_of;
use crate::mask::GridMask;

/// What the asked cells should have been: the hidden ones, unless
/// [`Mask::with_asked`](crate::Mask::with_asked) says otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no target: it does not say what hidden cells should have been",
    note = "implement `Target`, or use one of this crate's, such as `PixelTarget`"
)]
pub trait Target: Module + ModuleDisplay {
    /// What a head predicts of it: `Tensor<3>`, `[batch, asked, width]`, or two of these.
    type Prediction: Prediction;

    /// The values to predict: `Tensor<3>` for a regression, `Tensor<2, Int>` for token ids.
    type Value: Clone;

    /// How many numbers the head predicts for each asked cell.
    fn width(&self) -> usize;

    /// The batch's values at asked cells only, each sample's in ascending order. Carries no
    /// gradient.
    fn of(&self, batch: &MimBatch) -> Self::Value;

    /// The loss of the predictions, a scalar.
    ///
    /// # Panics
    ///
    /// When there is not a prediction for each value: the targets of this crate say what both are.
    fn loss(&self, prediction: Self::Prediction, value: Self::Value) -> Tensor<1>;

    /// What else than the loss tells how good a prediction is, such as an accuracy: scalars by name.
    fn metrics(
        &self,
        prediction: &Self::Prediction,
        value: &Self::Value,
    ) -> Vec<(&'static str, Tensor<1>)> {
        let _ = (prediction, value);
        Vec::new()
    }

    /// What must not become the same for all images where the target is a network that learns, as
    /// [`Measured::embeddings`](crate::Measured::embeddings): one vector an image, such as the mean
    /// over its cells, by name. Default: none
    fn embeddings(
        &self,
        prediction: &Self::Prediction,
        value: &Self::Value,
    ) -> Vec<(&'static str, Tensor<2>)> {
        let _ = (prediction, value);
        Vec::new()
    }

    /// A good prediction that does not look at the image, such as the mean: the same for every
    /// cell. Its loss is what a model has to beat; `None` where there is no such prediction.
    fn trivial_prediction(&self, value: &Self::Value) -> Option<Self::Prediction> {
        let _ = value;
        None
    }

    /// The target after a training step that left `encoder` as it is, at `progress` of the run, in
    /// (0, 1]: a teacher that follows the encoder moves here, by [`follow`](crate::nn::follow).
    /// What moves must be kept in parameters without gradient, to be part of checkpoints. Default:
    /// nothing moves
    fn after_step<E: Module>(self, encoder: &E, progress: f64) -> Self {
        let _ = (encoder, progress);
        self
    }
}

/// A target whose predictions can be looked at.
pub trait Reconstruct: Target {
    /// Predictions as images in the units of `batch.images`, zero where nothing was asked.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, channels, height, width]`
    fn reconstruct(&self, prediction: Self::Prediction, batch: &MimBatch) -> Tensor<4>;

    /// What a viewer of the reconstruction must know of it, in one sentence; empty if nothing.
    fn caption(&self) -> &'static str {
        ""
    }
}

/// A target that is no image, but whose values can be drawn.
pub trait Depict: Target<Prediction = Tensor<3>, Value = Tensor<3>> {
    /// The values of asked cells as pictures, black elsewhere.
    ///
    /// # Shapes
    ///
    /// - value: `[batch, asked, width]`, predicted or true
    /// - output: `[batch, channels or 1, k · height, k · width]` in [0, 1], for a whole k
    fn depict(&self, value: Tensor<3>, batch: &MimBatch) -> Tensor<4>;
}

/// Refuses predictions that are not of `width` numbers for each of `cells`, `[batch, hidden]`: a
/// broadcast would compare each with another.
///
/// # Panics
///
/// When they are not; says what both are.
pub(crate) fn check_prediction(prediction: &Tensor<3>, cells: [usize; 2], width: usize) {
    let [batch, hidden, predicted] = prediction.dims();
    assert!(
        [batch, hidden] == cells,
        "predictions are of {batch}×{hidden} hidden cells, the target's values of {}×{}: the \
         encoder and the target must cut images into the same grid",
        cells[0],
        cells[1]
    );
    check_width(predicted, width);
}

/// Refuses a head of another width than the target's.
///
/// # Panics
///
/// When it is; says what both are.
pub(crate) fn check_width(predicted: usize, width: usize) {
    assert!(
        predicted == width,
        "a head that predicts {predicted} numbers for each hidden cell does not go with a target of \
         {width}: make it with the target's `width`"
    );
}

/// The batch's masks on the grid of cells of `cell` × `cell` pixels.
fn mask_of_patches(batch: &MimBatch, cell: usize) -> GridMask {
    batch.mask.at(grid_of(&batch.images, cell))
}

/// The mean of all cells for every cell: what a model must beat by looking.
fn mean_of_cells(value: &Tensor<3>) -> Tensor<3> {
    value.clone().mean_dim(0).mean_dim(1).expand(value.dims())
}
