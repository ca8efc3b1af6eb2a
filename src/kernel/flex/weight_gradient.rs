//! The gradient of a weight, which is a sum over the rows of a batch.

use super::matrix::{Matrix, Output, multiply};
use super::tiles::by_tiles;

/// xᵀ · gradient, `[inputs, outputs]`, from rows `x` of the inputs and `gradient` of the outputs.
///
/// The work is split by inputs, not by rows: each thread sums over all rows, so no partial sums as
/// large as the weight must be cleared, written and added up.
pub(super) fn weight_gradient(
    x: &[f32],
    gradient: &[f32],
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let (x, gradient) = (Matrix::dense(x, inputs), Matrix::dense(gradient, outputs));
    let start = vec![0.0; outputs];
    let ([sum], _) = by_tiles(inputs, block(inputs), [&start], |first, [sum]| {
        let x = x.some_columns(first, sum.len() / outputs);
        multiply(Output::dense(sum, outputs), 1.0, x.transposed(), gradient);
    });
    sum
}

/// The number of inputs in a block. It depends on the sizes of the weight alone, since a product of
/// another size may sum in another order.
fn block(inputs: usize) -> usize {
    let count = inputs.div_ceil(192).next_multiple_of(2).min(8);
    inputs.div_ceil(count).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_product_whatever_the_sizes() {
        for (inputs, outputs) in [(1, 1), (2, 3), (3, 2), (400, 1), (1, 70), (193, 5)] {
            let x: Vec<f32> = (0..6 * inputs).map(|i| (i % 5) as f32).collect();
            let gradient: Vec<f32> = (0..6 * outputs).map(|i| (i % 7) as f32 - 3.0).collect();
            let sum = weight_gradient(&x, &gradient, [inputs, outputs]);
            assert_eq!(sum.len(), inputs * outputs);
            for (place, sum) in sum.into_iter().enumerate() {
                let (input, output) = (place / outputs, place % outputs);
                let expected: f32 =
                    (0..6).map(|r| x[r * inputs + input] * gradient[r * outputs + output]).sum();
                assert_eq!(sum, expected, "{inputs} {outputs} {place}");
            }
        }
    }

    #[test]
    fn blocks_are_few_and_even() {
        let blocks = |inputs: usize| inputs.div_ceil(block(inputs));
        assert_eq!([1, 64, 192, 384, 768, 3072].map(blocks), [1, 2, 2, 2, 4, 8]);
    }
}
