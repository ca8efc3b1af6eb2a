//! Rendering: an image seen through drawn geometry and colors, at one size.

use super::crop::{CropBox, Region, evaluation_region};
use super::flip::flip_horizontal;
use super::jitter::Jitter;
use super::rand_augment::Operations;
use super::resample::{Interpolation, Resampler};
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
    /// How its colors change, if they do. Applied to the rendered pixels (the published BEiT code
    /// changes the whole image before cropping, so its mean gray is a mean over more pixels).
    pub jitter: Option<Jitter>,
    /// What RandAugment does then.
    pub operations: Operations,
}

impl Transform {
    /// What `frame` shows, unchanged.
    pub const fn of(frame: Frame) -> Self {
        Self { frame, flipped: false, jitter: None, operations: [None; 2] }
    }
}

/// An image size to render to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    shape: ImageShape,
    interpolation: Interpolation,
    fill: [u8; 3],
}

/// Buffers that rendering reuses; one a worker thread.
#[derive(Debug, Default)]
pub struct Scratch {
    resampler: Resampler,
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
        Ok(Self { shape, interpolation: Interpolation::default(), fill: [128; 3] })
    }

    /// The same view with another filter.
    pub fn with_interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// The same view with another color, from 0 to 1, of what operations move in from outside;
    /// without this it is gray. The last value stands for channels there is none of.
    pub fn with_fill(mut self, color: &[f32]) -> Self {
        if let Some(last) = color.len().checked_sub(1) {
            self.fill = std::array::from_fn(|i| (color[i.min(last)] * 255.0).round() as u8);
        }
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
        self.resize(image, transform.frame, &mut scratch.resampler, out);
        if transform.flipped {
            flip_horizontal(out, self.shape.width);
        }
        if let Some(jitter) = &transform.jitter {
            jitter.apply(out, self.shape.channels);
        }
        for operation in transform.operations.into_iter().flatten() {
            operation.apply(out, self.shape.channels, self.shape.width, self.fill);
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

    fn resize(&self, image: &Image, frame: Frame, resampler: &mut Resampler, out: &mut [u8]) {
        let size = (self.shape.height, self.shape.width);
        // A crop is cut out first, so the filter does not see what lies outside of it; around the
        // center it does, as the whole image is what torchvision resizes.
        let (window, region) = match frame {
            Frame::Center => {
                (CropBox::whole(image.shape()), evaluation_region(image.shape(), self.shape))
            }
            Frame::Crop(crop) => (crop, Region::whole(crop)),
        };
        let stride = image.shape().width;
        let planes = out.chunks_exact_mut(size.0 * size.1).enumerate();
        if (window.height, window.width) == size {
            planes.for_each(|(channel, out)| copy(image.plane(channel), stride, window, out));
        } else {
            resampler.aim(window, region, size, self.interpolation);
            planes.for_each(|(channel, out)| {
                resampler.render(image.plane(channel), stride, window, out);
            });
        }
    }
}

fn copy(plane: &[u8], stride: usize, window: CropBox, out: &mut [u8]) {
    let rows = plane[window.top * stride..].chunks(stride);
    for (row, out) in rows.zip(out.chunks_exact_mut(window.width)) {
        out.copy_from_slice(&row[window.left..][..window.width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::Adjustment;

    const CROP: Frame = Frame::Crop(CropBox { top: 1, left: 2, height: 8, width: 9 });

    fn plane(height: usize, width: usize) -> Vec<u8> {
        let value = |y: usize, x: usize| ((x * 37 + y * 91 + x * y * 5) % 256) as u8;
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

    fn assert_within_one_level(got: &[u8], pillow: &[u8]) {
        assert_eq!(got.len(), pillow.len());
        let worst = got.iter().zip(pillow).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{got:?}\n{pillow:?}");
    }

    // The expected values of the next three tests are Pillow 13's, of the same image:
    // `image.crop((2, 1, 11, 9)).resize((cols, rows), filter)`.

    #[test]
    fn a_crop_made_smaller_matches_pillow_bicubic() {
        let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
        let got = show(&image(1, 11, 13), view, &Transform::of(CROP)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            131, 85, 99, 164, 137, 197, 110, 148, 98, 166, 141, 108, 126, 120, 166, 158,
            149, 138, 134, 140, 146, 158, 122, 125, 100, 103, 126, 164, 107, 132,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn a_crop_made_larger_matches_pillow_bicubic() {
        let view = View::new(ImageShape::new(1, 10, 11)).unwrap();
        let got = show(&image(1, 11, 13), view, &Transform::of(CROP)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            180, 229, 97, 0, 48, 82, 115, 158, 196, 231, 255, 54, 92, 85, 92, 148, 184,
            227, 123, 78, 136, 183, 52, 99, 167, 157, 92, 141, 185, 136, 133, 141, 63,
            160, 140, 178, 142, 35, 99, 146, 149, 182, 171, 51, 223, 67, 41, 107, 158,
            190, 250, 117, 66, 130, 165, 72, 101, 156, 223, 230, 63, 110, 159, 221, 198,
            46, 145, 214, 142, 90, 149, 154, 219, 126, 113, 173, 160, 87, 147, 127, 123,
            167, 113, 175, 152, 81, 65, 138, 27, 84, 114, 156, 184, 69, 130, 169, 103,
            44, 111, 115, 189, 89, 14, 98, 171, 251, 118, 81, 173, 227,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn the_other_filters_match_pillow_too() {
        let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
        let got = |filter| {
            show(&image(1, 11, 13), view.with_interpolation(filter), &Transform::of(CROP)).unwrap()
        };
        #[rustfmt::skip]
        let bilinear = [
            128, 89, 102, 159, 141, 191, 115, 142, 106, 158, 144, 115, 123, 124, 160,
            159, 145, 135, 134, 134, 146, 159, 124, 129, 101, 105, 128, 158, 114, 132,
        ];
        assert_within_one_level(&got(Interpolation::Bilinear), &bilinear);
        #[rustfmt::skip]
        let lanczos = [
            131, 88, 96, 166, 137, 198, 105, 145, 101, 172, 136, 104, 134, 119, 163,
            152, 157, 146, 128, 151, 144, 152, 129, 118, 100, 103, 120, 170, 103, 127,
        ];
        assert_within_one_level(&got(Interpolation::Lanczos), &lanczos);
    }

    /// Pillow: `image.resize((10, 8), BICUBIC).crop((2, 0, 9, 7))` of 20 × 15 pixels.
    #[test]
    fn the_center_matches_resizing_and_center_cropping_in_pillow() {
        let view = View::new(ImageShape::new(1, 7, 7)).unwrap();
        let got = show(&image(1, 15, 20), view, &Transform::of(Frame::Center)).unwrap();
        #[rustfmt::skip]
        let pillow = [
            114, 118, 117, 147, 141, 115, 124, 112, 157, 141, 132, 131, 126, 140, 139,
            154, 150, 130, 126, 141, 149, 147, 153, 130, 100, 132, 116, 144, 110, 146,
            113, 121, 113, 93, 167, 142, 132, 128, 146, 138, 132, 140, 126, 123, 126,
            109, 131, 166, 123,
        ];
        assert_within_one_level(&got, &pillow);
    }

    #[test]
    fn an_image_of_the_views_size_is_evaluated_untouched() {
        let image = image(4, 6, 9);
        let view = View::new(image.shape()).unwrap();
        assert_eq!(show(&image, view, &Transform::of(Frame::Center)).unwrap(), image.pixels());
    }

    #[test]
    fn a_crop_of_the_views_size_is_copied() {
        let view = View::new(ImageShape::new(1, 2, 2)).unwrap();
        let frame = Frame::Crop(CropBox { top: 1, left: 2, height: 2, width: 2 });
        let expected = [plane(4, 5)[7], plane(4, 5)[8], plane(4, 5)[12], plane(4, 5)[13]];
        assert_eq!(show(&image(1, 4, 5), view, &Transform::of(frame)).unwrap(), expected);
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
        let transform =
            Transform { flipped: true, jitter: Some(jitter), ..Transform::of(Frame::Center) };
        let view = View::new(image.shape()).unwrap();
        assert_eq!(show(&image, view, &transform).unwrap(), [60, 40, 20]);
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_sides() {
        let view = View::new(ImageShape::new(3, 4, 4)).unwrap();
        let message = |image: &Image, frame, room: usize| {
            let (transform, mut out) = (Transform::of(frame), vec![0; room]);
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
