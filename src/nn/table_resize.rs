//! Tables of offsets for another window.

use burn::tensor::ops::InterpolateMode;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::antialias::mixed;
use super::position::{interpolated, resize_table};
use crate::grid::Grid;

/// How a table of relative positions is read for a window of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableResize {
    /// As an image: bicubically, every offset stretched alike.
    Bicubic,
    /// The same, bilinearly (transformers' BEiT).
    Bilinear,
    /// By splines through offsets that grow farther apart as a geometric series, so that near ones
    /// hardly move and the farthest becomes the new farthest (SimMIM's and BEiT's official code).
    /// Windows of less than 3 have too few offsets for a spline, and are read bicubically.
    Geometric,
}

/// A table over the offsets within `from`, for the offsets within `to`.
///
/// # Shapes
///
/// - table: `[(2·rows − 1)·(2·cols − 1), heads]`
/// - output: the same, of `to`
pub(crate) fn resize_offsets(
    table: Tensor<2>,
    from: Grid,
    to: Grid,
    resize: TableResize,
) -> Tensor<2> {
    let offsets = |grid: Grid| Grid::new(2 * grid.rows - 1, 2 * grid.cols - 1);
    let (old, new) = (offsets(from), offsets(to));
    if resize == TableResize::Bilinear {
        return interpolated(table, old, new, InterpolateMode::Bilinear);
    }
    if resize == TableResize::Bicubic || from.rows.min(from.cols) < 3 {
        return resize_table(table, old, new);
    }
    let device = table.device();
    let rows = geometric(old.rows, new.rows, &device);
    let cols = geometric(old.cols, new.cols, &device);
    mixed(table, old, rows, cols)
}

/// The weights of `from` offsets along one axis at each of `to`, `[to, from]`.
fn geometric(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let known = geometric_offsets(from, to);
    let half = (to / 2) as i64;
    let wanted: Vec<f64> = (-half..=half).map(|offset| offset as f64).collect();
    let weights = spline_weights(&known, &wanted);
    let data = TensorData::new(weights.into_iter().map(|w| w as f32).collect(), [to, from]);
    Tensor::from_data(data, device)
}

/// Where the old offsets lie among the new ones: 0, and on both sides sums of a geometric series
/// whose ratio, found by bisection, takes the farthest to the new farthest.
fn geometric_offsets(from: usize, to: usize) -> Vec<f64> {
    let terms = (from / 2) as i32;
    let (mut low, mut high) = (1.01f64, 1.5f64);
    let mut ratio = high;
    while high - low > 1e-6 {
        ratio = (low + high) / 2.0;
        let farthest = (1.0 - ratio.powi(terms)) / (1.0 - ratio);
        if farthest > (to / 2) as f64 { high = ratio } else { low = ratio }
    }
    let offset = |n: i32| (0..n).map(|term| ratio.powi(term)).sum::<f64>();
    (-terms..=terms).map(|n| offset(n.abs()) * f64::from(n.signum())).collect()
}

/// The weight of each of at least 4 ascending `knots`' values in the value, at each of `points`, of
/// the cubic spline through them: third derivatives do not jump at the second knot and the one
/// before the last. Points beyond the ends have the values of the ends. `[points, knots]`
fn spline_weights(knots: &[f64], points: &[f64]) -> Vec<f64> {
    let last = knots.len() - 1;
    let curvature = curvatures(knots);
    let mut weights = Vec::with_capacity(points.len() * knots.len());
    for point in points {
        let x = point.clamp(knots[0], knots[last]);
        let right = knots.iter().position(|&knot| knot >= x).unwrap_or(last).max(1);
        let (left, step) = (right - 1, knots[right] - knots[right - 1]);
        let (a, b) = ((knots[right] - x) / step, (x - knots[right - 1]) / step);
        let bend = |share: f64| (share.powi(3) - share) * step * step / 6.0;
        weights.extend((0..=last).map(|knot| {
            let line = if knot == left { a } else { 0.0 } + if knot == right { b } else { 0.0 };
            line + bend(a) * curvature[left][knot] + bend(b) * curvature[right][knot]
        }));
    }
    weights
}

/// The second derivative at each knot (row) per value at each knot (column).
fn curvatures(knots: &[f64]) -> Vec<Vec<f64>> {
    let count = knots.len();
    let step = |i: usize| knots[i + 1] - knots[i];
    let (mut system, mut values) = (vec![vec![0.0; count]; count], vec![vec![0.0; count]; count]);
    for i in 1..count - 1 {
        let (before, after) = (step(i - 1), step(i));
        system[i][i - 1..=i + 1].copy_from_slice(&[before, 2.0 * (before + after), after]);
        let slopes = [6.0 / before, -6.0 / before - 6.0 / after, 6.0 / after];
        values[i][i - 1..=i + 1].copy_from_slice(&slopes);
    }
    for (row, first) in [(0, 0), (count - 1, count - 3)] {
        let (before, after) = (step(first), step(first + 1));
        system[row][first..first + 3].copy_from_slice(&[after, -before - after, before]);
    }
    solve(system, values)
}

/// The solution of `system` · x = `values` for several right-hand sides, by elimination.
fn solve(mut system: Vec<Vec<f64>>, mut values: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let count = system.len();
    for column in 0..count {
        let largest =
            |&a: &usize, &b: &usize| system[a][column].abs().total_cmp(&system[b][column].abs());
        let pivot = (column..count).max_by(largest).unwrap_or(column);
        system.swap(column, pivot);
        values.swap(column, pivot);
        let scale = 1.0 / system[column][column];
        system[column].iter_mut().chain(&mut values[column]).for_each(|value| *value *= scale);
        let (row, right) = (system[column].clone(), values[column].clone());
        for other in (0..count).filter(|&other| other != column) {
            let factor = system[other][column];
            let subtract = |target: &mut Vec<f64>, from: &[f64]| {
                target.iter_mut().zip(from).for_each(|(value, by)| *value -= factor * by);
            };
            subtract(&mut system[other], &row);
            subtract(&mut values[other], &right);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn sines(window: usize) -> Tensor<2> {
        let count = (2 * window - 1).pow(2);
        let values: Vec<f32> = (0..count).map(|i| (i as f32).sin()).collect();
        Tensor::from_data(TensorData::new(values, [count, 1]), &test_device())
    }

    fn resized(from: usize, to: usize) -> Vec<f32> {
        let (from_grid, to_grid) = (Grid::square(from), Grid::square(to));
        let table = resize_offsets(sines(from), from_grid, to_grid, TableResize::Geometric);
        table.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn geometric_resizing_is_that_of_the_official_code() {
        // The first values of scipy's RectBivariateSpline(x, x, sines, s=0) at whole offsets, x as
        // SimMIM's utils.py finds it, for tables of 5×5 to 7×7, 7×7 to 5×5 and 13×13 to 23×23.
        let expected: [(usize, usize, &[f32]); 3] = [
            (3, 4, &[0.0, 0.275677, 0.841471, 0.909297, 0.14112, -0.67059, -0.756802, -0.495875]),
            (4, 3, &[0.986175, 0.405623, -0.549867, -0.999812, -0.538581, 0.642491, -0.287903]),
            (7, 12, &[8e-6, 0.303629, 0.606532, 0.85369, 0.990076, 0.960665, 0.71585, 0.263958]),
        ];
        for (from, to, values) in expected {
            let got = resized(from, to);
            assert_eq!(got.len(), (2 * to - 1).pow(2));
            for (got, want) in got.iter().zip(values) {
                assert!((got - want).abs() < 2e-6, "{from} to {to}: {got} {want}");
            }
        }
    }

    #[test]
    fn a_spline_reproduces_a_cubic() {
        let cubic = |x: f64| x.powi(3) - 2.0 * x * x + 0.5 * x - 3.0;
        let (knots, points) = ([-2.0, -0.5, 0.0, 1.5, 4.0], [-1.7, 0.3, 2.2, 4.0]);
        for (point, weights) in points.iter().zip(spline_weights(&knots, &points).chunks(5)) {
            let value: f64 = weights.iter().zip(knots).map(|(w, knot)| w * cubic(knot)).sum();
            assert!((value - cubic(*point)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_same_window_keeps_its_table_and_small_ones_are_stretched() {
        for resize in [TableResize::Bicubic, TableResize::Geometric] {
            let table = resize_offsets(sines(2), Grid::square(2), Grid::square(4), resize);
            assert_eq!(table.dims(), [49, 1]);
        }
        let same = resize_offsets(sines(4), Grid::square(4), Grid::square(4), TableResize::Bicubic);
        same.into_data().assert_approx_eq::<f32>(
            &sines(4).into_data(),
            burn::tensor::Tolerance::absolute(1e-6),
        );
    }
}
