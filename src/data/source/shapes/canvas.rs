//! The canvas that a scene is painted on, layer on layer.

use rand::Rng;

use super::paint::{Rgb, blend};

/// Pixels along a side of a picture.
pub(crate) const SIDE: usize = 32;

/// The colors so far. Coordinates are pixels from the middle, `y` down, taken at pixel centers.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    side: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// A canvas of `side` × `side` pixels, of `color` at each (x, y).
    pub(crate) fn new(side: usize, color: impl Fn(f32, f32) -> Rgb) -> Self {
        let color = |pixel| color(coordinate(pixel % side, side), coordinate(pixel / side, side));
        Self { side, pixels: (0..side * side).map(color).collect() }
    }

    /// What of a larger canvas is seen through a window of `side` × `side` pixels whose middle is
    /// `shift` from this one's, between pixels as a mixture of the four nearest.
    ///
    /// # Panics
    ///
    /// When the window, or a pixel beyond it, lies outside.
    pub(crate) fn window(&self, side: usize, shift: (f32, f32)) -> Self {
        let place = |shift: f32| {
            let first = (self.side - side) as f32 / 2.0 + shift;
            (first as usize, first - first as usize as f32)
        };
        let ((left, across), (top, down)) = (place(shift.0), place(shift.1));
        let mut pixels = Vec::with_capacity(side * side);
        for row in top..top + side {
            let [upper, lower] =
                [row, row + 1].map(|row| &self.pixels[row * self.side + left..][..=side]);
            for (upper, lower) in upper.windows(2).zip(lower.windows(2)) {
                let upper = blend(upper[0], upper[1], across);
                pixels.push(blend(upper, blend(lower[0], lower[1], across), down));
            }
        }
        Self { side, pixels }
    }

    /// Lays a color over the pixels at most `reach` from `center` along either axis;
    /// `layer(x, y)` is how much of a pixel it covers (0 to 1), and the color.
    pub(crate) fn cover(
        &mut self,
        center: (f32, f32),
        reach: f32,
        layer: impl Fn(f32, f32) -> (f32, Rgb),
    ) {
        let side = self.side;
        for row in span(center.1, reach, side) {
            for col in span(center.0, reach, side) {
                let (share, color) = layer(coordinate(col, side), coordinate(row, side));
                let pixel = &mut self.pixels[row * side + col];
                *pixel = blend(*pixel, color, share);
            }
        }
    }

    /// Multiplies each pixel by `light(x, y)`.
    pub(crate) fn light(&mut self, light: impl Fn(f32, f32) -> f32) {
        let side = self.side;
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let light = light(coordinate(index % side, side), coordinate(index / side, side));
            *pixel = pixel.map(|value| value * light);
        }
    }

    /// The planar 8-bit image, with uniform noise of up to `noise` levels either way.
    pub(crate) fn develop(&self, noise: f32, rng: &mut dyn Rng) -> Vec<u8> {
        let mut pixels = vec![0; 3 * self.pixels.len()];
        rng.fill_bytes(&mut pixels);
        for (channel, plane) in pixels.chunks_exact_mut(self.pixels.len()).enumerate() {
            for (value, color) in plane.iter_mut().zip(&self.pixels) {
                let grain = (f32::from(*value) / 127.5 - 1.0) * noise;
                *value = (color[channel] * 255.0 + grain + 0.5) as u8;
            }
        }
        pixels
    }
}

/// The middle of the pixels of a row or column of `side`.
pub(crate) fn coordinate(index: usize, side: usize) -> f32 {
    index as f32 + 0.5 - side as f32 / 2.0
}

/// The rows or columns whose pixels touch `center` ± `reach`.
fn span(center: f32, reach: f32, side: usize) -> std::ops::Range<usize> {
    let middle = center + side as f32 / 2.0;
    ((middle - reach) as usize).min(side)..((middle + reach + 1.0) as usize).min(side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn a_layer_covers_only_what_lies_within_its_reach() {
        let mut canvas = Canvas::new(SIDE, |_, _| [0.0; 3]);
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
        let mut canvas = Canvas::new(SIDE, |_, _| [0.0; 3]);
        canvas.cover((40.0, -40.0), 5.0, |_, _| (1.0, [1.0; 3]));
        assert!(canvas.pixels.iter().all(|pixel| *pixel == [0.0; 3]));
    }

    #[test]
    fn without_noise_colors_become_rounded_planes() {
        let canvas =
            Canvas::new(SIDE, |x, _| if x < 0.0 { [0.0, 0.5, 2.0] } else { [1.0, -1.0, 0.1] });
        let pixels = canvas.develop(0.0, &mut stream(1, Purpose::Data, 0, 0));
        let first_and_last = |channel: usize| {
            let plane = &pixels[channel * SIDE * SIDE..][..SIDE * SIDE];
            (plane[0], plane[SIDE - 1])
        };
        assert_eq!([0, 1, 2].map(first_and_last), [(0, 255), (128, 0), (255, 26)]);
    }

    #[test]
    fn a_window_shows_a_part_of_a_larger_canvas_and_mixes_pixels_between_them() {
        let canvas = Canvas::new(8, |x, y| [x, y, x * y]);
        let window = canvas.window(2, (0.0, 0.0));
        assert_eq!(window.pixels[1], [0.5, -0.5, -0.25]);
        // What is linear between pixels is exact there.
        let window = canvas.window(2, (1.25, -0.5));
        assert_eq!(window.pixels.len(), 4);
        assert_eq!(window.pixels[0], [0.75, -1.0, -0.75]);
        assert_eq!(window.pixels[3], [1.75, 0.0, 0.0]);
    }
}
