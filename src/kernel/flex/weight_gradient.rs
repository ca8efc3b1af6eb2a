//! The gradient of a weight, summed over the rows of a batch.

use rayon::prelude::*;

use super::matrix::{Matrix, Output, multiply};
use super::tiles::total;

/// Rows and columns that are turned over at a time, so that both sides stay in a core's cache.
const BLOCK: usize = 32;

/// The sum of xᵀ · gradient over some of the rows.
///
/// A product is fastest with the longer of its two sides along the rows of what it is added to:
/// where a weight has more inputs than outputs, its gradient is summed up turned over.
#[derive(Debug)]
pub(super) struct WeightGradient {
    sum: Vec<f32>,
    inputs: usize,
    outputs: usize,
    empty: bool,
}

impl WeightGradient {
    /// The sum over no rows, for a weight of `inputs` × `outputs`.
    pub(super) fn new(inputs: usize, outputs: usize) -> Self {
        Self { sum: vec![0.0; inputs * outputs], inputs, outputs, empty: true }
    }

    /// Adds that of more rows, `x` of the inputs and `gradient` of the outputs.
    pub(super) fn add(&mut self, x: Matrix, gradient: Matrix) {
        let (left, right, columns) = match self.turned() {
            true => (gradient, x, self.inputs),
            false => (x, gradient, self.outputs),
        };
        let sum = Output::dense(&mut self.sum, columns);
        let sum = if std::mem::take(&mut self.empty) { sum } else { sum.added() };
        multiply(sum, 1.0, left.transposed(), right);
    }

    /// The sum over all rows, `[inputs, outputs]`.
    pub(super) fn total(parts: Vec<Self>) -> Vec<f32> {
        let inputs = parts[0].inputs;
        let turned = parts[0].turned();
        let sum = total(parts.into_iter().map(|part| part.sum).collect());
        if turned { turn(&sum, inputs) } else { sum }
    }

    fn turned(&self) -> bool {
        self.inputs > self.outputs
    }
}

/// Rows of `columns` values as columns.
fn turn(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let mut turned = vec![0.0; values.len()];
    turned.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(index, turned)| {
        for first in (0..rows).step_by(BLOCK) {
            for (column, turned) in turned.chunks_exact_mut(rows).enumerate() {
                let column = index * BLOCK + column;
                for row in first..rows.min(first + BLOCK) {
                    turned[row] = values[row * columns + column];
                }
            }
        }
    });
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_product_whichever_side_is_longer() {
        for (inputs, outputs) in [(2, 3), (3, 2), (70, 1), (1, 70)] {
            let x: Vec<f32> = (0..6 * inputs).map(|i| (i % 5) as f32).collect();
            let gradient: Vec<f32> = (0..6 * outputs).map(|i| (i % 7) as f32 - 3.0).collect();
            let part = |rows: [std::ops::Range<usize>; 2]| {
                let mut part = WeightGradient::new(inputs, outputs);
                for rows in rows {
                    let x = &x[rows.start * inputs..rows.end * inputs];
                    let gradient = &gradient[rows.start * outputs..rows.end * outputs];
                    part.add(Matrix::dense(x, inputs), Matrix::dense(gradient, outputs));
                }
                part
            };
            let total = WeightGradient::total(vec![part([0..1, 1..3]), part([3..5, 5..6])]);
            for (place, total) in total.into_iter().enumerate() {
                let (input, output) = (place / outputs, place % outputs);
                let expected: f32 =
                    (0..6).map(|r| x[r * inputs + input] * gradient[r * outputs + output]).sum();
                assert_eq!(total, expected, "{inputs} {outputs} {place}");
            }
        }
    }

    #[test]
    fn turning_twice_is_nothing() {
        let values: Vec<f32> = (0..33 * 67).map(|value| value as f32).collect();
        let turned = turn(&values, 67);
        assert_eq!((turned[1], turned[33]), (67.0, 1.0));
        assert_eq!(turn(&turned, 33), values);
    }
}
