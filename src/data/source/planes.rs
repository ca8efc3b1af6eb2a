//! Converts decoded values of any depth to planes.

use image::DynamicImage;

use crate::data::pixels::Pixels;
use crate::data::source::budget::IN_PLACE;

/// Planes of values, and facts about these.
#[derive(Debug)]
pub(crate) struct Planes {
    pub(crate) channels: usize,
    pub(crate) pixels: Pixels,
    /// The largest value of 16-bit data.
    pub(crate) deepest: Option<u16>,
}

impl Planes {
    fn of_bytes(pixels: Vec<u8>, channels: usize) -> Self {
        Self { channels, pixels: Pixels::U8(pixels), deepest: None }
    }

    /// The first `channels` of each `stride` 16-bit values.
    pub(crate) fn of_words(values: &[u16], stride: usize, channels: usize) -> Self {
        let pixels = Pixels::U16(planar(values, stride, channels, |value| value));
        let deepest = values.chunks_exact(stride).flat_map(|pixel| &pixel[..channels]).max();
        Self { channels, pixels, deepest: deepest.copied() }
    }

    /// The first `channels` of each `stride` values from 0 (black) to 1 (white).
    ///
    /// # Errors
    ///
    /// When a value is not from 0 to 1; the error names the value.
    pub(crate) fn of_floats(
        values: &[f32],
        stride: usize,
        channels: usize,
    ) -> Result<Self, String> {
        let used = || values.chunks_exact(stride).flat_map(|pixel| &pixel[..channels]);
        if let Some(value) = used().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(format!(
                "holds the value {value}; floats are read from 0 (black) to 1 (white), so scale them"
            ));
        }
        let pixels = Pixels::F32(planar(values, stride, channels, |value| value));
        Ok(Self { channels, pixels, deepest: None })
    }

    /// The planes of `image`: gray or RGB, without alpha.
    ///
    /// # Errors
    ///
    /// When the image holds floats out of range.
    pub(crate) fn of_image(image: DynamicImage) -> Result<Self, String> {
        let byte = |value: u8| value;
        Ok(match image {
            DynamicImage::ImageLuma8(image) => Self::of_bytes(image.into_raw(), 1),
            DynamicImage::ImageLumaA8(image) => Self::of_bytes(planar(&image, 2, 1, byte), 1),
            DynamicImage::ImageRgb8(image) => Self::of_bytes(split_rgb(image.into_raw()), 3),
            DynamicImage::ImageRgba8(image) => Self::of_bytes(planar(&image, 4, 3, byte), 3),
            DynamicImage::ImageLuma16(image) => Self::of_words(&image, 1, 1),
            DynamicImage::ImageLumaA16(image) => Self::of_words(&image, 2, 1),
            DynamicImage::ImageRgb16(image) => Self::of_words(&image, 3, 3),
            DynamicImage::ImageRgba16(image) => Self::of_words(&image, 4, 3),
            DynamicImage::ImageRgb32F(image) => Self::of_floats(&image, 3, 3)?,
            DynamicImage::ImageRgba32F(image) => Self::of_floats(&image, 4, 3)?,
            other => Self::of_bytes(split_rgb(other.into_rgb8().into_raw()), 3),
        })
    }
}

/// The first `channels` of each `stride` values, plane by plane.
pub(crate) fn planar<T: Copy, U>(
    values: &[T],
    stride: usize,
    channels: usize,
    of: impl Fn(T) -> U,
) -> Vec<U> {
    let mut planes = Vec::with_capacity(values.len() / stride * channels);
    for channel in 0..channels {
        planes.extend(values.chunks_exact(stride).map(|pixel| of(pixel[channel])));
    }
    planes
}

/// Planes of interleaved RGB values; large ones with one plane of memory beside them.
fn split_rgb(values: Vec<u8>) -> Vec<u8> {
    if values.len() as u64 <= IN_PLACE {
        return planar(&values, 3, 3, |value| value);
    }
    split_in_place(values)
}

fn split_in_place(mut values: Vec<u8>) -> Vec<u8> {
    let pixels = values.len() / 3;
    let blue: Vec<u8> = values.iter().skip(2).step_by(3).copied().collect();
    // Pairs of red and green move to the front, green behind them, then red together.
    for pixel in 0..pixels {
        values[2 * pixel] = values[3 * pixel];
        values[2 * pixel + 1] = values[3 * pixel + 1];
    }
    for pixel in 0..pixels {
        values[2 * pixels + pixel] = values[2 * pixel + 1];
    }
    for pixel in 0..pixels {
        values[pixel] = values[2 * pixel];
    }
    values.copy_within(2 * pixels..3 * pixels, pixels);
    values[2 * pixels..].copy_from_slice(&blue);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_split_like_small_ones() {
        let interleaved: Vec<u8> = (0..30).collect();
        let planes = [0_u8, 1, 2].map(|first| (0..10).map(|at| first + 3 * at).collect::<Vec<_>>());
        assert_eq!(split_in_place(interleaved.clone()), planes.concat());
        assert_eq!(split_rgb(interleaved), planes.concat());
        assert!(split_in_place(vec![]).is_empty());
    }

    #[test]
    fn depth_is_kept_and_the_largest_value_noted() {
        let planes = Planes::of_words(&[0, 9000, 128, 65535, 65535, 0], 2, 1);
        assert_eq!(
            (planes.pixels, planes.deepest),
            (Pixels::U16(vec![0, 128, 65535]), Some(65535))
        );
        let planes = Planes::of_words(&[4095, 0, 129], 1, 1);
        assert_eq!((planes.pixels, planes.deepest), (Pixels::U16(vec![4095, 0, 129]), Some(4095)));
    }

    #[test]
    fn floats_out_of_range_are_refused() {
        let floats = Planes::of_floats(&[0.0, 0.5, 1.0], 1, 1).unwrap();
        assert_eq!(floats.pixels, Pixels::F32(vec![0.0, 0.5, 1.0]));
        for value in [-0.1, 1.5, f32::NAN] {
            let reason = Planes::of_floats(&[0.0, value], 1, 1).unwrap_err();
            assert!(reason.starts_with(&format!("holds the value {value}; floats")), "{reason}");
        }
        // Alpha is not looked at.
        assert!(Planes::of_floats(&[0.5, 7.0], 2, 1).is_ok());
    }
}
