//! Where a camera that moves shows the places of the first frame.

use super::plane::Plane;
use super::shift::{Pyramid, Shift};
use crate::data::Image;
use crate::error::Result;
use crate::grid::ImageShape;

/// Follows a camera from frame to frame.
#[derive(Debug, Default)]
pub(in crate::run::apply) struct Camera {
    last: Option<Pyramid>,
    place: Shift,
}

impl Camera {
    /// How far further the first frame's places are in the 8-bit `frame`, the one after the last.
    pub(in crate::run::apply) fn follow(&mut self, frame: &Image) -> Result<Shift> {
        let pyramid = Pyramid::new(luma(frame)?);
        if let Some(last) = &self.last {
            let (x, y) = pyramid.shift_in(last);
            self.place = (self.place.0 - x, self.place.1 - y);
        }
        self.last = Some(pyramid);
        Ok(self.place)
    }
}

/// The brightness of an 8-bit image, from 0 to 1.
fn luma(image: &Image) -> Result<Plane> {
    let ImageShape { channels, height, width, .. } = image.shape();
    let weights = match channels {
        3 => vec![0.299, 0.587, 0.114],
        channels => vec![1.0 / channels as f32; channels],
    };
    let mut values = vec![0.0; height * width];
    for (channel, weight) in weights.iter().enumerate() {
        for (value, &byte) in values.iter_mut().zip(image.plane(channel)?) {
            *value += weight / 255.0 * f32::from(byte);
        }
    }
    Ok(Plane { width, height, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A texture of 40 × 56 pixels, seen from (`x`, `y`); in it a square goes its own way.
    fn frame(x: f32, y: f32, square: (usize, usize)) -> Image {
        let level = |at: usize| {
            let (col, row) = (at % 56, at / 56);
            if (square.0..square.0 + 8).contains(&col) && (square.1..square.1 + 8).contains(&row) {
                return 250;
            }
            let (x, y) = (col as f32 + x, row as f32 + y);
            (120.0 + 50.0 * (x * 0.45).sin() * (y * 0.35).cos() + 40.0 * (0.2 * x - 0.3 * y).sin())
                as u8
        };
        Image::new(ImageShape::new(1, 40, 56), (0..40 * 56).map(level).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_camera_is_followed_in_fractions_of_a_pixel_whatever_moves_before_it() {
        let mut camera = Camera::default();
        for time in 0..6 {
            let (x, y) = (0.7 * time as f32, -1.3 * time as f32);
            let place = camera.follow(&frame(x, y, (4 + 5 * time, 30 - 3 * time))).unwrap();
            // What the first frame shows at 0 lies at -x now.
            assert!((place.0 + x).abs() < 0.2 && (place.1 + y).abs() < 0.2, "{time}: {place:?}");
        }
    }

    #[test]
    fn a_camera_that_jumps_is_found_again() {
        let mut camera = Camera::default();
        camera.follow(&frame(0.0, 0.0, (0, 0))).unwrap();
        let place = camera.follow(&frame(5.0, 3.0, (0, 0))).unwrap();
        assert!((place.0 + 5.0).abs() < 0.2 && (place.1 + 3.0).abs() < 0.2, "{place:?}");
    }

    #[test]
    fn where_nothing_is_to_be_seen_nothing_moves() {
        let blank = Image::new(ImageShape::new(3, 16, 16), vec![90_u8; 768]).unwrap();
        let mut camera = Camera::default();
        for _ in 0..3 {
            assert_eq!(camera.follow(&blank).unwrap(), (0.0, 0.0));
        }
    }
}
