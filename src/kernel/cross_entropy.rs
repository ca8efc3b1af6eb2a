//! How unlikely scores make the answers that are right.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, assert_shape};

/// The negative logarithm of the probability that the softmax of each row of `logits` gives to its answer.
///
/// # Shapes
///
/// - logits: `[rows, answers]`
/// - right: `[rows]`, each below the number of answers
/// - output: `[rows]`
///
/// # Panics
///
/// When the shapes are not these, or there is no such answer.
pub fn cross_entropy(logits: Tensor<2>, right: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    assert_shape!(right, [rows]);
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&logits) && right.dtype() == burn::tensor::DType::I32) {
        use super::flex::CrossEntropyKernel;
        let (logits, right) = (logits.into_dispatch(), right.into_dispatch());
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_cross_entropy(logits, right));
    }
    cross_entropy_composed(logits, right)
}

/// [`cross_entropy`] as burn composes it.
pub fn cross_entropy_composed(logits: Tensor<2>, right: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, right.unsqueeze_dim(1)).squeeze_dim::<1>(1).neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradient_are_those_of_the_composition() {
        for (rows, answers) in [(1, 1), (3, 2), (7, 33), (1030, 5), (40, 600)] {
            let right = || {
                let ids: Vec<i32> = (0..rows).map(|row| (row * 7 % answers) as i32).collect();
                Tensor::<1, Int>::from_ints(ids.as_slice(), &crate::test_device())
            };
            let run = |judged: fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>| {
                move |[logits]: [Tensor<1>; 1]| judged(logits.reshape([rows, answers]), right())
            };
            compare(Case::new([&[rows, answers]]), run(cross_entropy), run(cross_entropy_composed));
        }
    }

    #[test]
    fn large_scores_have_finite_losses() {
        let logits = Tensor::<2>::from_floats([[1e4, -1e4], [-1e30, 0.0]], &crate::test_device());
        let right = Tensor::<1, Int>::from_ints([1, 1], &crate::test_device());
        let losses = cross_entropy(logits, right).into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(losses, [2e4, 0.0]);
    }
}
