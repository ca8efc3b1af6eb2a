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
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&hidden) && super::fits(&gamma) && super::fits(&beta)) {
        use super::flex::ResponseNormKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_gelu_response_norm(
            hidden.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            EPSILON as f32,
            TINY as f32,
        ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (batch, tokens, width) in [(1, 1, 1), (3, 5, 7), (2, 70, 33), (9, 1, 40)] {
            let case = Case::new([&[batch, tokens, width], &[width], &[width]]);
            let hidden = |hidden: Tensor<1>| hidden.reshape([batch, tokens, width]);
            compare(
                case,
                |[x, gamma, beta]| gelu_response_norm(hidden(x), gamma, beta).flatten(0, 2),
                |[x, gamma, beta]| {
                    gelu_response_norm_composed(hidden(x), gamma, beta).flatten(0, 2)
                },
            );
        }
    }

    #[test]
    fn features_that_respond_more_than_the_others_are_enlarged() {
        let tensor = |values: [f32; 2]| Tensor::<1>::from_floats(values, &crate::test_device());
        // GELU(3) and GELU(-3) are 2.99595 and -0.00405: responses of 1.99730 and 0.00270 means.
        let hidden = tensor([3.0, -3.0]).reshape([1, 1, 2]);
        let got = gelu_response_norm(hidden, tensor([1.0, 1.0]), tensor([0.0, 0.5]));
        let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
        assert!((got[0] - 8.979_76).abs() < 1e-3 && (got[1] - 0.495_94).abs() < 1e-4, "{got:?}");
    }

    #[test]
    fn what_is_zero_everywhere_has_finite_gradients() {
        for dtype in [burn::tensor::FloatDType::F32, burn::tensor::FloatDType::F64] {
            let device = crate::test_device().autodiff();
            let hidden = Tensor::<3>::zeros([1, 3, 2], &device).cast(dtype).require_grad();
            let ones = Tensor::<1>::ones([2], &device).cast(dtype);
            let output = gelu_response_norm(hidden.clone(), ones.clone(), ones);
            let gradient = hidden.grad(&output.sum().backward()).unwrap();
            assert!(gradient.into_data().iter::<f64>().all(f64::is_finite));
        }
    }
}
