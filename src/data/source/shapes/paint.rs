//! Colors, and patterns of two colors.
//!
//! This file uses only the four operations, square roots and comparisons, because their results are
//! the same on every machine. Sines may differ.

use rand::{Rng, RngExt};

/// Red, green and blue, 0 = none, 1 = full.
pub(crate) type Rgb = [f32; 3];

/// Two related colors in a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Paint {
    from: Rgb,
    to: Rgb,
    pattern: Pattern,
    direction: (f32, f32),
    /// Waves per pixel.
    frequency: f32,
    phase: f32,
}

#[derive(Debug, Clone)]
enum Pattern {
    Gradient,
    Stripes,
    Checks,
    Clouds([[f32; KNOTS]; KNOTS]),
}

/// Knots of the clouds along each axis, and the pixels between two of them.
const KNOTS: usize = 7;
const KNOT_SPACING: f32 = 5.5;

impl Paint {
    /// A random pattern of two colors of one family, on average as bright as `luma`.
    pub(crate) fn draw(luma: f32, rng: &mut dyn Rng) -> Self {
        let hue = rng.random_range(0.0..6.0);
        let saturation = rng.random_range(0.3..1.0);
        let spread = rng.random_range(-0.09..0.09);
        let other_hue = hue + rng.random_range(-0.7..0.7);
        Self {
            from: color(hue, saturation, luma - spread),
            to: color(other_hue, saturation, luma + spread),
            pattern: Pattern::draw(rng),
            direction: direction(1.0, rng),
            frequency: rng.random_range(0.08..0.2),
            phase: rng.random_range(0.0..1.0),
        }
    }

    /// The color at (`x`, `y`), in pixels from the middle of the image.
    pub(crate) fn at(&self, x: f32, y: f32) -> Rgb {
        let along = x * self.direction.0 + y * self.direction.1;
        let across = y * self.direction.0 - x * self.direction.1;
        let mix = match &self.pattern {
            Pattern::Gradient => 0.5 + along / 45.0,
            Pattern::Stripes => wave(along * self.frequency + self.phase),
            Pattern::Checks => {
                let rows = wave(along * self.frequency + self.phase);
                let cols = wave(across * self.frequency + self.phase);
                rows * cols + (1.0 - rows) * (1.0 - cols)
            }
            Pattern::Clouds(knots) => cloud(knots, x, y),
        };
        blend(self.from, self.to, mix)
    }
}

impl Pattern {
    fn draw(rng: &mut dyn Rng) -> Self {
        match rng.random_range(0..6) {
            0 | 1 => Self::Gradient,
            2 => Self::Stripes,
            3 => Self::Checks,
            _ => Self::Clouds(std::array::from_fn(|_| rng.random())),
        }
    }
}

/// `to`'s share of two colors, 0 to 1.
pub(crate) fn blend(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|channel| from[channel] + share * (to[channel] - from[channel]))
}

/// A unit vector within `reach` × 90° of the x axis, by the rational parametrization of the circle.
pub(crate) fn direction(reach: f32, rng: &mut dyn Rng) -> (f32, f32) {
    let slope = rng.random_range(-1.0f32..1.0) * reach;
    let square = slope * slope;
    ((1.0 - square) / (1.0 + square), 2.0 * slope / (1.0 + square))
}

/// A color of brightness `luma`; `hue` runs once around in 6, `saturation` 0 is gray.
pub(crate) fn color(hue: f32, saturation: f32, luma: f32) -> Rgb {
    let hue = hue.rem_euclid(6.0);
    let pure = [(hue - 3.0).abs() - 1.0, 2.0 - (hue - 2.0).abs(), 2.0 - (hue - 4.0).abs()]
        .map(|value| value.clamp(0.0, 1.0));
    let brightness = 0.3 * pure[0] + 0.59 * pure[1] + 0.11 * pure[2];
    let strength = saturation * luma.min(1.0 - luma) * 1.4;
    pure.map(|value| (luma + strength * (value - brightness)).clamp(0.0, 1.0))
}

/// A square wave of period 1 with soft edges, 0 to 1.
fn wave(phase: f32) -> f32 {
    let triangle = (2.0 * (phase - floor(phase)) - 1.0).abs();
    smooth(3.0 * triangle - 1.0)
}

/// Random knots, smoothly joined.
fn cloud(knots: &[[f32; KNOTS]; KNOTS], x: f32, y: f32) -> f32 {
    let (row, row_share) = knot(y);
    let (col, col_share) = knot(x);
    let along = |row: usize| {
        let (left, right) = (knots[row][col], knots[row][col + 1]);
        left + col_share * (right - left)
    };
    let (above, below) = (along(row), along(row + 1));
    above + row_share * (below - above)
}

/// The knot before a coordinate, and the next one's share.
fn knot(coordinate: f32) -> (usize, f32) {
    let place = coordinate / KNOT_SPACING + (KNOTS - 1) as f32 / 2.0;
    let before = floor(place).clamp(0.0, (KNOTS - 2) as f32);
    (before as usize, smooth(place - before))
}

/// `f32::floor` for small numbers: the standard one is a call into libm on baseline x86-64.
fn floor(value: f32) -> f32 {
    let truncated = value as i32 as f32;
    if value < truncated { truncated - 1.0 } else { truncated }
}

/// 0 below 0, 1 above 1, and level at both.
pub(crate) fn smooth(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    value * value * (3.0 - 2.0 * value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn a_color_has_the_luma_it_was_asked_for() {
        for hue in 0..12 {
            for luma in [0.2, 0.5, 0.8] {
                let [red, green, blue] = color(hue as f32 / 2.0, 0.5, luma);
                let got = 0.3 * red + 0.59 * green + 0.11 * blue;
                assert!((got - luma).abs() < 0.01, "hue {hue}: {got} for {luma}");
            }
        }
        assert_eq!(color(1.0, 0.0, 0.4), [0.4; 3]);
        let [red, green, blue] = color(0.0, 1.0, 0.4);
        assert!(red > green && green == blue);
    }

    #[test]
    fn directions_have_unit_length() {
        let mut rng = stream(1, Purpose::Data, 0, 0);
        for _ in 0..100 {
            let (x, y) = direction(1.0, &mut rng);
            assert!((x * x + y * y - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn every_pattern_stays_between_its_two_colors() {
        let mut rng = stream(2, Purpose::Data, 0, 0);
        for _ in 0..60 {
            let paint = Paint::draw(0.5, &mut rng);
            for pixel in 0..1024 {
                let (x, y) = ((pixel % 32) as f32 - 15.5, (pixel / 32) as f32 - 15.5);
                for (channel, value) in paint.at(x, y).into_iter().enumerate() {
                    let (a, b) = (paint.from[channel], paint.to[channel]);
                    assert!((a.min(b) - 1e-6..=a.max(b) + 1e-6).contains(&value));
                }
            }
        }
    }

    #[test]
    fn a_wave_is_one_at_its_ends_and_zero_in_its_middle() {
        assert_eq!([0.0, 0.5, 1.0, -3.0].map(wave), [1.0, 0.0, 1.0, 1.0]);
        assert_eq!(wave(0.25), 0.5);
    }
}
