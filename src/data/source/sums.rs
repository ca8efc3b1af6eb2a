//! Sums of pixels that do not depend on the order of addition.

/// The smallest standard deviation reported, one step of 8-bit values: dividing by it is safe.
const LEAST_STD: f64 = 1.0 / 255.0;

/// Exact sums over the 8-bit values of one channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    count: u64,
    values: u64,
    squares: u64,
}

impl Sums {
    pub(super) fn of(plane: &[u8]) -> Self {
        let mut sums = Self::default();
        sums.add(plane);
        sums
    }

    pub(super) fn add(&mut self, plane: &[u8]) {
        self.count += plane.len() as u64;
        for &value in plane {
            self.values += u64::from(value);
            self.squares += u64::from(value).pow(2);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.values += other.values;
        self.squares += other.squares;
    }

    pub(super) fn mean(&self) -> f64 {
        self.values as f64 / self.count as f64 / 255.0
    }

    pub(super) fn std(&self) -> f64 {
        let square = self.squares as f64 / self.count as f64 / 255.0_f64.powi(2);
        (square - self.mean().powi(2)).max(0.0).sqrt().max(LEAST_STD)
    }
}
