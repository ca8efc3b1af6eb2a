//! Rendering: an image seen through drawn geometry and colours, at one size.

use fast_image_resize as fir;
use serde::{Deserialize, Serialize};

use super::crop::{CropBox, Region, evaluation_region};
use super::flip::flip_horizontal;
use super::jitter::Jitter;
use crate::data::sample::Image;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Which part of an image a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The middle, for evaluation: torchvision's `Resize(round(size * 256 / 224))` followed by
    /// `CenterCrop(size)`; an image that already has the view's size is left untouched.
    Center,
    /// This part, cut out and resized to the view.
    Crop(CropBox),
}

/// What was drawn for one image. It knows no size, so two views can show the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// Which part is shown.
    pub frame: Frame,
    /// Whether it is mirrored left to right.
    pub flipped: bool,
    /// How its colours change, if they do. Applied to the rendered pixels (the published BEiT
    /// code changes the whole image before cropping, so its mean gray is that of more pixels).
    pub jitter: Option<Jitter>,
}

/// The filter of a resize, always widened when shrinking (antialiased), as Pillow's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interpolation {
    /// Linear (SimMIM).
    Bilinear,
    /// Cubic with a = -0.5 (MAE, BEiT).
    #[default]
    Bicubic,
    /// Three-lobed Lanczos (the view BEiT's tokenizer reads).
    Lanczos,
}

/// An image size to render to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    shape: ImageShape,
    interpolation: Interpolation,
}

/// Buffers that rendering reuses; one a worker thread.
#[derive(Debug, Default)]
pub struct Scratch {
    resizer: fir::Resizer,
}

impl View {
    /// A view of `shape`, resized bicubically.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels.
    pub fn new(shape: ImageShape) -> Result<Self> {
        if shape.values() == 0 {
            return Err(Error::config(format!("a view of {shape} holds no pixels")));
        }
        Ok(Self { shape, interpolation: Interpolation::default() })
    }

    /// The same view with another filter.
    pub fn with_interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// The rendered channels, height and width.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Renders `image` as `transform` has it into `out`, planar.
    ///
    /// # Shapes
    ///
    /// - out: `[channels * height * width]` of [`View::shape`]
    ///
    /// # Errors
    ///
    /// When the image has other channels than the view, `out` is not of the view's size, or the
    /// frame does not lie in the image.
    pub fn render(
        &self,
        image: &Image,
        transform: &Transform,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<()> {
        self.check(image.shape(), transform.frame, out.len())?;
        let area = self.shape.height * self.shape.width;
        for (channel, out) in out.chunks_exact_mut(area).enumerate() {
            self.resize(image.plane(channel), image.shape(), transform.frame, scratch, out)
                .map_err(|reason| Error::config(format!("an image cannot be resized: {reason}")))?;
        }
        if transform.flipped {
            flip_horizontal(out, self.shape.width);
        }
        if let Some(jitter) = &transform.jitter {
            jitter.apply(out, self.shape.channels);
        }
        Ok(())
    }

    fn check(&self, image: ImageShape, frame: Frame, out: usize) -> Result<()> {
        if image.channels != self.shape.channels {
            return Err(Error::config(format!(
                "the model reads images of {} channels, got one of {} ({image})",
                self.shape.channels, image.channels
            )));
        }
        if out != self.shape.values() {
            return Err(Error::config(format!(
                "a view of {} is rendered to {} values, got room for {out}",
                self.shape,
                self.shape.values()
            )));
        }
        let crop = match frame {
            Frame::Center => CropBox::whole(image),
            Frame::Crop(crop) => crop,
        };
        if !crop.fits(image) {
            return Err(Error::config(format!(
                "an image of {image} has no part of {}×{} pixels at row {}, column {}",
                crop.height, crop.width, crop.top, crop.left
            )));
        }
        Ok(())
    }

    fn resize(
        &self,
        plane: &[u8],
        image: ImageShape,
        frame: Frame,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (height, width) = (image.height.try_into()?, image.width.try_into()?);
        let plane = fir::images::ImageRef::new(width, height, plane, fir::PixelType::U8)?;
        let (height, width) = (self.shape.height.try_into()?, self.shape.width.try_into()?);
        let pixels = fir::PixelType::U8;
        let mut out = fir::images::Image::from_slice_u8(width, height, out, pixels)?;
        let filter = fir::ResizeAlg::Convolution(self.interpolation.into());
        let options = fir::ResizeOptions::new().resize_alg(filter);
        match frame {
            Frame::Center => {
                let Region { top, left, height, width } = evaluation_region(image, self.shape);
                let options = options.crop(left, top, width, height);
                scratch.resizer.resize(&plane, &mut out, &options)?;
            }
            // A crop is cut out first: the filter must not see what lies outside.
            Frame::Crop(CropBox { top, left, height, width }) => {
                let (left, top) = (left.try_into()?, top.try_into()?);
                let (width, height) = (width.try_into()?, height.try_into()?);
                let part = fir::images::CroppedImage::new(&plane, left, top, width, height)?;
                scratch.resizer.resize(&part, &mut out, &options)?;
            }
        }
        Ok(())
    }
}

impl From<Interpolation> for fir::FilterType {
    fn from(interpolation: Interpolation) -> Self {
        match interpolation {
            Interpolation::Bilinear => Self::Bilinear,
            Interpolation::Bicubic => Self::CatmullRom,
            Interpolation::Lanczos => Self::Lanczos3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::Adjustment;

    const CROP: Frame = Frame::Crop(CropBox { top: 1, left: 2, height: 8, width: 9 });

    fn plane(height: usize, width: usize) -> Vec<u8> {
        let value = |y: usize, x: usize| (64 + (x * 37 + y * 91 + x * y * 5) % 128) as u8;
        (0..height * width).map(|i| value(i / width, i % width)).collect()
    }

    fn image(channels: usize, height: usize, width: usize) -> Image {
        let pixels = plane(height, width).repeat(channels);
        Image::new(ImageShape::new(channels, height, width), pixels).unwrap()
    }

    fn show(image: &Image, view: View, transform: &Transform) -> Result<Vec<u8>> {
        let mut out = vec![0; view.shape().values()];
        view.render(image, transform, &mut Scratch::default(), &mut out)?;
        Ok(out)
    }

    fn plain(frame: Frame) -> Transform {
        Transform { frame, flipped: false, jitter: None }
    }

    fn assert_within_one_level(got: &[u8], pillow: &[u8]) {
        assert_eq!(got.len(), pillow.len());
        let worst = got.iter().zip(pillow).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{got:?}\n{pillow:?}");
    }

    // The expected values of the next three tests are Pillow 13's, of the same image:
    // `image.crop((2, 1, 11, 9)).resize((cols, rows), filter)`. The image keeps away from 0 and
    // 255, because Pillow resizes rows first and this crate's resizer columns first: overshoot
    // that is clipped in between differs by some levels.

    #[test]
    fn a_crop_made_smaller_matches_pillow_bicubic() {
        let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
        let got = show(&image(1, 11, 13), view, &plain(CROP)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            116, 123, 120, 125, 121, 150, 139, 141, 104, 172, 139, 113, 120, 112, 130,
            160, 147, 136, 116, 130, 152, 154, 141, 141, 139, 106, 130, 153, 110, 119,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn a_crop_made_larger_matches_pillow_bicubic() {
        let view = View::new(ImageShape::new(1, 10, 11)).unwrap();
        let got = show(&image(1, 11, 13), view, &plain(CROP)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            110, 150, 102, 70, 119, 151, 70, 84, 126, 163, 198, 82, 125, 150, 132, 104,
            146, 158, 121, 129, 145, 106, 135, 119, 157, 151, 92, 141, 196, 139, 132,
            143, 71, 190, 119, 133, 131, 80, 135, 186, 137, 136, 153, 90, 158, 98, 117,
            124, 82, 129, 184, 138, 141, 160, 100, 137, 75, 92, 154, 177, 124, 180, 139,
            145, 168, 111, 111, 139, 125, 139, 179, 118, 178, 139, 154, 184, 121, 79,
            152, 131, 122, 167, 113, 176, 146, 121, 131, 135, 102, 136, 108, 110, 157,
            107, 173, 152, 89, 79, 149, 185, 143, 90, 99, 150, 102, 171, 152, 98, 93,
            158,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn the_other_filters_match_pillow_too() {
        let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
        let got = |filter| {
            show(&image(1, 11, 13), view.with_interpolation(filter), &plain(CROP)).unwrap()
        };
        #[rustfmt::skip]
        let bilinear = [
            117, 122, 120, 126, 124, 147, 138, 136, 112, 163, 139, 117, 121, 117, 130,
            159, 145, 135, 118, 129, 148, 154, 140, 139, 136, 109, 132, 149, 115, 120,
        ];
        assert_within_one_level(&got(Interpolation::Bilinear), &bilinear);
        #[rustfmt::skip]
        let lanczos = [
            116, 123, 122, 126, 119, 152, 138, 142, 101, 173, 142, 109, 121, 109, 133,
            155, 152, 140, 112, 136, 152, 151, 145, 140, 140, 108, 124, 157, 109, 115,
        ];
        assert_within_one_level(&got(Interpolation::Lanczos), &lanczos);
    }

    /// Pillow: `image.resize((10, 8), BICUBIC).crop((2, 0, 9, 7))` of 20 × 15 pixels.
    #[test]
    fn the_center_matches_resizing_and_center_cropping_in_pillow() {
        let view = View::new(ImageShape::new(1, 7, 7)).unwrap();
        let got = show(&image(1, 15, 20), view, &plain(Frame::Center)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            112, 111, 125, 141, 141, 120, 148, 125, 147, 136, 118, 123, 142, 119, 120,
            151, 148, 133, 120, 125, 139, 141, 152, 145, 119, 119, 128, 129, 124, 145,
            114, 124, 132, 118, 143, 142, 132, 125, 135, 129, 127, 135, 124, 122, 124,
            116, 126, 136, 127,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn an_image_of_the_views_size_is_evaluated_untouched() {
        let image = image(4, 6, 9);
        let view = View::new(image.shape()).unwrap();
        assert_eq!(show(&image, view, &plain(Frame::Center)).unwrap(), image.pixels());
    }

    #[test]
    fn a_crop_of_the_views_size_is_copied() {
        let view = View::new(ImageShape::new(1, 2, 2)).unwrap();
        let frame = Frame::Crop(CropBox { top: 1, left: 2, height: 2, width: 2 });
        let expected = [plane(4, 5)[7], plane(4, 5)[8], plane(4, 5)[12], plane(4, 5)[13]];
        assert_eq!(show(&image(1, 4, 5), view, &plain(frame)).unwrap(), expected);
    }

    #[test]
    fn flip_and_jitter_follow_the_resize() {
        let image = Image::new(ImageShape::new(1, 1, 3), vec![10, 20, 30]).unwrap();
        let jitter = Jitter {
            steps: [
                Adjustment::Brightness(2.0),
                Adjustment::Contrast(1.0),
                Adjustment::Saturation(1.0),
            ],
        };
        let transform = Transform { frame: Frame::Center, flipped: true, jitter: Some(jitter) };
        let view = View::new(image.shape()).unwrap();
        assert_eq!(show(&image, view, &transform).unwrap(), [60, 40, 20]);
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_sides() {
        let view = View::new(ImageShape::new(3, 4, 4)).unwrap();
        let message = |image: &Image, frame, room: usize| {
            let (transform, mut out) = (plain(frame), vec![0; room]);
            let rendered = view.render(image, &transform, &mut Scratch::default(), &mut out);
            rendered.unwrap_err().to_string()
        };
        let channels = message(&image(1, 8, 8), Frame::Center, 48);
        assert!(channels.contains("images of 3 channels, got one of 1 (1×8×8)"), "{channels}");
        let room = message(&image(3, 8, 8), Frame::Center, 47);
        assert!(room.contains("48 values, got room for 47"), "{room}");
        let part = message(&image(3, 8, 8), CROP, 48);
        assert!(part.contains("3×8×8 has no part of 8×9 pixels at row 1, column 2"), "{part}");
        let empty = message(&image(3, 0, 8), Frame::Center, 48);
        assert!(empty.contains("3×0×8"), "{empty}");
        assert!(View::new(ImageShape::new(3, 0, 4)).unwrap_err().to_string().contains("3×0×4"));
    }
}
