//! Vectors of length 1.

use burn::tensor::{DType, Tensor};

/// The square of the length below which a vector has no direction.
const SHORTEST: f64 = 1e-24;

/// The same in half precision: its smallest number above 0.
const SHORTEST_HALF: f64 = 1.0 / (1 << 24) as f64;

/// Vectors along `axis` divided by their lengths. One that is shorter than 1e-12 (2⁻¹² in half
/// precision) has no direction and stays as it is.
///
/// Gradients are finite for any vector, also for zeros: the root of a sum of squares has none there,
/// and 0 times infinity is not a number, so the root must not be taken of what is about to be
/// replaced.
pub(crate) fn unit<const D: usize>(vectors: Tensor<D>, axis: usize) -> Tensor<D> {
    let square = vectors.clone().square().sum_dim(axis);
    let shortest = if vectors.dtype() == DType::F16 { SHORTEST_HALF } else { SHORTEST };
    let short = square.clone().lower_elem(shortest);
    vectors / square.mask_fill(short, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::FloatDType;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().try_into_vec_as().unwrap()
    }

    #[test]
    fn vectors_along_any_axis_have_length_one_and_zeros_stay_zeros() {
        let vectors = Tensor::<2>::from_floats([[3.0, 0.0], [-4.0, 0.0]], &test_device());
        assert_eq!(
            values(unit(vectors.clone(), 0)),
            [3.0f32 / 5.0, 0.0, -4.0 / 5.0, 0.0].map(f64::from)
        );
        assert_eq!(values(unit(vectors, 1)), [1.0, 0.0, -1.0, 0.0]);
    }

    #[test]
    fn half_precision_has_zeros_too() {
        for dtype in [FloatDType::F16, FloatDType::BF16, FloatDType::F64] {
            let vectors = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, -0.5]], &test_device());
            let vectors = vectors.cast(dtype).autodiff().require_grad();
            let units = unit(vectors.clone(), 1);
            let gradients = units.clone().sum().backward();
            assert_eq!(values(units), [0.0, 0.0, 0.0, -1.0], "{dtype:?}");
            let gradient = values(vectors.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|value| value.is_finite()), "{dtype:?} {gradient:?}");
        }
    }

    #[test]
    fn the_gradient_is_what_small_moves_change_and_finite_at_zero() {
        let weights = || Tensor::<2>::from_floats([[2.0, -1.0, 0.5]], &test_device());
        let sum = |vector: [f64; 3]| {
            let vector = Tensor::<1>::from_data(vector, (&test_device(), DType::F64));
            values(unit(vector.unsqueeze::<2>(), 1) * weights().cast(FloatDType::F64))
                .iter()
                .sum::<f64>()
        };
        let gradient = |vector: [f32; 3]| {
            let vector = Tensor::<1>::from_floats(vector, &test_device()).unsqueeze::<2>();
            let vector = vector.autodiff().require_grad();
            let loss = (unit(vector.clone(), 1) * weights().autodiff()).sum();
            values(vector.grad(&loss.backward()).unwrap())
        };
        let at = [0.3f32, -1.2, 0.7];
        for (axis, slope) in gradient(at).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut vector = at.map(f64::from);
                vector[axis] += by;
                sum(vector)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - difference).abs() < 1e-5, "{axis}: {slope} {difference}");
        }
        assert_eq!(gradient([0.0; 3]), [2.0, -1.0, 0.5]);
    }
}
