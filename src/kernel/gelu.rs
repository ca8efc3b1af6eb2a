//! The exact GELU, with its own gradient.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::Tensor;

/// x · Φ(x), with the error function and not its tanh approximation (arXiv 1606.08415).
///
/// burn's own `gelu` has these values too, but in 0.22.1 every backend but flex differentiates the
/// approximation instead, and gradients of whole layers are off by 5e-4.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let below = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
    x * below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn values_and_gradients_are_those_of_the_normal_distribution() {
        let x = Tensor::<1>::from_floats([-2.0, 0.5, 1.0], &test_device().autodiff());
        let x = x.require_grad();
        let y = gelu(x.clone());
        let gradient = x.grad(&y.clone().sum().backward()).unwrap();
        // x Φ(x), and Φ(x) + x φ(x), from tables of both.
        for (got, expected) in [
            (y, [-0.045_500_26, 0.345_731_23, 0.841_344_8]),
            (gradient.autodiff(), [-0.085_231_8, 0.867_495_1, 1.083_315_5]),
        ] {
            let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
            assert!(
                got.iter().zip(expected).all(|(a, b): (_, f32)| (a - b).abs() < 1e-6),
                "{got:?}"
            );
        }
    }
}
