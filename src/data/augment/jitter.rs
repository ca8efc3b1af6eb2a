//! Color jitter: random brightness, contrast and saturation.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How far the colors may move (torchvision's `ColorJitter` without hue).
///
/// A strength `s` draws its factor uniformly from `[max(0, 1 - s), 1 + s]`; 0 leaves that
/// property alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JitterRange {
    /// Strength of the brightness change, at least 0.
    pub brightness: f32,
    /// Strength of the contrast change, at least 0.
    pub contrast: f32,
    /// Strength of the saturation change, at least 0; unused unless an image has 3 channels.
    pub saturation: f32,
}

impl JitterRange {
    /// The same `strength` for brightness, contrast and saturation.
    pub const fn uniform(strength: f32) -> Self {
        Self { brightness: strength, contrast: strength, saturation: strength }
    }

    /// Checks that every strength is a number of at least 0.
    ///
    /// # Errors
    ///
    /// When one is not; names it.
    pub fn validate(&self) -> Result<()> {
        let strengths = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ];
        match strengths.iter().find(|(_, strength)| !(strength.is_finite() && *strength >= 0.0)) {
            None => Ok(()),
            Some((name, strength)) => Err(Error::config(format!(
                "jitter.{name} must be a finite strength of at least 0, got {strength}"
            ))),
        }
    }

    /// Draws the three factors and the order they are applied in.
    pub fn sample(&self, rng: &mut dyn Rng) -> Jitter {
        let mut factor =
            |strength: f32| rng.random_range((1.0 - strength).max(0.0)..=1.0 + strength);
        let mut steps = [
            Adjustment::Brightness(factor(self.brightness)),
            Adjustment::Contrast(factor(self.contrast)),
            Adjustment::Saturation(factor(self.saturation)),
        ];
        steps.shuffle(rng);
        Jitter { steps }
    }
}

/// One drawn color change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// What is done, in this order.
    pub steps: [Adjustment; 3],
}

impl Jitter {
    /// Changes the colors of a planar image of `channels` planes, in place.
    pub fn apply(&self, pixels: &mut [u8], channels: usize) {
        for step in self.steps {
            step.apply(pixels, channels);
        }
    }

    /// As [`Jitter::apply`], of values from 0 (black) to 1 (white); nothing is rounded.
    pub fn apply_values(&self, values: &mut [f32], channels: usize) {
        for step in self.steps {
            step.apply_values(values, channels);
        }
    }
}

/// A blend of the image with something duller by a factor: 1 leaves it alone, 0 yields the dull
/// image, above 1 moves away from it. As in Pillow, each step ends in 8 bits (truncated).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Adjustment {
    /// Blend with black.
    Brightness(f32),
    /// Blend with the image's mean gray.
    Contrast(f32),
    /// Blend with the image's own gray values; images that have not 3 channels have no
    /// saturation and stay as they are.
    Saturation(f32),
}

impl Adjustment {
    pub(super) fn apply(self, pixels: &mut [u8], channels: usize) {
        match self {
            Self::Brightness(factor) => blend_with(0.0, factor, pixels),
            Self::Contrast(factor) => blend_with(mean_gray(pixels, channels), factor, pixels),
            Self::Saturation(factor) if channels == 3 => saturate(factor, pixels),
            Self::Saturation(_) => {}
        }
    }

    /// As on 8 bits, of values from 0 to 1, and without rounding: what comes to lie outside becomes
    /// black or white.
    pub(super) fn apply_values(self, values: &mut [f32], channels: usize) {
        let blend = |dull: f32, value: &mut f32, factor: f32| {
            *value = (dull + factor * (*value - dull)).clamp(0.0, 1.0);
        };
        match self {
            Self::Brightness(factor) => values.iter_mut().for_each(|v| blend(0.0, v, factor)),
            Self::Contrast(factor) => {
                let area = values.len() / channels;
                let mean = match channels {
                    3 => {
                        (0..area).map(|i| f64::from(gray(values, i, area))).sum::<f64>()
                            / area as f64
                    }
                    _ => values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64,
                };
                values.iter_mut().for_each(|value| blend(mean as f32, value, factor));
            }
            Self::Saturation(factor) if channels == 3 => {
                let area = values.len() / channels;
                for pixel in 0..area {
                    let gray = gray(values, pixel, area);
                    (0..3).for_each(|plane| blend(gray, &mut values[plane * area + pixel], factor));
                }
            }
            Self::Saturation(_) => {}
        }
    }
}

/// ITU-R 601-2 luma of a pixel of three planes of `area` values.
fn gray(values: &[f32], pixel: usize, area: usize) -> f32 {
    0.299 * values[pixel] + 0.587 * values[area + pixel] + 0.114 * values[2 * area + pixel]
}

fn blend(dull: f32, value: u8, factor: f32) -> u8 {
    (dull + factor * (f32::from(value) - dull)) as u8
}

fn blend_with(dull: f32, factor: f32, pixels: &mut [u8]) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(dull, value as u8, factor));
    for pixel in pixels {
        *pixel = table[usize::from(*pixel)];
    }
}

fn saturate(factor: f32, pixels: &mut [u8]) {
    let (red, rest) = pixels.split_at_mut(pixels.len() / 3);
    let (green, blue) = rest.split_at_mut(red.len());
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let gray = f32::from(luma(*r, *g, *b));
        *r = blend(gray, *r, factor);
        *g = blend(gray, *g, factor);
        *b = blend(gray, *b, factor);
    }
}

/// The rounded mean of the luma of a 3-channel image, of all values of any other.
fn mean_gray(pixels: &[u8], channels: usize) -> f32 {
    let area = pixels.len() / channels;
    let (sum, count) = if channels == 3 {
        let (red, rest) = pixels.split_at(area);
        let (green, blue) = rest.split_at(area);
        let lumas = red.iter().zip(green).zip(blue).map(|((r, g), b)| luma(*r, *g, *b));
        (lumas.map(u64::from).sum::<u64>(), area)
    } else {
        (pixels.iter().map(|value| u64::from(*value)).sum(), pixels.len())
    };
    (sum as f64 / count as f64).round() as f32
}

/// ITU-R 601-2 luma in 16-bit fixed point, as Pillow computes it.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    /// Three planes of 2 × 3 pixels.
    const IMAGE: [u8; 18] =
        [0, 37, 74, 91, 133, 175, 91, 133, 175, 0, 37, 74, 255, 218, 181, 164, 122, 80];

    fn adjusted(step: Adjustment, channels: usize) -> [u8; 18] {
        let mut pixels = IMAGE;
        step.apply(&mut pixels, channels);
        pixels
    }

    // The expected values of the three tests below are Pillow 13's: `ImageEnhance.Brightness`,
    // `.Contrast` and `.Color` of the same image.

    #[test]
    fn brightness_matches_pillow() {
        assert_eq!(
            adjusted(Adjustment::Brightness(0.6), 3),
            [0, 22, 44, 54, 79, 105, 54, 79, 105, 0, 22, 44, 153, 130, 108, 98, 73, 48]
        );
        assert_eq!(
            adjusted(Adjustment::Brightness(1.4), 3),
            [0, 51, 103, 127, 186, 245, 127, 186, 245, 0, 51, 103, 255, 255, 253, 229, 170, 112]
        );
    }

    #[test]
    fn contrast_matches_pillow() {
        assert_eq!(
            adjusted(Adjustment::Contrast(0.6), 3),
            [37, 60, 82, 92, 117, 143, 92, 117, 143, 37, 60, 82, 191, 168, 146, 136, 111, 86]
        );
        assert_eq!(
            adjusted(Adjustment::Contrast(1.4), 3),
            [0, 13, 65, 89, 148, 207, 89, 148, 207, 0, 13, 65, 255, 255, 215, 191, 132, 74]
        );
    }

    #[test]
    fn saturation_matches_pillow() {
        assert_eq!(
            adjusted(Adjustment::Saturation(0.6), 3),
            [32, 67, 102, 73, 109, 147, 87, 125, 163, 18, 52, 86, 185, 176, 166, 116, 103, 90]
        );
        assert_eq!(
            adjusted(Adjustment::Saturation(1.4), 3),
            [0, 6, 45, 109, 156, 203, 94, 140, 187, 0, 21, 61, 255, 255, 195, 211, 140, 70]
        );
    }

    #[test]
    fn values_without_rounding_are_those_of_8_bits_to_a_few_levels() {
        for step in [Adjustment::Brightness, Adjustment::Contrast, Adjustment::Saturation] {
            for (factor, channels) in [(0.6, 3), (1.4, 3), (0.6, 2), (1.4, 2)] {
                let mut values = IMAGE.map(|level| f32::from(level) / 255.0);
                step(factor).apply_values(&mut values, channels);
                for (value, level) in values.iter().zip(adjusted(step(factor), channels)) {
                    let difference = value * 255.0 - f32::from(level);
                    assert!(difference.abs() < 1.5, "{:?}: {value} {level}", step(factor));
                }
            }
        }
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        for step in [Adjustment::Brightness, Adjustment::Contrast, Adjustment::Saturation] {
            assert_eq!(adjusted(step(1.0), 3), IMAGE);
        }
    }

    #[test]
    fn images_without_color_have_no_saturation_but_a_mean_gray() {
        assert_eq!(adjusted(Adjustment::Saturation(0.0), 2), IMAGE);
        // The mean of all 18 values is 2040 / 18 = 113.3.
        assert_eq!(adjusted(Adjustment::Contrast(0.0), 2), [113; 18]);
    }

    #[test]
    fn factors_fill_their_range_and_every_order_occurs() {
        let range = JitterRange { brightness: 0.4, contrast: 2.0, saturation: 0.0 };
        let mut rng = stream(5, Purpose::Augmentation, 0, 0);
        let drawn: Vec<Jitter> = (0..500).map(|_| range.sample(&mut rng)).collect();
        let mut orders = std::collections::BTreeSet::new();
        for jitter in drawn {
            orders.insert(jitter.steps.map(|step| match step {
                Adjustment::Brightness(factor) => {
                    assert!((0.6..=1.4).contains(&factor));
                    'b'
                }
                Adjustment::Contrast(factor) => {
                    assert!((0.0..=3.0).contains(&factor));
                    'c'
                }
                Adjustment::Saturation(factor) => {
                    assert_eq!(factor, 1.0);
                    's'
                }
            }));
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn a_negative_strength_is_refused_by_name() {
        let range = JitterRange { contrast: -0.1, ..JitterRange::uniform(0.4) };
        let message = range.validate().unwrap_err().to_string();
        assert!(message.contains("jitter.contrast") && message.contains("-0.1"), "{message}");
    }
}
