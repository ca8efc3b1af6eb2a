//! One channel of a frame.

use std::ops::Range;

/// Values row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// Means of squares of 2 × 2; what is left over of an odd side is left out.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut values = Vec::with_capacity(width * height);
        for rows in self.values.chunks_exact(2 * self.width).take(height) {
            let (upper, lower) = rows.split_at(self.width);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            values.extend(pairs.map(|(a, b)| 0.25 * (a[0] + a[1] + b[0] + b[1])));
        }
        Self { width, height, values }
    }

    /// Means of 3 × 3, in which pixels beyond an edge are those at it.
    pub(super) fn smoothed(&self) -> Self {
        let Self { width, height, ref values } = *self;
        let mut across = Vec::with_capacity(values.len());
        for row in values.chunks_exact(width) {
            let beside = |x: usize| row[x.saturating_sub(1)] + row[x] + row[(x + 1).min(width - 1)];
            across.extend((0..width).map(beside));
        }
        let mut smoothed = Vec::with_capacity(values.len());
        for y in 0..height {
            let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
            let [above, row, below] = rows.map(|y| &across[y * width..][..width]);
            smoothed.extend((0..width).map(|x| (above[x] + row[x] + below[x]) / 9.0));
        }
        Self { width, height, values: smoothed }
    }

    /// The mean difference from `other`, taken (x, y) further, where they overlap; each pixel's is
    /// `worst` at most.
    pub(super) fn difference(&self, other: &Self, x: isize, y: isize, worst: f32) -> f32 {
        let (rows, cols) = (within(self.height, y), within(self.width, x));
        let count = rows.len() * cols.len();
        let mut sum = 0.0;
        for row in rows {
            let other_row = (row as isize + y) as usize * self.width;
            let other_start = other_row.wrapping_add_signed(cols.start as isize + x);
            let mine = &self.values[row * self.width..][cols.clone()];
            let theirs = &other.values[other_start..][..cols.len()];
            sum += mine.iter().zip(theirs).map(|(a, b)| (a - b).abs().min(worst)).sum::<f32>();
        }
        if count == 0 { f32::INFINITY } else { sum / count as f32 }
    }

    /// The rows whose places `shift` further are within the plane, with a row on either side.
    pub(super) fn rows_within(&self, shift: f32) -> Range<usize> {
        inner(self.height, shift)
    }

    /// As [`rows_within`](Self::rows_within), of columns.
    pub(super) fn columns_within(&self, shift: f32) -> Range<usize> {
        inner(self.width, shift)
    }

    /// The value and the slopes at a place between pixels, with a pixel on either side of it.
    pub(super) fn at(&self, x: f32, y: f32) -> (f32, (f32, f32)) {
        let (col, row) = (x as usize, y as usize);
        let (across, down) = (x - col as f32, y - row as f32);
        let upper = &self.values[row * self.width + col..];
        let lower = &self.values[(row + 1) * self.width + col..];
        let top = upper[0] + across * (upper[1] - upper[0]);
        let bottom = lower[0] + across * (lower[1] - lower[0]);
        let left = upper[0] + down * (lower[0] - upper[0]);
        let right = upper[1] + down * (lower[1] - upper[1]);
        (top + down * (bottom - top), (right - left, bottom - top))
    }
}

/// The median of the sizes of `values`; of two in the middle the larger one, and `None` of none.
pub(super) fn median_size(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut sizes: Vec<f32> = values.map(f32::abs).collect();
    if sizes.is_empty() {
        return None;
    }
    let middle = sizes.len() / 2;
    Some(*sizes.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// The whole places of `length` that are places of it `shift` further too.
fn within(length: usize, shift: isize) -> Range<usize> {
    let length = length as isize;
    let start = (-shift).clamp(0, length);
    start as usize..(length - shift).clamp(start, length) as usize
}

/// The places of `length` that have a pixel at and after the place `shift` further.
fn inner(length: usize, shift: f32) -> Range<usize> {
    let start = (-shift).ceil().max(0.0);
    let end = (length as f32 - 1.0 - shift).ceil().min(length as f32).max(start);
    start as usize..end as usize
}
