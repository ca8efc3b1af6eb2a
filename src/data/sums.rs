//! Sums of pixels that do not depend on the order of addition.

use crate::data::{Image, Pixels};

/// Sums over the values of one channel. Those of 8-bit values are whole numbers below 2^53, so they
/// are exact in any order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    count: u64,
    values: f64,
    squares: f64,
    /// The value that is 1 in statistics.
    white: f64,
    /// The smallest standard deviation reported, one step of the values: dividing by it is safe.
    least: f64,
}

impl Sums {
    /// The sums of every channel of `image`.
    pub(super) fn of(image: &Image) -> Vec<Self> {
        let shape = image.shape();
        let area = (shape.height * shape.width).max(1);
        let whole = |white: u16| (f64::from(white), 1.0 / f64::from(white));
        match image.pixels() {
            Pixels::U8(values) => {
                values.chunks(area).map(|plane| Self::whole(plane, whole(255))).collect()
            }
            Pixels::U16(values) => {
                let white = image.white();
                let cut = |plane: &[u16]| plane.iter().map(|&value| value.min(white)).collect();
                let sums = |plane: Vec<u16>| Self::whole(&plane, whole(white));
                values.chunks(area).map(|plane| sums(cut(plane))).collect()
            }
            Pixels::F32(values) => values.chunks(area).map(Self::of_floats).collect(),
        }
    }

    fn whole<T: Copy + Into<u64>>(plane: &[T], (white, least): (f64, f64)) -> Self {
        let (mut values, mut squares) = (0_u64, 0_u64);
        for &value in plane {
            let value: u64 = value.into();
            values += value;
            squares += value.pow(2);
        }
        let (values, squares) = (values as f64, squares as f64);
        Self { count: plane.len() as u64, values, squares, white, least }
    }

    fn of_floats(plane: &[f32]) -> Self {
        let values = plane.iter().copied().map(f64::from).sum();
        let squares = plane.iter().map(|&value| f64::from(value).powi(2)).sum();
        let least = 1.0 / f64::from(u16::MAX);
        Self { count: plane.len() as u64, values, squares, white: 1.0, least }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            let scale = self.white / other.white;
            self.count += other.count;
            self.values += other.values * scale;
            self.squares += other.squares * scale.powi(2);
            self.least = self.least.min(other.least);
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.values / self.count as f64 / self.white
    }

    pub(super) fn std(&self) -> f64 {
        let square = self.squares / self.count as f64 / self.white.powi(2);
        (square - self.mean().powi(2)).max(0.0).sqrt().max(self.least)
    }
}
