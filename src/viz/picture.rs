//! An RGB picture in memory: made from planar values, magnified, pasted.

use std::fmt;

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// An 8-bit RGB picture, row-major.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A picture of `width` × `height` pixels of one `color`.
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, height, pixels: vec![color; width * height] }
    }

    /// The picture whose pixel (x, y) is `pixel(x, y)`.
    pub fn from_fn(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let pixels = (0..width * height).map(|i| pixel(i % width, i / width)).collect();
        Self { width, height, pixels }
    }

    /// The picture of planar `values` (`[channels][height][width]`, 0 = black, 1 = white; clamped
    /// to that range, NaN becomes black).
    ///
    /// One channel is gray and three are RGB. Of more than three, the first three are taken as RGB
    /// (false color); of two, the mean is gray. [`Self::channel_note`] says so in words.
    ///
    /// # Errors
    ///
    /// When `values` does not hold one value per channel and pixel, or `shape` has no channel or no
    /// pixel.
    pub fn from_planar(shape: ImageShape, values: &[f32]) -> Result<Self> {
        if shape.values() == 0 || values.len() != shape.values() {
            return Err(Error::config(format!(
                "a picture of {shape} (channels×height×width, none of them 0) needs {} values, got {}",
                shape.values(),
                values.len()
            )));
        }
        let area = shape.height * shape.width;
        let plane = |channel: usize, pixel: usize| values[channel * area + pixel];
        let rgb = |pixel: usize| match shape.channels {
            1 => [level(plane(0, pixel)); 3],
            2 => [level((plane(0, pixel) + plane(1, pixel)) / 2.0); 3],
            _ => [0, 1, 2].map(|channel| level(plane(channel, pixel))),
        };
        Ok(Self { width: shape.width, height: shape.height, pixels: (0..area).map(rgb).collect() })
    }

    /// How [`Self::from_planar`] shows images of `channels` channels, as a sentence for a footer;
    /// `None` where the picture is the image itself (1 or 3 channels).
    pub fn channel_note(channels: usize) -> Option<String> {
        match channels {
            0 | 1 | 3 => None,
            2 => Some("The mean of the 2 channels is shown in gray.".into()),
            n => Some(format!("False colors: the first 3 of {n} channels as red, green, blue.")),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of all pixels, row-major.
    pub fn as_bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Red, green and blue of the pixel in column `x`, row `y`.
    ///
    /// # Panics
    ///
    /// When the pixel is outside of the picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "pixel ({x}, {y}) is outside of {self:?}");
        self.pixels[y * self.width + x]
    }

    /// The picture with each pixel as a square of `factor` × `factor` pixels (nearest neighbor).
    pub fn magnified(&self, factor: usize) -> Self {
        Self::from_fn(self.width * factor, self.height * factor, |x, y| {
            self.pixel(x / factor, y / factor)
        })
    }

    /// Copies `picture` into this one, its upper left corner at column `x`, row `y`.
    ///
    /// # Panics
    ///
    /// When it does not fit.
    pub fn paste(&mut self, picture: &Self, x: usize, y: usize) {
        assert!(
            x + picture.width <= self.width && y + picture.height <= self.height,
            "{picture:?} at ({x}, {y}) does not fit into {self:?}"
        );
        for row in 0..picture.height {
            let source = &picture.pixels[row * picture.width..][..picture.width];
            self.pixels[(y + row) * self.width + x..][..picture.width].copy_from_slice(source);
        }
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}×{} pixels)", self.width, self.height)
    }
}

/// The 8-bit level of a value in [0, 1].
fn level(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(channels: usize, values: &[f32]) -> Picture {
        Picture::from_planar(ImageShape::new(channels, 2, 1), values).unwrap()
    }

    #[test]
    fn channels_become_grey_rgb_a_mean_or_false_color() {
        assert_eq!(column(1, &[0.0, 1.0]).pixels, [[0; 3], [255; 3]]);
        assert_eq!(column(2, &[0.0, 1.0, 0.4, 0.2]).pixels, [[51; 3], [153; 3]]);
        let rgb = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        assert_eq!(column(3, &rgb).pixels, [[0, 102, 204], [51, 153, 255]]);
        let five = [&rgb[..], &[9.0; 4]].concat();
        assert_eq!(column(5, &five), column(3, &rgb));
    }

    #[test]
    fn every_reading_that_is_not_the_image_itself_is_noted() {
        assert_eq!([1, 3].map(Picture::channel_note), [None, None]);
        assert!(Picture::channel_note(2).unwrap().contains("mean of the 2 channels"));
        assert!(Picture::channel_note(13).unwrap().contains("first 3 of 13 channels"));
    }

    #[test]
    fn values_outside_of_the_range_are_clamped() {
        assert_eq!(column(1, &[-3.0, 7.0]).pixels, [[0; 3], [255; 3]]);
        assert_eq!(column(1, &[f32::NAN, f32::INFINITY]).pixels, [[0; 3], [255; 3]]);
    }

    #[test]
    fn a_wrong_number_of_values_names_both_numbers() {
        let message = Picture::from_planar(ImageShape::square(3, 4), &[0.0; 16]).unwrap_err();
        assert!(message.to_string().contains("3×4×4"), "{message}");
        assert!(message.to_string().contains("needs 48 values, got 16"), "{message}");
        assert!(Picture::from_planar(ImageShape::square(0, 4), &[]).is_err());
    }

    #[test]
    fn magnifying_repeats_every_pixel_in_a_square() {
        let twice = column(1, &[0.0, 1.0]).magnified(2);
        assert_eq!((twice.width(), twice.height()), (2, 4));
        assert_eq!(twice.pixels, [[[0; 3]; 4], [[255; 3]; 4]].concat());
    }

    #[test]
    fn pasting_changes_only_the_pixels_under_the_picture() {
        let mut page = Picture::filled(3, 4, [7; 3]);
        page.paste(&column(1, &[0.0, 1.0]), 2, 1);
        for (y, x) in (0..4).flat_map(|y| (0..3).map(move |x| (y, x))) {
            let expected = if (x, y) == (2, 1) {
                0
            } else if (x, y) == (2, 2) {
                255
            } else {
                7
            };
            assert_eq!(page.pixel(x, y), [expected; 3]);
        }
    }
}
