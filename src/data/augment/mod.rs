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
mod jitter;
mod map_view;
mod normalize;
mod operation;
mod rand_augment;
mod resample;
mod view;

pub use crop::{CropBox, CropRange};
pub use eval_view::{EvalView, Framing};
pub use flip::flip_horizontal;
pub use jitter::{Adjustment, Jitter, JitterRange};
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
    /// Random resized crop; `None` shows the middle, as evaluation does.
    pub crop: Option<CropRange>,
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

    /// Nothing random: the middle of the image, for evaluation.
    pub const fn none() -> Self {
        Self {
            crop: None,
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

    /// Draws what happens to an image of shape `image`.
    ///
    /// # Panics
    ///
    /// May panic on what [`Augmentation::validate`] refuses.
    pub fn sample(&self, image: ImageShape, rng: &mut dyn Rng) -> Transform {
        let frame = match &self.crop {
            None => Frame::Center,
            Some(range) => Frame::Crop(range.sample(image, rng)),
        };
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
        Transform { frame, flipped, jitter, operations: [gray, solarized, first, second] }
    }
}

fn is_zero(probability: &f64) -> bool {
    *probability == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sample::Image;
    use crate::rng::{Purpose, stream};

    const PHOTO: ImageShape = ImageShape::new(3, 60, 80);

    fn photo() -> Image {
        let values = (0..PHOTO.values()).map(|i| (i * i / 97 % 256) as u8).collect();
        Image::new(PHOTO, values).unwrap()
    }

    #[test]
    fn the_presets_are_valid_and_survive_json() {
        let presets = [
            Augmentation::mae(),
            Augmentation::simmim(),
            Augmentation::beit(),
            Augmentation::maskfeat(),
            Augmentation::two_views(),
            Augmentation::colors(),
            Augmentation::cmae(),
            Augmentation::ijepa(),
            Augmentation::ibot(),
            Augmentation::lejepa(),
            Augmentation::none(),
        ];
        for preset in presets {
            preset.validate().unwrap();
            let json = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<Augmentation>(&json).unwrap(), preset, "{json}");
        }
    }

    #[test]
    fn what_a_file_leaves_out_is_off_and_what_it_misspells_is_refused() {
        let json = r#"{ "crop": { "scale": [0.2, 1.0] }, "flip": true }"#;
        assert_eq!(serde_json::from_str::<Augmentation>(json).unwrap(), Augmentation::mae());
        assert_eq!(serde_json::from_str::<Augmentation>("{}").unwrap(), Augmentation::none());
        let message = serde_json::from_str::<Augmentation>(r#"{ "flips": true }"#).unwrap_err();
        assert!(message.to_string().contains("flips"));
    }

    #[test]
    fn a_broken_part_is_refused() {
        let crop = Augmentation { crop: Some(CropRange::new([0.0, 1.0])), ..Augmentation::mae() };
        assert!(crop.validate().unwrap_err().to_string().contains("crop.scale"));
        let jitter = Some(JitterRange::uniform(f32::NAN));
        let jitter = Augmentation { jitter, ..Augmentation::mae() };
        assert!(jitter.validate().unwrap_err().to_string().contains("jitter.brightness"));
    }

    #[test]
    fn a_probability_outside_its_range_is_refused_by_name() {
        let gray = Augmentation { gray: 1.5, ..Augmentation::none() };
        let message = gray.validate().unwrap_err().to_string();
        assert!(message.contains("augmentation.gray") && message.contains("1.5"), "{message}");
        let solarize = Augmentation { solarize: f64::NAN, ..Augmentation::none() };
        assert!(solarize.validate().unwrap_err().to_string().contains("augmentation.solarize"));
    }

    #[test]
    fn gray_and_solarized_images_have_pillows_values() {
        // Pillow 13: `image.convert("L")` in all three channels, and `ImageOps.solarize(image, 128)`.
        let shape = ImageShape::new(3, 1, 4);
        let pixels = vec![0u8, 37, 200, 255, 91, 133, 175, 127, 255, 128, 64, 3];
        let image = Image::new(shape, pixels).unwrap();
        let shown = |augmentation: Augmentation| {
            let mut rng = stream(3, Purpose::Augmentation, 0, 0);
            let transform = augmentation.sample(shape, &mut rng);
            let mut out = vec![0; shape.values()];
            let view = View::new(shape).unwrap();
            view.render(&image, &transform, &mut Scratch::default(), &mut out).unwrap();
            out
        };
        let gray = Augmentation { gray: 1.0, ..Augmentation::none() };
        assert_eq!(shown(gray), [82, 104, 170, 151].repeat(3));
        let solarized = Augmentation { solarize: 1.0, ..Augmentation::none() };
        assert_eq!(shown(solarized), [0, 37, 55, 0, 91, 122, 80, 127, 0, 127, 64, 3]);
    }

    #[test]
    fn as_many_images_become_gray_as_the_probability_says() {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        let mut gray = |augmentation: Augmentation| {
            let drawn = (0..1000).map(|_| augmentation.sample(PHOTO, &mut rng));
            drawn.filter(|transform| transform.operations[0].is_some()).count()
        };
        assert!((160..240).contains(&gray(Augmentation::two_views())));
        assert_eq!(gray(Augmentation::mae()), 0);
    }

    #[test]
    fn half_of_the_images_are_flipped() {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        let mut flipped = |augmentation: Augmentation| {
            (0..1000).filter(|_| augmentation.sample(PHOTO, &mut rng).flipped).count()
        };
        assert!((450..550).contains(&flipped(Augmentation::mae())));
        assert_eq!(flipped(Augmentation::none()), 0);
    }

    #[test]
    fn the_same_key_shows_the_same_pixels() {
        let view = View::new(ImageShape::square(3, 16)).unwrap();
        let mut scratch = Scratch::default();
        let mut show = |index| {
            let mut rng = stream(3, Purpose::Augmentation, 1, index);
            let transform = Augmentation::beit().sample(PHOTO, &mut rng);
            let mut out = vec![0; view.shape().values()];
            view.render(&photo(), &transform, &mut scratch, &mut out).unwrap();
            out
        };
        let first = show(0);
        assert_ne!(first, show(1));
        assert_eq!(first, show(0));
    }

    #[test]
    fn two_views_of_one_transform_show_the_same_part() {
        let transform =
            Augmentation::mae().sample(PHOTO, &mut stream(3, Purpose::Augmentation, 0, 0));
        let mean = |side: usize| {
            let view = View::new(ImageShape::square(3, side)).unwrap();
            let mut out = vec![0; view.shape().values()];
            view.render(&photo(), &transform, &mut Scratch::default(), &mut out).unwrap();
            let plane = &out[..side * side];
            plane.iter().map(|value| f64::from(*value)).sum::<f64>() / plane.len() as f64
        };
        assert!((mean(48) - mean(24)).abs() < 2.0);
    }
}
