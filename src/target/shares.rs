//! How often ids occur.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Stands for a share of 0 where its logarithm is taken.
const LEAST: f64 = 1e-9;

/// How often each of the ids below `count` is among `ids`: `[count]`. As whole numbers, so that a
/// float's precision does not end the count.
pub(crate) fn counts<const D: usize>(ids: Tensor<D, Int>, count: usize) -> Tensor<1, Int> {
    let total = ids.dims().iter().product::<usize>();
    let (device, ids) = (ids.device(), ids.reshape([total]));
    let ones = Tensor::<1, Int>::ones([total], &device);
    let counts = Tensor::<1, Int>::zeros([count], &device);
    counts.select_assign(0, ids, ones, IndexingUpdateOp::Add)
}

/// The same as shares of all ids.
pub(crate) fn shares<const D: usize>(ids: Tensor<D, Int>, count: usize) -> Tensor<1> {
    let total = ids.dims().iter().product::<usize>();
    counts(ids, count).float() / total as f64
}

/// The logarithms of shares, of 0 too.
pub(crate) fn log_shares(shares: Tensor<1>) -> Tensor<1> {
    shares.clamp_min(LEAST).log()
}

/// −Σ p ln p of shares, in nats.
pub(crate) fn entropy(shares: Tensor<1>) -> Tensor<1> {
    (shares.clone() * log_shares(shares)).sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn ids() -> Tensor<2, Int> {
        Tensor::from_ints([[0, 3, 0, 1], [0, 1, 0, 3]], &test_device())
    }

    #[test]
    fn shares_are_counts_over_all_ids() {
        let shares: Vec<f32> = shares(ids(), 5).into_data().try_to_vec().unwrap();
        assert_eq!(shares, [0.5, 0.25, 0.0, 0.25, 0.0]);
    }

    #[test]
    fn the_entropy_of_halves_and_quarters_is_one_and_a_half_bits() {
        let nats: f32 = entropy(shares(ids(), 5)).into_scalar();
        assert!((nats - 1.5 * std::f32::consts::LN_2).abs() < 1e-6, "{nats}");
        let one = Tensor::from_floats([0.0, 1.0], &test_device());
        assert_eq!(entropy(one).into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn its_gradient_is_finite_where_a_share_is_zero() {
        let shares = Tensor::<1>::from_floats([0.0, 0.5, 0.5], &test_device());
        let shares = shares.autodiff().require_grad();
        let gradient = shares.grad(&entropy(shares.clone()).backward()).unwrap().into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite), "{gradient}");
    }
}
