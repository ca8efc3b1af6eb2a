//! What the tasks that tell images of a batch apart share.

use burn::tensor::{Int, Tensor};

use super::choose;
use crate::nn::unit;

/// The InfoNCE loss (van den Oord et al. 2018, arXiv 1807.03748): of all `candidates`, which is that
/// of each query? Both are `[batch, features]` and are compared by the cosine of their angle, divided
/// by `temperature`.
pub(crate) fn contrast(queries: Tensor<2>, candidates: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [count, _] = queries.dims();
    let logits = unit(queries, 1).matmul(unit(candidates, 1).transpose()) / temperature;
    let right = Tensor::<1, Int>::arange(0..count as i64, &logits.device());
    choose(logits, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn rows(rows: [[f32; 2]; 2]) -> Tensor<2> {
        Tensor::from_floats(rows, &test_device())
    }

    #[test]
    fn the_loss_of_two_right_angles_is_that_of_pencil_and_paper() {
        // Lengths do not count: both logits are 1 / 0.5 and 0, so the loss is ln(1 + e^-2).
        let loss = contrast(rows([[2.0, 0.0], [0.0, 1.0]]), rows([[5.0, 0.0], [0.0, 0.5]]), 0.5);
        let expected = (1.0 + (-2.0f32).exp()).ln();
        assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-6);
    }
}
