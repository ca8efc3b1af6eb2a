//! The gradient targets, by choice at run time.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Depict, HogTarget, SobelTarget, Target};
use crate::batch::MimBatch;
use crate::error::{Error, Result};
use crate::limits;

/// Which gradients of the hidden patches are predicted, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum GradientTargetConfig {
    /// Histograms of oriented gradients, as MaskFeat has them.
    Hog {
        /// Side of a histogram's cell in pixels.
        cell: usize,
        /// Side of the squares in which a Gaussian weighs pixels, if any; see
        /// [`HogTarget::window`].
        #[serde(default)]
        window: Option<usize>,
    },
    /// The strength of Sobel's gradient at every pixel.
    Sobel,
}

impl GradientTargetConfig {
    /// Checks that the target's cells divide a patch.
    ///
    /// # Errors
    ///
    /// When they do not; names both.
    pub fn validate(&self, patch: usize) -> Result<()> {
        match *self {
            Self::Hog { cell, .. } if cell == 0 || !patch.is_multiple_of(cell) => {
                Err(Error::config(format!(
                    "HOG cells of {cell} pixels do not divide a patch of {patch}"
                )))
            }
            Self::Hog { window: Some(0), .. } => Err(Error::config(
                "a HOG window needs at least one pixel, got 0; leave it out to weigh all alike",
            )),
            Self::Hog { window: Some(window), .. } => {
                limits::at_most("a HOG window", window, limits::SIDE)
            }
            _ => Ok(()),
        }
    }

    /// The target of patches of `patch` × `patch` pixels.
    ///
    /// # Panics
    ///
    /// With the message of [`validate`](Self::validate) when that fails.
    pub fn init(&self, channels: usize, patch: usize) -> GradientTarget {
        match *self {
            Self::Hog { cell, window } => {
                GradientTarget::Hog(HogTarget::maskfeat(channels, patch, cell).with_window(window))
            }
            Self::Sobel => GradientTarget::Sobel(SobelTarget::new(channels, patch)),
        }
    }
}

/// The gradients of the hidden patches.
#[derive(Module, Debug)]
pub enum GradientTarget {
    /// Histograms of oriented gradients.
    Hog(HogTarget),
    /// Sobel's gradient.
    Sobel(SobelTarget),
}

impl Target for GradientTarget {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        match self {
            Self::Hog(target) => target.width(),
            Self::Sobel(target) => target.width(),
        }
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        match self {
            Self::Hog(target) => target.of(batch),
            Self::Sobel(target) => target.of(batch),
        }
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        match self {
            Self::Hog(target) => target.loss(prediction, value),
            Self::Sobel(target) => target.loss(prediction, value),
        }
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        match self {
            Self::Hog(target) => target.trivial_prediction(value),
            Self::Sobel(target) => target.trivial_prediction(value),
        }
    }
}

impl Depict for GradientTarget {
    fn depict(&self, value: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        match self {
            Self::Hog(target) => target.depict(value, batch),
            Self::Sobel(target) => target.depict(value, batch),
        }
    }
}
