//! What the tasks that choose one of several answers share.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Int, Tensor};

use super::TaskOutput;

/// Cross-entropy of `logits` `[choices, answers]` with the right answers `[choices]`, and as the
/// metric `accuracy` the share of choices whose largest logit is the right one.
pub(crate) fn choose(logits: Tensor<2>, right: Tensor<1, Int>) -> TaskOutput {
    let chosen = logits.clone().without_autodiff().argmax(1).squeeze_dim::<1>(1);
    let accuracy = chosen.equal(right.clone()).float().mean();
    let loss = CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, right);
    TaskOutput { metrics: vec![("accuracy", accuracy)], ..loss.into() }
}

/// The loss of giving `answers` answers the same probability each.
pub(crate) fn guessing(answers: usize, device: &Device) -> Tensor<1> {
    Tensor::from_floats([(answers as f32).ln()], device)
}
