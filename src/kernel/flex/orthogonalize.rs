//! Newton–Schulz steps of several matrices at once.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};
use rayon::prelude::*;

use super::buffer::{dense, dims, like, tensor, values};
use super::matrix::{Matrix, Output, multiply};
use super::simd::{dot, vectorized};
use super::tiles::by_tiles;

/// How many rows of a product one thread computes.
const ROWS: usize = 64;

#[backend_extension(Flex)]
pub(crate) trait OrthogonalizeKernel: Backend {
    fn mim_orthogonalize(
        matrices: FloatTensor<Self>,
        coefficients: [f32; 3],
        steps: usize,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

impl OrthogonalizeKernel for Flex {
    fn mim_orthogonalize(
        matrices: FlexTensor,
        coefficients: [f32; 3],
        steps: usize,
        epsilon: f32,
    ) -> FlexTensor {
        let matrices = dense(matrices);
        let [_, rows, columns] = dims(&matrices);
        let orthogonal = |mut matrix: Vec<f32>, columns| {
            divide_by_length(&mut matrix, epsilon);
            (0..steps).fold(matrix, |matrix, _| step(&matrix, columns, coefficients))
        };
        // Within one scope, so that the many small products need not wake the other threads anew.
        let results: Vec<_> = rayon::scope(|_| {
            let matrices = values(&matrices).par_chunks_exact(rows * columns);
            let results = matrices.map(|matrix| match rows > columns {
                true => transposed(&orthogonal(transposed(matrix, columns), rows), rows),
                false => orthogonal(matrix.to_vec(), columns),
            });
            results.collect()
        });
        tensor(results.concat(), like(&matrices, columns))
    }
}

/// One step of the matrix `x` of `columns` columns and not more rows.
fn step(x: &[f32], columns: usize, [a, b, c]: [f32; 3]) -> Vec<f32> {
    let rows = x.len() / columns;
    let square = product(x, Matrix::dense(x, columns).transposed(), |_, _| ());
    // b A + c A² + a, times which X is the next one.
    let factor = product(&square, Matrix::dense(&square, rows), |first, sums| {
        let own = &square[first * rows..][..sums.len()];
        for (sum, own) in sums.iter_mut().zip(own) {
            *sum = c * *sum + b * own;
        }
        for (row, at) in sums.chunks_exact_mut(rows).zip(first..) {
            row[at] += a;
        }
    });
    product(&factor, Matrix::dense(x, columns), |_, _| ())
}

/// The product of `left`, which is dense, and `right`. Rows of it go through `then`, with the number
/// of the first one.
fn product(left: &[f32], right: Matrix, then: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let (inner, columns) = (right.rows, right.columns);
    let rows = left.len() / inner;
    let start = vec![0.0; columns];
    let ([output], _) = by_tiles(rows, ROWS, [&start], |first, [output]| {
        let left = &left[first * inner..][..output.len() / columns * inner];
        multiply(Output::dense(output, columns), 1.0, Matrix::dense(left, inner), right);
        then(first, output);
    });
    output
}

/// The transposed matrix of one with `columns` columns.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut turned = vec![];
    Matrix::dense(matrix, columns).turned(1, &mut turned);
    turned
}

vectorized! {
    /// Divides a matrix by its Frobenius norm, which counts as `least` at least.
    fn divide_by_length<A>(matrix: &mut [f32], least: f32) {
        let length = dot::<A>(matrix, matrix).sqrt().max(least);
        matrix.iter_mut().for_each(|value| *value /= length);
    }
}
