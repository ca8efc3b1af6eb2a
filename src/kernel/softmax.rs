//! Probabilities from scores, and their logarithms.

use burn::tensor::{Tensor, activation};

/// The softmax of each row.
///
/// # Shapes
///
/// - scores, output: `[.., choices]`
pub fn softmax<const D: usize>(scores: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&scores)) {
        return fused(scores, false);
    }
    activation::softmax(scores, D - 1)
}

/// The logarithm of the softmax of each row.
///
/// # Shapes
///
/// - scores, output: `[.., choices]`
pub fn log_softmax<const D: usize>(scores: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&scores)) {
        return fused(scores, true);
    }
    activation::log_softmax(scores, D - 1)
}

#[cfg(feature = "flex")]
fn fused<const D: usize>(scores: Tensor<D>, logarithm: bool) -> Tensor<D> {
    use super::flex::SoftmaxKernel;
    let scores = scores.into_dispatch();
    Tensor::from_dispatch(burn::backend::Dispatch::mim_softmax(scores, logarithm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernels_and_their_gradients_are_those_of_burn() {
        for (rows, choices) in [(1, 1), (3, 2), (7, 33), (1030, 5), (40, 600)] {
            let rows_of = |x: Tensor<1>| x.reshape([1, rows, choices]);
            let case = Case::new([&[rows, choices]]);
            compare(
                case.clone(),
                |[x]| softmax(rows_of(x)).flatten(0, 2),
                |[x]| activation::softmax(rows_of(x), 2).flatten(0, 2),
            );
            compare(
                case,
                |[x]| log_softmax(rows_of(x)).flatten(0, 2),
                |[x]| activation::log_softmax(rows_of(x), 2).flatten(0, 2),
            );
        }
    }

    #[test]
    fn large_scores_have_finite_logarithms() {
        let scores = Tensor::<2>::from_floats([[1e4, -1e4]], &crate::test_device());
        let got = log_softmax(scores.clone()).into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(got, [0.0, -2e4]);
        let got = softmax(scores).into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(got, [1.0, 0.0]);
    }
}
