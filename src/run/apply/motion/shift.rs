//! How far the whole picture moved from one frame to the next.

use super::plane::{Plane, median_size};

/// A move along x and y, in pixels.
pub(in crate::run::apply) type Shift = (f32, f32);

/// The shorter side of the smallest planes that are looked at, in pixels.
const SMALLEST: usize = 12;

/// The most pixels that are looked at: larger frames are halved until they have no more.
const MOST: usize = 160 * 120;

/// How far the smallest planes are moved to begin with, as a share of a side: 1 / 4.
const REACH: usize = 4;

/// What a difference of brightness counts at most in the search, so that what moves by itself does
/// not outweigh the rest.
const WORST: f32 = 0.1;

/// How often the shift is brought nearer to the best, and the step that is small enough to stop at.
const STEPS: usize = 8;
const NEAR: f32 = 0.003;

/// A frame's brightness at several sizes, each half as large as the one before.
#[derive(Debug)]
pub(super) struct Pyramid {
    levels: Vec<Plane>,
    /// Pixels of the frame along one of the first level.
    scale: usize,
}

impl Pyramid {
    /// Of the brightness of a frame.
    pub(super) fn new(mut plane: Plane) -> Self {
        let mut scale = 1;
        while plane.width * plane.height > MOST {
            (plane, scale) = (plane.halved(), scale * 2);
        }
        let mut levels = vec![plane];
        while let Some(last) = levels.last()
            && last.width.min(last.height) >= 2 * SMALLEST
        {
            levels.push(last.halved());
        }
        Self { levels, scale }
    }

    /// Where what is at (x, y) of `self` is in `before`, as the difference of the two places, for the
    /// most of the picture that moves as one.
    pub(super) fn shift_in(&self, before: &Self) -> Shift {
        let mut best = (0, 0);
        for (level, (now, then)) in self.levels.iter().zip(&before.levels).enumerate().rev() {
            let reach = match level + 1 == self.levels.len() {
                true => now.width.min(now.height) / REACH,
                false => 1,
            } as isize;
            let around = (-reach..=reach).flat_map(|y| (-reach..=reach).map(move |x| (x, y)));
            let start = (best.0 * 2, best.1 * 2);
            let places = around.map(|(x, y)| (start.0 + x, start.1 + y));
            // What is nearer to the start is preferred where nothing tells two places apart.
            let cost = |&(x, y): &(isize, isize)| {
                let far = ((x - start.0).abs() + (y - start.1).abs()) as f32;
                now.difference(then, x, y, WORST) + 1e-5 * far
            };
            let costs = places.map(|place| (cost(&place), place));
            best = costs.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(start, |(_, place)| place);
        }
        let (x, y) = nearer(&self.levels[0], &before.levels[0], (best.0 as f32, best.1 as f32));
        (x * self.scale as f32, y * self.scale as f32)
    }
}

/// The shift next to `start` at which the planes differ least, in fractions of a pixel: Gauss-Newton
/// steps (Lucas and Kanade 1981) in which pixels that fit badly count little (Tukey's biweight).
fn nearer(now: &Plane, then: &Plane, start: Shift) -> Shift {
    let mut shift = start;
    let mut residuals = Vec::with_capacity(now.values.len());
    for _ in 0..STEPS {
        residuals.clear();
        let rows = now.rows_within(shift.1);
        let cols = now.columns_within(shift.0);
        for y in rows {
            for x in cols.clone() {
                let (value, slope) = then.at(x as f32 + shift.0, y as f32 + shift.1);
                residuals.push((now.values[y * now.width + x] - value, slope));
            }
        }
        let Some(deviation) = deviation(&residuals) else { return start };
        let (mut xx, mut xy, mut yy, mut xr, mut yr) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for &(residual, (x, y)) in &residuals {
            let share = 1.0 - (residual / deviation).powi(2);
            if share > 0.0 {
                let weight = f64::from(share * share);
                let (x, y, residual) = (f64::from(x), f64::from(y), f64::from(residual));
                xx += weight * x * x;
                xy += weight * x * y;
                yy += weight * y * y;
                xr += weight * x * residual;
                yr += weight * y * residual;
            }
        }
        // Where there is no texture to hold on to, nothing moves.
        let least = 1e-6 * residuals.len() as f64;
        let (xx, yy) = (xx + least, yy + least);
        let determinant = xx * yy - xy * xy;
        let step = ((yy * xr - xy * yr) / determinant, (xx * yr - xy * xr) / determinant);
        let step = (step.0.clamp(-0.5, 0.5) as f32, step.1.clamp(-0.5, 0.5) as f32);
        shift = (shift.0 + step.0, shift.1 + step.1);
        // It was to be refined: what is further away is another place.
        if (shift.0 - start.0).abs() > 1.5 || (shift.1 - start.1).abs() > 1.5 {
            return start;
        }
        if step.0.abs().max(step.1.abs()) < NEAR {
            break;
        }
    }
    shift
}

/// Where the biweight ends: 4.685 deviations, of a normal distribution with the median of the
/// residuals. `None` without residuals.
fn deviation(residuals: &[(f32, Shift)]) -> Option<f32> {
    let median = median_size(residuals.iter().map(|(residual, _)| *residual))?;
    Some((4.685 * 1.4826 * median).max(0.01))
}
