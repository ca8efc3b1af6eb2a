//! The values of an image: of 8 bits, of 16 bits, or floating-point numbers.

use std::ops::Range;

/// The values of an image, planar (`[channels][height][width]`).
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// From 0 (black) to 255 (white).
    U8(Vec<u8>),
    /// From 0 (black) to 65535 (white), or to the white that is set for the image.
    U16(Vec<u16>),
    /// Numbers that are taken as they are; by convention from 0 (black) to 1 (white), which
    /// [`ChannelStatistics`](super::ChannelStatistics) expect.
    F32(Vec<f32>),
}

/// The same expression of the values of any type.
macro_rules! each {
    ($pixels:expr, $values:ident => $result:expr) => {
        match $pixels {
            Pixels::U8($values) => $result,
            Pixels::U16($values) => $result,
            Pixels::F32($values) => $result,
        }
    };
}

impl Pixels {
    /// The number of values.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `length` values.
    pub(super) fn truncate(&mut self, length: usize) {
        each!(self, values => values.truncate(length));
    }

    /// What to call such values in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "8-bit",
            Self::U16(_) => "16-bit",
            Self::F32(_) => "floating-point",
        }
    }

    /// The values at `range`.
    ///
    /// # Panics
    ///
    /// When the range goes beyond the end.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        each!(self, values => values[range].to_vec().into())
    }

    /// All values of `parts`, one after the other; `None` when there are none or they are of
    /// different kinds.
    pub(super) fn joined(mut parts: impl Iterator<Item = Self>) -> Option<Self> {
        let mut all = parts.next()?;
        for part in parts {
            match (&mut all, part) {
                (Self::U8(all), Self::U8(part)) => all.extend(part),
                (Self::U16(all), Self::U16(part)) => all.extend(part),
                (Self::F32(all), Self::F32(part)) => all.extend(part),
                _ => return None,
            }
        }
        Some(all)
    }

    /// All planes three times.
    pub(super) fn thrice(&self) -> Self {
        each!(self, values => values.repeat(3).into())
    }

    /// The luma of three planes, red, green and blue.
    pub(super) fn luma(&self) -> Self {
        match self {
            // At most white, as the weights sum to 2^16.
            Self::U8(values) => gray(values, |rgb| fixed_luma(rgb.map(u32::from)) as u8),
            Self::U16(values) => gray(values, |rgb| fixed_luma(rgb.map(u32::from)) as u16),
            Self::F32(values) => gray(values, |[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b),
        }
    }

    /// Hands over the bytes of all values, the lowest of each first, in pieces.
    pub(super) fn bytes(&self, mut take: impl FnMut(&[u8])) {
        match self {
            Self::U8(values) => take(values),
            Self::U16(values) => values.iter().for_each(|value| take(&value.to_le_bytes())),
            Self::F32(values) => values.iter().for_each(|value| take(&value.to_le_bytes())),
        }
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

impl From<Vec<u16>> for Pixels {
    fn from(values: Vec<u16>) -> Self {
        Self::U16(values)
    }
}

impl From<Vec<f32>> for Pixels {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

fn gray<T: Copy>(rgb: &[T], luma: impl Fn([T; 3]) -> T) -> Pixels
where
    Pixels: From<Vec<T>>,
{
    let area = rgb.len() / 3;
    (0..area)
        .map(|at| luma([rgb[at], rgb[area + at], rgb[2 * area + at]]))
        .collect::<Vec<_>>()
        .into()
}

/// Luma in the fixed-point arithmetic of Pillow.
fn fixed_luma([r, g, b]: [u32; 3]) -> u32 {
    (r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16
}
