//! Resizing of planes, as Pillow does it: separable, antialiased, 8-bit values with 8 bits between the
//! passes.

use std::f64::consts::PI;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::crop::{CropBox, Region};

/// The filter of a resize; when shrinking it is widened, so that no source pixel is skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interpolation {
    /// Linear (SimMIM).
    Bilinear,
    /// Cubic with a = -0.5 (MAE, BEiT).
    #[default]
    Bicubic,
    /// Three-lobed Lanczos (the view BEiT's tokenizer reads).
    Lanczos,
}

impl Interpolation {
    /// Where the filter ends, in pixels of the coarser image.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, offset: f64) -> f64 {
        let x = offset.abs();
        if x >= self.support() {
            return 0.0;
        }
        match self {
            Self::Bilinear => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos => sinc(x) * sinc(x / 3.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// How many rows are resized at once: lane `i` of a vector register belongs to row `i`.
const LANES: usize = 16;

/// What a resized value is kept in.
pub(super) trait Level: Copy + Default + Into<f32> {
    /// What a sum starts with, so that [`Level::of`] rounds it.
    const START: f32;

    fn of(sum: f32) -> Self;
}

impl Level for u8 {
    const START: f32 = 0.5;

    fn of(sum: f32) -> Self {
        sum as Self
    }
}

impl Level for f32 {
    const START: Self = 0.0;

    fn of(sum: f32) -> Self {
        sum
    }
}

/// The weights of one geometry, and the buffers of its passes.
#[derive(Debug, Default)]
pub(super) struct Resampler<T> {
    rows: Axis,
    cols: Axis,
    columns: Vec<[f32; LANES]>,
    narrowed: Vec<T>,
}

impl<T: Level> Resampler<T> {
    /// Computes the weights that show `region` (in pixels of `window`) at `height` × `width`.
    /// Nothing outside `window` is read.
    pub(super) fn aim(
        &mut self,
        window: CropBox,
        region: Region,
        (height, width): (usize, usize),
        filter: Interpolation,
    ) {
        self.rows.aim(window.height, region.top, region.height / height as f64, height, filter);
        self.cols.aim(window.width, region.left, region.width / width as f64, width, filter);
    }

    /// Resizes the `window` of one plane, whose rows are `stride` long. Each pass transposes, so
    /// the second one resizes the columns.
    pub(super) fn render<S: Copy + Into<f32>>(
        &mut self,
        plane: &[S],
        stride: usize,
        window: CropBox,
        out: &mut [T],
    ) {
        let Self { rows, cols, columns, narrowed } = self;
        let row = |row| &plane[(window.top + row) * stride + window.left..][..window.width];
        narrowed.resize(cols.spans.len() * window.height, T::default());
        resize_and_transpose(cols, window.height, row, columns, narrowed);
        let row = |row| &narrowed[row * window.height..][..window.height];
        resize_and_transpose(rows, cols.spans.len(), row, columns, out);
    }
}

/// Resizes `count` rows along `axis`; value `i` of a row goes to row `i` of `out`.
fn resize_and_transpose<'a, S: Copy + Into<f32> + 'a, T: Level>(
    axis: &Axis,
    count: usize,
    row: impl Fn(usize) -> &'a [S],
    columns: &mut Vec<[f32; LANES]>,
    out: &mut [T],
) {
    columns.resize(row(0).len(), [0.0; LANES]);
    for first in (0..count).step_by(LANES) {
        let lanes = first..count.min(first + LANES);
        for (lane, index) in lanes.clone().enumerate() {
            for (column, value) in columns.iter_mut().zip(row(index)) {
                column[lane] = (*value).into();
            }
        }
        for ((span, weights), out) in axis.iter().zip(out.chunks_exact_mut(count)) {
            let mut sums = [T::START; LANES];
            for (column, weight) in columns[span].iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(column) {
                    *sum += value * weight;
                }
            }
            out[lanes.clone()].copy_from_slice(&sums.map(T::of)[..lanes.len()]);
        }
    }
}

/// Along one axis: the source pixels each output pixel is a mean of, and their weights.
#[derive(Debug, Default)]
struct Axis {
    spans: Vec<Range<usize>>,
    weights: Vec<f32>,
}

impl Axis {
    /// Output pixel `i` lies at `start + (i + 1/2) * scale` of `source` pixels.
    fn aim(
        &mut self,
        source: usize,
        start: f64,
        scale: f64,
        outputs: usize,
        filter: Interpolation,
    ) {
        let widening = scale.max(1.0);
        let support = filter.support() * widening;
        self.spans.clear();
        self.weights.clear();
        for output in 0..outputs {
            let center = start + (output as f64 + 0.5) * scale;
            let first = (center - support + 0.5) as usize;
            let span = first..((center + support + 0.5) as usize).min(source);
            let weight = |pixel: usize| filter.weight((pixel as f64 + 0.5 - center) / widening);
            let before = self.weights.len();
            self.weights.extend(span.clone().map(|pixel| weight(pixel) as f32));
            let weights = &mut self.weights[before..];
            let total: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= total);
            self.spans.push(span);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[f32])> {
        let mut rest = self.weights.as_slice();
        self.spans.iter().map(move |span| {
            let (weights, tail) = rest.split_at(span.len());
            rest = tail;
            (span.clone(), weights)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILTERS: [Interpolation; 3] =
        [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos];

    fn resize(
        plane: &[u8],
        from: (usize, usize),
        to: (usize, usize),
        by: Interpolation,
    ) -> Vec<u8> {
        let window = CropBox { top: 0, left: 0, height: from.0, width: from.1 };
        let (mut resampler, mut out) = (Resampler::default(), vec![0; to.0 * to.1]);
        resampler.aim(window, Region::whole(window), to, by);
        resampler.render(plane, from.1, window, &mut out);
        out
    }

    #[test]
    fn halving_by_a_tent_weighs_the_inner_pixels_three_times() {
        // Sources half a pixel from an output's middle weigh 3/4, those 3/2 from it 1/4: of the
        // middle output's weights (1 + 3 + 3 + 1) / 4, pixel 2 has 3/4; the first output's are
        // (3 + 3 + 1) / 4, as its left neighbor does not exist, and pixel 2 has 1/4.
        let got = resize(&[0, 0, 80, 0, 0, 0], (1, 6), (1, 3), Interpolation::Bilinear);
        assert_eq!(got, [80 / 7, 80 * 3 / 8, 0]);
    }

    #[test]
    fn doubling_by_a_cubic_overshoots_beside_an_edge() {
        let got = resize(&[100, 100, 100, 200, 200, 200], (1, 6), (1, 12), Interpolation::Bicubic);
        assert_eq!(got, [100, 100, 100, 98, 93, 120, 180, 207, 202, 200, 200, 200]);
    }

    #[test]
    fn filters_are_one_at_their_middle_and_zero_at_other_pixels() {
        for filter in FILTERS {
            assert_eq!(filter.weight(0.0), 1.0);
            for offset in [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0] {
                assert!(filter.weight(offset).abs() < 1e-12, "{filter:?} at {offset}");
            }
        }
    }

    #[test]
    fn a_reused_resampler_keeps_nothing_of_the_last_image() {
        let mut resampler = Resampler::default();
        let mut show = |side: usize, to: usize| {
            let window = CropBox { top: 0, left: 0, height: side, width: side };
            let plane: Vec<u8> = (0..side * side).map(|i| (i * 31 % 256) as u8).collect();
            let mut out = vec![0; to * to];
            resampler.aim(window, Region::whole(window), (to, to), Interpolation::Bicubic);
            resampler.render(&plane, side, window, &mut out);
            out
        };
        let first = show(9, 5);
        show(40, 23);
        assert_eq!(show(9, 5), first);
    }

    proptest! {
        #[test]
        fn a_flat_image_stays_flat(
            from in (1usize..50, 1usize..50), to in (1usize..50, 1usize..50), level in any::<u8>(),
        ) {
            for filter in FILTERS {
                let got = resize(&vec![level; from.0 * from.1], from, to, filter);
                prop_assert!(got.iter().all(|value| *value == level));
            }
        }

        #[test]
        fn resizing_the_transpose_is_transposing_the_resize(seed in any::<u8>()) {
            let value = |y: usize, x: usize| (y * 3 + x * 2) as u8 + seed % 100;
            let plane: Vec<u8> = (0..63).map(|i| value(i / 9, i % 9)).collect();
            let flipped: Vec<u8> = (0..63).map(|i| value(i % 7, i / 7)).collect();
            let got = resize(&plane, (7, 9), (5, 4), Interpolation::Bicubic);
            let other = resize(&flipped, (9, 7), (4, 5), Interpolation::Bicubic);
            for index in 0..20 {
                prop_assert!(got[index].abs_diff(other[index % 4 * 5 + index / 4]) <= 1);
            }
        }
    }
}
