//! What the tasks that choose one of several answers share.

use burn::tensor::{Device, Int, Tensor};

use super::Measured;
use crate::kernel;

/// Cross-entropy of `logits` `[choices, answers]` with the right answers `[choices]`.
pub(crate) fn choose(logits: Tensor<2>, right: Tensor<1, Int>) -> Tensor<1> {
    kernel::cross_entropy(logits, right).mean()
}

/// The loss of [`choose`], and as the metric `accuracy` the share of choices whose largest logit is
/// the right one.
pub(crate) fn measure_choice(logits: Tensor<2>, right: Tensor<1, Int>) -> Measured {
    let chosen = logits.clone().without_autodiff().argmax(1).squeeze_dim::<1>(1);
    let accuracy = chosen.equal(right.clone()).float().mean();
    Measured::new(choose(logits, right), [("accuracy", accuracy)])
}

/// The loss of giving `answers` answers the same probability each.
pub(crate) fn guessing(answers: usize, device: &Device) -> Tensor<1> {
    Tensor::from_floats([(answers as f32).ln()], device)
}
