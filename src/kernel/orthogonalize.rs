//! The nearest orthogonal matrices, nearly.

use burn::tensor::{Tensor, assert_shape};

/// Coefficients of a step of Newton–Schulz (Jordan 2024, <https://kellerjordan.github.io/posts/muon/>).
const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];
/// How many steps there are.
const STEPS: usize = 5;
/// What a matrix is divided by at least.
const EPSILON: f32 = 1e-7;

/// Matrices whose singular values are between about 0.7 and 1.2, with the singular vectors of
/// `matrices`: each is divided by its Frobenius norm, and goes five times through
/// a X + (b A + c A²) X with A = X Xᵀ and the coefficients 3.4445, −4.775 and 2.0315.
///
/// # Shapes
///
/// - matrices: `[count, rows, columns]`
/// - output: the same
pub fn orthogonalize(matrices: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&matrices) && !matrices.device().is_autodiff()) {
        use super::flex::OrthogonalizeKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_orthogonalize(
            matrices.into_dispatch(),
            COEFFICIENTS,
            STEPS,
            EPSILON,
        ));
    }
    orthogonalize_composed(matrices)
}

/// [`orthogonalize`] as burn composes it.
pub fn orthogonalize_composed(matrices: Tensor<3>) -> Tensor<3> {
    let [count, rows, columns] = matrices.dims();
    let [a, b, c] = COEFFICIENTS;
    let tall = rows > columns;
    let turned = |x: Tensor<3>| if tall { x.swap_dims(1, 2) } else { x };
    let x = turned(matrices);
    let norm = x.clone().square().sum_dim(1).sum_dim(2).sqrt().clamp_min(EPSILON);
    assert_shape!(norm, [count, 1, 1]);
    let steps = (0..STEPS).fold(x / norm, |x, _| {
        let product = x.clone().matmul(x.clone().swap_dims(1, 2));
        let factor = product.clone() * b + product.clone().matmul(product) * c;
        x.clone() * a + factor.matmul(x)
    });
    turned(steps)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{FloatDType, Tolerance};

    use super::*;
    use crate::kernel::compare::normal;
    use crate::test_device;

    fn matrices(shape: [usize; 3]) -> Tensor<3> {
        normal(3, shape.iter().product()).reshape(shape)
    }

    #[test]
    fn the_kernel_does_what_the_composition_does_in_double_precision() {
        for shape in [[1, 1, 1], [1, 3, 7], [3, 64, 64], [2, 40, 200], [1, 200, 40]] {
            let exact = orthogonalize_composed(matrices(shape).cast(FloatDType::F64));
            let got = orthogonalize(matrices(shape)).cast(FloatDType::F64).into_data();
            got.assert_approx_eq::<f64>(&exact.into_data(), Tolerance::absolute(2e-5));
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let zeros = Tensor::<3>::zeros([2, 3, 4], &test_device());
        orthogonalize(zeros.clone()).into_data().assert_eq(&zeros.into_data(), true);
    }

    #[test]
    fn bits_are_the_same_on_any_number_of_threads() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| orthogonalize(matrices([3, 96, 160])).into_data())
        };
        on(1).assert_eq(&on(3), true);
    }
}
