//! What a masked autoencoder predicts, by choice at run time.

use std::fmt::{Display, Formatter};

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::batch::MimBatch;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::target::{GradientTargetConfig, HogTarget, PixelTarget, Reconstruct, Sum, Target};

/// What a [`Mae`](super::Mae) predicts of a patch, as in `{"target": "low-pass", "radius": 40}`.
///
/// The value in brackets is what an absent field means. Where pixels are predicted,
/// [`MaeConfig::normalized`](super::MaeConfig::normalized) says whether they are normalized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MaeTargetConfig {
    /// The pixels (MAE).
    Pixels {},
    /// The pixels of the image without its high frequencies (PixMIM, arXiv 2303.02416 §3.2).
    LowPass {
        /// Where frequencies end, in cycles per image (40, the paper's for 224 pixels).
        #[serde(default = "pixmim_radius")]
        radius: f64,
    },
    /// Histograms of oriented gradients (MaskFeat).
    Hog {
        /// Side of a histogram's cell in pixels, a divisor of the patch (the patch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<usize>,
        /// Side of the squares in which a Gaussian weighs pixels, if any (none); see
        /// [`HogTarget::window`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<usize>,
    },
    /// The pixels and the histograms at once.
    PixelsAndHog {
        /// As for the histograms alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<usize>,
        /// As for the histograms alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<usize>,
        /// What the pixels' loss is multiplied by (1).
        #[serde(default = "one")]
        pixels_weight: f64,
        /// What the histograms' loss is multiplied by (1).
        #[serde(default = "one")]
        hog_weight: f64,
    },
}

fn pixmim_radius() -> f64 {
    40.0
}

fn one() -> f64 {
    1.0
}

impl MaeTargetConfig {
    /// The pixels and the histograms of cells of a patch each, their losses added as they are.
    pub const fn pixels_and_hog() -> Self {
        Self::PixelsAndHog { cell: None, window: None, pixels_weight: 1.0, hog_weight: 1.0 }
    }

    /// The histograms of a cell for each patch.
    pub const fn hog() -> Self {
        Self::Hog { cell: None, window: None }
    }

    /// Whether the pixels as they are, and nothing else, are predicted.
    pub fn is_pixels(&self) -> bool {
        *self == Self::Pixels {}
    }

    /// Checks every rule that the target must keep, for images of shape `image` in patches of
    /// `patch` pixels.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, image: ImageShape, patch: usize) -> Result<()> {
        match *self {
            Self::Pixels {} => Ok(()),
            Self::LowPass { radius } => {
                ensure!(
                    radius > 0.0 && radius.is_finite(),
                    "a low-pass target needs a radius above 0, got {radius}"
                );
                Ok(())
            }
            Self::Hog { cell, window } => validate_hog(image, patch, cell, window),
            Self::PixelsAndHog { cell, window, pixels_weight, hog_weight } => {
                for (name, weight) in [("pixels", pixels_weight), ("hog", hog_weight)] {
                    ensure!(
                        weight >= 0.0 && weight.is_finite(),
                        "the {name}_weight of a target must be a finite number of at least 0, got \
                         {weight}"
                    );
                }
                ensure!(
                    pixels_weight + hog_weight > 0.0,
                    "a target of two weights of 0 teaches nothing"
                );
                validate_hog(image, patch, cell, window)
            }
        }
    }

    /// The target of patches of `patch` × `patch` pixels.
    ///
    /// # Panics
    ///
    /// With the message of [`validate`](Self::validate) when that fails.
    pub fn init(&self, channels: usize, patch: usize, normalized: bool) -> MaeTarget {
        let pixels = PixelTarget::mae(channels, patch, normalized);
        let hog = |cell: Option<usize>, window| {
            HogTarget::maskfeat(channels, patch, cell.unwrap_or(patch)).with_window(window)
        };
        match *self {
            Self::Pixels {} => MaeTarget::Pixels(pixels),
            Self::LowPass { radius } => MaeTarget::Pixels(pixels.with_low_pass(radius)),
            Self::Hog { cell, window } => MaeTarget::Hog(hog(cell, window)),
            Self::PixelsAndHog { cell, window, pixels_weight, hog_weight } => {
                let both = Sum::new(pixels, hog(cell, window));
                MaeTarget::PixelsAndHog(both.with_weights([pixels_weight, hog_weight]))
            }
        }
    }
}

fn validate_hog(
    image: ImageShape,
    patch: usize,
    cell: Option<usize>,
    window: Option<usize>,
) -> Result<()> {
    let ImageShape { height, width, .. } = image;
    ensure!(
        height > 1 && width > 1,
        "an image of {height}×{width} pixels has no gradients: it needs 2×2"
    );
    GradientTargetConfig::Hog { cell: cell.unwrap_or(patch), window }.validate(patch)
}

impl Display for MaeTargetConfig {
    /// What is predicted, in words.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pixels {} => "pixels",
            Self::LowPass { .. } => "low-pass filtered pixels",
            Self::Hog { .. } => "histograms of gradients",
            Self::PixelsAndHog { .. } => "pixels and histograms of gradients",
        })
    }
}

/// What a [`Mae`](super::Mae) predicts of a patch.
#[derive(Module, Debug)]
pub enum MaeTarget {
    /// Pixels, of all frequencies or the low ones.
    Pixels(PixelTarget),
    /// Histograms of oriented gradients.
    Hog(HogTarget),
    /// Both.
    PixelsAndHog(Sum<PixelTarget, HogTarget>),
}

/// The same expression of whichever target it is.
macro_rules! each {
    ($self:expr, $target:ident => $body:expr) => {
        match $self {
            MaeTarget::Pixels($target) => $body,
            MaeTarget::Hog($target) => $body,
            MaeTarget::PixelsAndHog($target) => $body,
        }
    };
}

impl Target for MaeTarget {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        each!(self, target => target.width())
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        each!(self, target => target.of(batch))
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        each!(self, target => target.loss(prediction, value))
    }

    fn metrics(&self, prediction: &Tensor<3>, value: &Tensor<3>) -> Vec<(&'static str, Tensor<1>)> {
        each!(self, target => target.metrics(prediction, value))
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        each!(self, target => target.trivial_prediction(value))
    }
}

impl Reconstruct for MaeTarget {
    /// # Panics
    ///
    /// When histograms alone are predicted, which [`Depict`](crate::target::Depict) draws: there are
    /// no pixels.
    fn reconstruct(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        match self {
            Self::Pixels(target) => target.reconstruct(prediction, batch),
            Self::PixelsAndHog(target) => target.reconstruct(prediction, batch),
            Self::Hog(_) => panic!("histograms of gradients have no pixels to reconstruct"),
        }
    }

    fn caption(&self) -> &'static str {
        match self {
            Self::Pixels(target) => target.caption(),
            Self::PixelsAndHog(target) => target.caption(),
            Self::Hog(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ImageShape = ImageShape::new(3, 8, 12);

    fn read(json: &str) -> std::result::Result<MaeTargetConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn width(json: &str) -> usize {
        let target = read(json).unwrap();
        target.validate(IMAGE, 4).unwrap();
        target.init(3, 4, true).width()
    }

    #[test]
    fn a_name_alone_means_one_histogram_for_each_patch_and_channel() {
        assert_eq!(width(r#"{"target": "pixels"}"#), 48);
        assert_eq!(width(r#"{"target": "low-pass"}"#), 48);
        assert_eq!(width(r#"{"target": "hog"}"#), 27);
        assert_eq!(width(r#"{"target": "hog", "cell": 2}"#), 4 * 27);
        assert_eq!(width(r#"{"target": "pixels-and-hog"}"#), 48 + 27);
    }

    #[test]
    fn every_target_survives_a_round_trip_through_json() {
        for target in [
            MaeTargetConfig::Pixels {},
            MaeTargetConfig::LowPass { radius: 5.5 },
            MaeTargetConfig::hog(),
            MaeTargetConfig::PixelsAndHog {
                cell: Some(2),
                window: Some(8),
                pixels_weight: 0.5,
                hog_weight: 2.0,
            },
        ] {
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(read(&json).unwrap(), target, "{json}");
        }
    }

    #[test]
    fn what_is_broken_is_named() {
        for (json, rule) in [
            (r#"{"target": "low-pass", "radius": 0}"#, "a radius above 0, got 0"),
            (r#"{"target": "hog", "cell": 3}"#, "cells of 3 pixels do not divide a patch of 4"),
            (r#"{"target": "pixels-and-hog", "hog_weight": -1}"#, "hog_weight"),
            (
                r#"{"target": "pixels-and-hog", "hog_weight": 0, "pixels_weight": 0}"#,
                "teaches nothing",
            ),
        ] {
            let message = read(json).unwrap().validate(IMAGE, 4).unwrap_err().to_string();
            assert!(message.contains(rule), "{message}");
        }
        assert!(read(r#"{"target": "pixles"}"#).unwrap_err().contains("pixles"));
        let flat = MaeTargetConfig::hog().validate(ImageShape::new(1, 1, 4), 1).unwrap_err();
        assert!(flat.to_string().contains("1×4 pixels has no gradients"), "{flat}");
    }
}
