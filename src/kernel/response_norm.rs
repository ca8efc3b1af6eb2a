//! The GELU with the global response normalization after it.

use burn::tensor::{DType, Tensor, assert_shape};

use super::gelu;

/// Added to the mean response that a feature's own is divided by (arXiv 2301.00808, official code).
const EPSILON: f64 = 1e-6;

/// Added to a sum of squares before its root is taken: of a feature that is 0 everywhere the root has no
/// slope otherwise.
const TINY: f64 = 1e-30;

/// x + `gamma` · x · n + `beta` with x = GELU(`hidden`), and n = ‖x‖₂ over all tokens of a sample, over
/// its mean of all features plus 1e-6 (arXiv 2301.00808 §4). What is of half precision is computed in
/// f32.
///
/// # Shapes
///
/// - hidden: `[batch, tokens, width]`
/// - gamma, beta: `[width]`
/// - output: as `hidden`
///
/// # Panics
///
/// When the shapes are not these.
pub fn gelu_response_norm(hidden: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<3> {
    let [.., width] = hidden.dims();
    assert_shape!(gamma, [width]);
    assert_shape!(beta, [width]);
    let dtype = hidden.dtype();
    if matches!(dtype, DType::F16 | DType::BF16) {
        let [gamma, beta] = [gamma, beta].map(|parameter| parameter.cast(DType::F32));
        return gelu_response_norm(hidden.cast(DType::F32), gamma, beta).cast(dtype);
    }
    gelu_response_norm_composed(hidden, gamma, beta)
}

/// [`gelu_response_norm`] as burn composes it.
pub fn gelu_response_norm_composed(
    hidden: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
) -> Tensor<3> {
    let x = gelu(hidden);
    let response = (x.clone().square().sum_dim(1) + TINY).sqrt();
    let relative = response.clone() / (response.mean_dim(2) + EPSILON);
    x * (relative * gamma.unsqueeze() + 1.0) + beta.unsqueeze()
}
