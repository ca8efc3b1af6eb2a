//! Augmentation: what is drawn for an image, apart from what is done with it.
//!
//! [`Augmentation::sample`] draws a [`Transform`] once an image; [`View::render`] shows the image
//! through it at one size, in 8 bits; [`Normalization::write`] makes it the network's input. Two
//! views rendered from one transform show the same part of the image (BEiT's tokenizer).

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};
use crate::grid::ImageShape;

mod crop;
mod eval_view;
mod flip;
mod frames;
mod jitter;
mod map_view;
mod multi_scale;
mod normalize;
mod operation;
mod rand_augment;
mod resample;
mod view;

pub use crop::{CropBox, CropRange};
pub use eval_view::{EvalView, Framing};
pub use flip::flip_horizontal;
pub use jitter::{Adjustment, Jitter, JitterRange};
pub use multi_scale::MultiScaleCrop;
pub use normalize::Normalization;
pub use operation::{Geometry, Operation};
pub use rand_augment::{Operations, RandAugment};
pub use resample::Interpolation;
pub use view::{Frame, Scratch, Transform, View};

/// What may happen to an image before a model reads it.
///
/// The default is [`Augmentation::none`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Random resized crop, of a clip in time as well: its first frame is drawn. `None` shows the middle
    /// of both, as evaluation does.
    pub crop: Option<CropRange>,
    /// A crop of one of a few sizes in place of the random resized one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_scale: Option<MultiScaleCrop>,
    /// Mirror every other image left to right, at random.
    pub flip: bool,
    /// Change the colors.
    pub jitter: Option<JitterRange>,
    /// Operations of RandAugment.
    pub rand_augment: Option<RandAugment>,
    /// With which probability an image becomes gray, as Pillow has it; its channels stay. Images
    /// that have not 3 channels stay as they are.
    #[serde(skip_serializing_if = "is_zero")]
    pub gray: f64,
    /// With which probability the values of 128 and above are inverted.
    #[serde(skip_serializing_if = "is_zero")]
    pub solarize: f64,
    /// The filter of every resize.
    pub interpolation: Interpolation,
}

impl Augmentation {
    /// Masked autoencoders (He et al. 2022, appendix A.1): crops of 20 % of the area and up, flip.
    pub const fn mae() -> Self {
        Self {
            crop: Some(CropRange::new([0.2, 1.0])),
            multi_scale: None,
            flip: true,
            jitter: None,
            rand_augment: None,
            gray: 0.0,
            solarize: 0.0,
            interpolation: Interpolation::Bicubic,
        }
    }

    /// SimMIM (Xie et al. 2022, section 4.1.1): crops of 67 % of the area and up, flip, bilinear.
    pub const fn simmim() -> Self {
        Self {
            crop: Some(CropRange::new([0.67, 1.0])),
            interpolation: Interpolation::Bilinear,
            ..Self::mae()
        }
    }

    /// BEiT (Bao et al. 2022, appendix): crops of 8 % of the area and up, flip, colors by 0.4.
    pub const fn beit() -> Self {
        Self {
            crop: Some(CropRange::new([0.08, 1.0])),
            jitter: Some(JitterRange::uniform(0.4)),
            ..Self::mae()
        }
    }

    /// MaskFeat (Wei et al. 2022, official configuration): crops of half of the area and up, flip.
    pub const fn maskfeat() -> Self {
        Self { crop: Some(CropRange::new([0.5, 1.0])), ..Self::mae() }
    }

    /// Two views of one image that are to be alike (MAE-CT, arXiv 2304.10520, official configuration
    /// of its `aug` models): crops of 8 % of the area and up, flip, colors by 0.4, 0.4 and 0.2, gray
    /// with 0.2, and solarized with 0.1, which is half of what the paper does to one of the views.
    pub const fn two_views() -> Self {
        Self {
            crop: Some(CropRange::new([0.08, 1.0])),
            jitter: Some(JitterRange { brightness: 0.4, contrast: 0.4, saturation: 0.2 }),
            gray: 0.2,
            solarize: 0.1,
            ..Self::mae()
        }
    }

    /// Two views of one small image that are to be alike: crops of 40 % of the area and up, flip, colors
    /// by 0.8, and gray with 0.5 (docs/recipes.md).
    pub const fn colors() -> Self {
        Self {
            crop: Some(CropRange::new([0.4, 1.0])),
            jitter: Some(JitterRange::uniform(0.8)),
            gray: 0.5,
            ..Self::mae()
        }
    }

    /// CMAE (arXiv 2207.13532, official configuration): MAE's crops and flip, and of the teacher's view
    /// colors by 0.4 and gray with 0.2.
    pub const fn cmae() -> Self {
        Self { jitter: Some(JitterRange::uniform(0.4)), gray: 0.2, ..Self::mae() }
    }

    /// I-JEPA (arXiv 2301.08243, official configurations): crops of 30 % of the area and up, bilinear,
    /// and no flip.
    pub const fn ijepa() -> Self {
        Self {
            crop: Some(CropRange::new([0.3, 1.0])),
            flip: false,
            interpolation: Interpolation::Bilinear,
            ..Self::mae()
        }
    }

    /// iBOT without small crops (arXiv 2111.07832, official code): [`two_views`](Self::two_views) in
    /// crops of 14 % of the area and up.
    pub const fn ibot() -> Self {
        Self { crop: Some(CropRange::new([0.14, 1.0])), ..Self::two_views() }
    }

    /// LeJEPA (arXiv 2511.08544, official README), its global views: crops of 30 % of the area and up,
    /// bilinear, flip, colors by 0.4, 0.4 and 0.2, gray with 0.2, and solarized with 0.2.
    pub const fn lejepa() -> Self {
        Self {
            crop: Some(CropRange::new([0.3, 1.0])),
            interpolation: Interpolation::Bilinear,
            solarize: 0.2,
            ..Self::two_views()
        }
    }

    /// VideoMAE (arXiv 2203.12602, official code): multi-scale crops, bilinear, and no flip.
    pub const fn videomae() -> Self {
        Self {
            multi_scale: Some(MultiScaleCrop::videomae()),
            interpolation: Interpolation::Bilinear,
            ..Self::none()
        }
    }

    /// Nothing random: the middle of the image, for evaluation.
    pub const fn none() -> Self {
        Self {
            crop: None,
            multi_scale: None,
            flip: false,
            jitter: None,
            rand_augment: None,
            gray: 0.0,
            solarize: 0.0,
            interpolation: Interpolation::Bicubic,
        }
    }

    /// Checks the rules of every part.
    ///
    /// # Errors
    ///
    /// When a range is broken; names it and its values.
    pub fn validate(&self) -> Result<()> {
        self.crop.iter().try_for_each(CropRange::validate)?;
        self.multi_scale.iter().try_for_each(MultiScaleCrop::validate)?;
        ensure!(
            self.crop.is_none() || self.multi_scale.is_none(),
            "augmentation.crop and augmentation.multi_scale are two crops: leave one of them out"
        );
        self.jitter.iter().try_for_each(JitterRange::validate)?;
        self.rand_augment.iter().try_for_each(RandAugment::validate)?;
        for (name, probability) in [("gray", self.gray), ("solarize", self.solarize)] {
            ensure!(
                (0.0..=1.0).contains(&probability),
                "augmentation.{name} must be a probability in [0, 1], got {probability:?}"
            );
        }
        Ok(())
    }

    /// Draws what happens to an image of shape `image`, or to all frames of a clip alike.
    ///
    /// # Panics
    ///
    /// May panic on what [`Augmentation::validate`] refuses.
    pub fn sample(&self, image: ImageShape, rng: &mut dyn Rng) -> Transform {
        let frame = match (&self.crop, &self.multi_scale) {
            (Some(range), _) => Frame::Crop(range.sample(image.frame(), rng)),
            (None, Some(range)) => Frame::Crop(range.sample(image.frame(), rng)),
            (None, None) => Frame::Center,
        };
        let is_drawn = frame != Frame::Center && image.frames > 1;
        let time = if is_drawn { rng.random() } else { 0.5 };
        let flipped = self.flip && rng.random();
        let jitter = self.jitter.as_ref().map(|range| range.sample(rng));
        // Nothing is drawn for what is off: the numbers of all others stay what they were.
        let mut sometimes = |probability: f64, operation| {
            let drawn = probability > 0.0 && rng.random_bool(probability);
            drawn.then_some(operation)
        };
        let gray = sometimes(self.gray, Operation::Color(0.0));
        let solarized = sometimes(self.solarize, Operation::Solarize(128));
        let [first, second] = self.rand_augment.map_or([None; 2], |range| range.sample(rng));
        Transform { frame, flipped, jitter, operations: [gray, solarized, first, second], time }
    }
}

fn is_zero(probability: &f64) -> bool {
    *probability == 0.0
}

#[cfg(test)]
mod tests;
