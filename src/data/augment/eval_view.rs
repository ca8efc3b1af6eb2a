//! How a whole image is brought to the size that an encoder reads.

use serde::{Deserialize, Serialize};

use super::crop::CropBox;
use super::resample::Interpolation;
use super::view::{Frame, Transform};
use crate::grid::ImageShape;

/// What is shown of an image in evaluation, before the size of the view is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Framing {
    /// [`Frame::Center`]: the middle 224/256 of the image, an image of the view's size untouched.
    #[default]
    Center,
    /// All of the image, whatever its aspect: `Resize((height, width))`.
    Whole,
    /// The image with its shorter side resized to so many pixels, and the middle of it:
    /// `Resize(edge)` followed by `CenterCrop(size)`.
    Edge(usize),
}

/// The one transform of images that are only looked at: framed, resized, and normalized after.
///
/// The default is what runs are evaluated with: torchvision's `Resize(round(size * 256 / 224))` and
/// `CenterCrop(size)`, bicubic, and images of the encoder's size untouched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalView {
    /// What is shown.
    pub framing: Framing,
    /// The filter of the resize.
    pub interpolation: Interpolation,
}

impl EvalView {
    /// What is shown of an image of the shape `image`.
    pub fn transform(&self, image: ImageShape) -> Transform {
        Transform::of(match self.framing {
            Framing::Center => Frame::Center,
            Framing::Whole => Frame::Crop(CropBox::whole(image.frame())),
            Framing::Edge(edge) => Frame::Edge(edge),
        })
    }
}
