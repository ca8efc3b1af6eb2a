//! Rendering: an image seen through drawn geometry and colors, at one size.

use std::mem;

use super::crop::{CropBox, Region, edge_region, evaluation_region};
use super::flip::flip_horizontal;
use super::frames;
use super::jitter::{Adjustment, Jitter};
use super::normalize::Normalization;
use super::operation::Operation;
use super::resample::{Interpolation, Level, Resampler};
use crate::data::Pixels;
use crate::data::sample::Image;
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;

/// Which part of an image a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The middle, for evaluation: torchvision's `Resize(round(size * 256 / 224))` followed by
    /// `CenterCrop(size)`; an image that already has the view's size is left untouched.
    Center,
    /// This part, cut out and resized to the view.
    Crop(CropBox),
    /// The middle of the image with its shorter side resized to so many pixels: torchvision's
    /// `Resize(edge)` followed by `CenterCrop(size)`.
    Edge(usize),
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
    /// What is done then: gray, solarized, and what RandAugment has drawn.
    pub operations: [Option<Operation>; 4],
    /// Of a clip, where the frames that are shown begin: from 0, with its first frame, to 1, so that
    /// they end with its last one.
    pub time: f64,
}

impl Transform {
    /// What `frame` shows, unchanged; of a clip the middle.
    pub const fn of(frame: Frame) -> Self {
        Self { frame, flipped: false, jitter: None, operations: [None; 4], time: 0.5 }
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
    bytes: Resampler<u8>,
    floats: Resampler<f32>,
    pixels: Vec<u8>,
}

impl View {
    /// A view of `shape`, resized bicubically. A view of a clip shows as many frames of a clip, all of
    /// them alike; a view of an image shows one.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels.
    pub fn new(shape: ImageShape) -> Result<Self> {
        if shape.values() == 0 || !shape.check_frames() {
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

    /// Renders the 8-bit `image` as `transform` has it into `out`, planar.
    ///
    /// # Shapes
    ///
    /// - out: `[channels * height * width]` of [`View::shape`]
    ///
    /// # Errors
    ///
    /// When the image has other channels than the view or is not of 8 bits, `out` is not of the
    /// view's size, or the frame does not lie in the image.
    pub fn render(
        &self,
        image: &Image,
        transform: &Transform,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<()> {
        self.check(image.shape(), transform.frame, out.len())?;
        let pixels = (image.bytes()?, image.shape());
        self.resize(pixels, transform, &mut scratch.bytes, out, <[u8]>::copy_from_slice);
        if transform.flipped {
            flip_horizontal(out, self.shape.width);
        }
        if let Some(jitter) = &transform.jitter {
            jitter.apply(out, self.shape.channels);
        }
        let ImageShape { channels, width, .. } = self.shape;
        let operations = || transform.operations.into_iter().flatten();
        if operations().next().is_some() {
            frames::each(out, self.shape, |frame| {
                operations().for_each(|change| change.apply(frame, channels, width, self.fill));
            });
        }
        Ok(())
    }

    /// As [`View::render`], for images of any values, into values from 0 (black) to 1 (white):
    /// [`Image::values`]. Nothing is rounded, and whole numbers stay between black and white.
    ///
    /// # Errors
    ///
    /// As [`View::render`], and when the transform solarizes or has operations of RandAugment, which are done in
    /// 8 bits.
    pub fn render_values(
        &self,
        image: &Image,
        transform: &Transform,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<()> {
        self.check(image.shape(), transform.frame, out.len())?;
        let changes = transform.operations.into_iter().flatten();
        let changes = changes.map(|operation| match operation {
            Operation::Color(factor) => Ok(Adjustment::Saturation(factor)),
            _ => Err(Error::config(format!(
                "solarized and RandAugment change 8-bit images, got one of {} values; leave them out of the \
                 augmentation, or bring the images to 8 bits (`--eight-bits`)",
                image.pixels().kind()
            ))),
        });
        let changes = changes.collect::<Result<Vec<_>>>()?;
        let (shape, floats) = (image.shape(), &mut scratch.floats);
        match image.pixels() {
            Pixels::U8(values) => {
                self.resize((values, shape), transform, floats, out, convert);
                divide(out, 255.0);
            }
            Pixels::U16(values) => {
                self.resize((values, shape), transform, floats, out, convert);
                divide(out, image.white().into());
            }
            Pixels::F32(values) => self.resize((values, shape), transform, floats, out, convert),
        }
        if transform.flipped {
            flip_horizontal(out, self.shape.width);
        }
        if let Some(jitter) = &transform.jitter {
            jitter.apply_values(out, self.shape.channels);
        }
        for change in changes {
            change.apply_values(out, self.shape.channels);
        }
        Ok(())
    }

    /// What the view shows, as an image: of 8 bits where `image` has them, and of floating-point
    /// values otherwise.
    ///
    /// # Errors
    ///
    /// As [`View::render`] and [`View::render_values`].
    pub fn image(
        &self,
        image: &Image,
        transform: &Transform,
        scratch: &mut Scratch,
    ) -> Result<Image> {
        let shape = ImageShape { stride: 1, ..self.shape };
        if let Pixels::U8(_) = image.pixels() {
            let mut pixels = vec![0; self.shape.values()];
            self.render(image, transform, scratch, &mut pixels)?;
            return Image::new(shape, pixels);
        }
        let mut values = vec![0.0; self.shape.values()];
        self.render_values(image, transform, scratch, &mut values)?;
        Image::new(shape, values)
    }

    /// What the view shows, normalized: 8-bit images go through 8 bits, others do not.
    ///
    /// # Errors
    ///
    /// As [`View::image`].
    pub fn write(
        &self,
        image: &Image,
        transform: &Transform,
        normalization: &Normalization,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<()> {
        if let Pixels::U8(_) = image.pixels() {
            let mut pixels = mem::take(&mut scratch.pixels);
            pixels.resize(self.shape.values(), 0);
            let rendered = self.render(image, transform, scratch, &mut pixels);
            rendered.map(|()| normalization.write(&pixels, out))?;
            scratch.pixels = pixels;
            return Ok(());
        }
        self.render_values(image, transform, scratch, out)?;
        normalization.apply(out);
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
        frames::check(self.shape, image)?;
        let image = image.frame();
        let crop = match frame {
            Frame::Center => CropBox::whole(image),
            Frame::Crop(crop) => crop,
            Frame::Edge(edge) => {
                let shown = self.shape.frame();
                let size = shown.height.max(shown.width);
                ensure!(
                    edge >= size,
                    "an image of {edge} pixels along its shorter side has no middle of {size}"
                );
                CropBox::whole(image)
            }
        };
        if !crop.fits(image) {
            return Err(Error::config(format!(
                "an image of {image} has no part of {}×{} pixels at row {}, column {}",
                crop.height, crop.width, crop.top, crop.left
            )));
        }
        Ok(())
    }

    fn resize<S: Copy + Into<f32>, T: Level>(
        &self,
        (pixels, clip): (&[S], ImageShape),
        transform: &Transform,
        resampler: &mut Resampler<T>,
        out: &mut [T],
        copy: impl Fn(&mut [T], &[S]),
    ) {
        let (image, shown) = (clip.frame(), self.shape.frame());
        let size = (shown.height, shown.width);
        // A crop is cut out first, so the filter does not see what lies outside of it; around the
        // center it does, as the whole image is what torchvision resizes.
        let (window, region) = match transform.frame {
            Frame::Center => (CropBox::whole(image), evaluation_region(image, shown)),
            Frame::Crop(crop) => (crop, Region::whole(crop)),
            Frame::Edge(edge) => (CropBox::whole(image), edge_region(image, shown, edge)),
        };
        let stride = image.width;
        let planes = frames::shown(pixels, clip, self.shape, transform.time);
        let planes = planes.zip(out.chunks_exact_mut(size.0 * size.1));
        if (window.height, window.width) == size && region == Region::whole(window) {
            planes.for_each(|(plane, out)| {
                let rows = plane[window.top * stride..].chunks(stride);
                for (row, out) in rows.zip(out.chunks_exact_mut(window.width)) {
                    copy(out, &row[window.left..][..window.width]);
                }
            });
        } else {
            resampler.aim(window, region, size, self.interpolation);
            planes.for_each(|(plane, out)| resampler.render(plane, stride, window, out));
        }
    }
}

fn convert<S: Copy + Into<f32>>(out: &mut [f32], row: &[S]) {
    out.iter_mut().zip(row).for_each(|(out, value)| *out = (*value).into());
}

/// Values from 0 (black) to 1 (white).
fn divide(values: &mut [f32], white: f32) {
    values.iter_mut().for_each(|value| *value = (*value / white).clamp(0.0, 1.0));
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
