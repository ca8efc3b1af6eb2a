//! The canvas that a scene is painted on, layer on layer.

use rand::Rng;

use super::paint::{Rgb, blend};

/// Pixels along a side.
pub(super) const SIDE: usize = 32;

/// The colors so far. Coordinates are pixels from the middle, `y` down, taken at pixel centers.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    pixels: [Rgb; SIDE * SIDE],
}

impl Canvas {
    /// A canvas of `color` at each (x, y).
    pub(super) fn new(color: impl Fn(f32, f32) -> Rgb) -> Self {
        let pixels =
            std::array::from_fn(|pixel| color(coordinate(pixel % SIDE), coordinate(pixel / SIDE)));
        Self { pixels }
    }

    /// Lays a color over the pixels at most `reach` from `center` along either axis;
    /// `layer(x, y)` is how much of a pixel it covers (0 to 1), and the color.
    pub(super) fn cover(
        &mut self,
        center: (f32, f32),
        reach: f32,
        layer: impl Fn(f32, f32) -> (f32, Rgb),
    ) {
        for row in span(center.1, reach) {
            for col in span(center.0, reach) {
                let (share, color) = layer(coordinate(col), coordinate(row));
                let pixel = &mut self.pixels[row * SIDE + col];
                *pixel = blend(*pixel, color, share);
            }
        }
    }

    /// Multiplies each pixel by `light(x, y)`.
    pub(super) fn light(&mut self, light: impl Fn(f32, f32) -> f32) {
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let light = light(coordinate(index % SIDE), coordinate(index / SIDE));
            *pixel = pixel.map(|value| value * light);
        }
    }

    /// The planar 8-bit image, with uniform noise of up to `noise` levels either way.
    pub(super) fn develop(&self, noise: f32, rng: &mut dyn Rng) -> Vec<u8> {
        let mut pixels = vec![0; 3 * SIDE * SIDE];
        rng.fill_bytes(&mut pixels);
        for (channel, plane) in pixels.chunks_exact_mut(SIDE * SIDE).enumerate() {
            for (value, color) in plane.iter_mut().zip(&self.pixels) {
                let grain = (f32::from(*value) / 127.5 - 1.0) * noise;
                *value = (color[channel] * 255.0 + grain + 0.5) as u8;
            }
        }
        pixels
    }
}

/// The middle of the pixels of a row or column.
pub(super) fn coordinate(index: usize) -> f32 {
    index as f32 + 0.5 - SIDE as f32 / 2.0
}

/// The rows or columns whose pixels touch `center` ± `reach`.
fn span(center: f32, reach: f32) -> std::ops::Range<usize> {
    let middle = center + SIDE as f32 / 2.0;
    ((middle - reach) as usize).min(SIDE)..((middle + reach + 1.0) as usize).min(SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn a_layer_covers_only_what_lies_within_its_reach() {
        let mut canvas = Canvas::new(|_, _| [0.0; 3]);
        canvas.cover((-14.0, 15.0), 2.0, |_, _| (1.0, [1.0; 3]));
        let painted: Vec<usize> =
            (0..SIDE * SIDE).filter(|index| canvas.pixels[*index] == [1.0; 3]).collect();
        assert_eq!(
            painted,
            [29, 30, 31].map(|row| [0, 1, 2, 3, 4].map(|c| row * SIDE + c)).concat()
        );
    }

    #[test]
    fn a_layer_beyond_the_canvas_covers_nothing() {
        let mut canvas = Canvas::new(|_, _| [0.0; 3]);
        canvas.cover((40.0, -40.0), 5.0, |_, _| (1.0, [1.0; 3]));
        assert!(canvas.pixels.iter().all(|pixel| *pixel == [0.0; 3]));
    }

    #[test]
    fn without_noise_colors_become_rounded_planes() {
        let canvas = Canvas::new(|x, _| if x < 0.0 { [0.0, 0.5, 2.0] } else { [1.0, -1.0, 0.1] });
        let pixels = canvas.develop(0.0, &mut stream(1, Purpose::Data, 0, 0));
        let first_and_last = |channel: usize| {
            let plane = &pixels[channel * SIDE * SIDE..][..SIDE * SIDE];
            (plane[0], plane[SIDE - 1])
        };
        assert_eq!([0, 1, 2].map(first_and_last), [(0, 255), (128, 0), (255, 26)]);
    }
}
