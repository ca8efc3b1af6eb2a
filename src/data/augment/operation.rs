//! The operations of RandAugment, with Pillow's arithmetic.

use super::jitter::Adjustment;
use super::resample::Interpolation;

/// One operation at a strength, on planar 8-bit pixels. Color operations leave images without
/// exactly 3 channels as they are, as Pillow does with gray images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Stretch each channel to 0 to 255.
    AutoContrast,
    /// Make each channel's levels equally frequent.
    Equalize,
    /// 255 less the value.
    Invert,
    /// Keep this many of the highest bits, 8 at most; of none nothing is left, where Pillow refuses.
    Posterize(u32),
    /// Invert values from this one on.
    Solarize(u16),
    /// Add this to values below 128.
    SolarizeAdd(u8),
    /// Blend with the gray image.
    Color(f32),
    /// Blend with the mean gray.
    Contrast(f32),
    /// Blend with black.
    Brightness(f32),
    /// Blend with the smoothed image.
    Sharpness(f32),
    /// Move the pixels; what comes from outside is filled.
    Move(Geometry, Interpolation),
}

/// Where the pixels go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Geometry {
    /// About the middle, in degrees, anticlockwise.
    Rotate(f64),
    /// Columns by this much of the row.
    ShearX(f64),
    /// Rows by this much of the column.
    ShearY(f64),
    /// By this share of the width.
    TranslateX(f64),
    /// By this share of the height.
    TranslateY(f64),
}

impl Operation {
    /// Changes `pixels` of `channels` planes of `width` columns, in place; `fill` has a value a
    /// channel, the last of which stands for those it lacks.
    pub fn apply(self, pixels: &mut [u8], channels: usize, width: usize, fill: [u8; 3]) {
        let area = pixels.len() / channels;
        let planes = pixels.chunks_exact_mut(area);
        match self {
            Self::AutoContrast => planes.for_each(|plane| map(plane, stretched(plane))),
            Self::Equalize => planes.for_each(|plane| map(plane, equalized(plane))),
            Self::Invert => map(pixels, table(|v| 255 - v)),
            Self::Posterize(bits) => {
                map(pixels, table(|v| (u16::from(v) >> (8 - bits) << (8 - bits)) as u8));
            }
            Self::Solarize(from) => {
                map(pixels, table(|v| if u16::from(v) < from { v } else { 255 - v }));
            }
            Self::SolarizeAdd(add) => {
                map(pixels, table(|v| if v < 128 { v.saturating_add(add) } else { v }));
            }
            Self::Color(factor) => Adjustment::Saturation(factor).apply(pixels, channels),
            Self::Contrast(factor) => Adjustment::Contrast(factor).apply(pixels, channels),
            Self::Brightness(factor) => Adjustment::Brightness(factor).apply(pixels, channels),
            Self::Sharpness(factor) => planes.for_each(|plane| sharpen(plane, width, factor)),
            Self::Move(geometry, filter) => {
                let matrix = geometry.matrix(width as f64, (area / width) as f64);
                for (channel, plane) in planes.enumerate() {
                    relocate(plane, width, matrix, filter, fill[channel.min(2)]);
                }
            }
        }
    }
}

fn table(f: impl Fn(u8) -> u8) -> [u8; 256] {
    std::array::from_fn(|value| f(value as u8))
}

fn map(pixels: &mut [u8], table: [u8; 256]) {
    pixels.iter_mut().for_each(|pixel| *pixel = table[usize::from(*pixel)]);
}

fn stretched(plane: &[u8]) -> [u8; 256] {
    let low = f64::from(plane.iter().copied().min().unwrap_or(0));
    let high = f64::from(plane.iter().copied().max().unwrap_or(0));
    if high <= low {
        return table(|value| value);
    }
    let scale = 255.0 / (high - low);
    table(|value| (f64::from(value) * scale - low * scale) as u8)
}

fn equalized(plane: &[u8]) -> [u8; 256] {
    let mut counts = [0; 256];
    plane.iter().for_each(|value| counts[usize::from(*value)] += 1);
    let last = counts.iter().rev().find(|count| **count > 0).copied().unwrap_or(0);
    let step = (plane.len() - last) / 255;
    if step == 0 {
        return table(|value| value);
    }
    let mut below = step / 2;
    std::array::from_fn(|value| {
        let level = (below / step).min(255) as u8;
        below += counts[value];
        level
    })
}

/// Inner pixels are blended with a mean in which they weigh 5 of 13; the border stays.
fn sharpen(plane: &mut [u8], width: usize, factor: f32) {
    let (old, height) = (plane.to_vec(), plane.len() / width);
    for row in 1..height.saturating_sub(1) {
        for col in 1..width.saturating_sub(1) {
            let at = row * width + col;
            let around = [at - width, at, at + width].into_iter().flat_map(|i| &old[i - 1..=i + 1]);
            let sum = around.map(|v| u32::from(*v)).sum::<u32>() + 4 * u32::from(old[at]);
            let smooth = ((2 * sum + 13) / 26) as f32;
            plane[at] = (smooth + factor * (f32::from(old[at]) - smooth)) as u8;
        }
    }
}

impl Geometry {
    /// From an output pixel's middle to the source: `x = a x + b y + c`, `y = d x + e y + f`.
    fn matrix(self, width: f64, height: f64) -> [f64; 6] {
        match self {
            Self::Rotate(degrees) => {
                let (sin, cos) = (-degrees.to_radians()).sin_cos();
                let (x, y) = (width / 2.0, height / 2.0);
                [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
            }
            Self::ShearX(by) => [1.0, by, 0.0, 0.0, 1.0, 0.0],
            Self::ShearY(by) => [1.0, 0.0, 0.0, by, 1.0, 0.0],
            Self::TranslateX(by) => [1.0, 0.0, by * width, 0.0, 1.0, 0.0],
            Self::TranslateY(by) => [1.0, 0.0, 0.0, 0.0, 1.0, by * height],
        }
    }
}

fn relocate(plane: &mut [u8], width: usize, m: [f64; 6], filter: Interpolation, fill: u8) {
    let (old, height) = (plane.to_vec(), plane.len() / width);
    for (index, out) in plane.iter_mut().enumerate() {
        let (x, y) = ((index % width) as f64 + 0.5, (index / width) as f64 + 0.5);
        let (x, y) = (m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]);
        let inside = x >= 0.0 && x < width as f64 && y >= 0.0 && y < height as f64;
        *out = if inside { look_up(&old, width, x - 0.5, y - 0.5, filter) } else { fill };
    }
}

/// The value at a place; the border's pixels go on outside. The cubic is Pillow's of transforms,
/// with a = -1.
fn look_up(plane: &[u8], width: usize, x: f64, y: f64, filter: Interpolation) -> u8 {
    let height = plane.len() / width;
    let (left, top) = (x.floor(), y.floor());
    let at = |row: i64, col: i64| {
        let row = (top as i64 + row).clamp(0, height as i64 - 1) as usize;
        let col = (left as i64 + col).clamp(0, width as i64 - 1) as usize;
        f64::from(plane[row * width + col])
    };
    let (dx, dy) = (x - left, y - top);
    if filter == Interpolation::Bilinear {
        let row = |row| at(row, 0) + (at(row, 1) - at(row, 0)) * dx;
        return (row(0) + (row(1) - row(0)) * dy) as u8;
    }
    let row = |row| cubic([-1, 0, 1, 2].map(|col| at(row, col)), dx);
    cubic([-1, 0, 1, 2].map(row), dy) as u8
}

fn cubic([a, b, c, d]: [f64; 4], t: f64) -> f64 {
    b + t * ((c - a) + t * ((2.0 * (a - b) + c - d) + t * (b - a + d - c)))
}

#[cfg(test)]
#[path = "rand_augment_tests.rs"]
mod rand_augment_fixtures;
