//! RankMe.

use crate::eval::Features;

/// RankMe (Garrido et al. 2023, arXiv 2210.02885 §3.1): the effective rank of the matrix of all
/// features, from 1, where all vectors are multiples of one, to the width or the number of vectors,
/// whichever is smaller. It is exp of the entropy of the singular values, each divided by their sum,
/// with 1e-7 added. Labels are not read.
///
/// A mean that all vectors share counts as one direction, as in the paper, which subtracts none.
pub fn rank_me(features: &Features) -> f64 {
    crate::train::rank_me(&features.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Tensor, TensorData};

    fn rank(rows: usize, width: usize, value: impl Fn(usize, usize) -> f32) -> f64 {
        let values: Vec<f32> = (0..rows * width).map(|i| value(i / width, i % width)).collect();
        let values = TensorData::new(values, [rows, width]);
        let values = Tensor::from_data(values, &test_device());
        rank_me(&Features::new(values, vec![0; rows], 1).unwrap())
    }

    #[test]
    fn equal_axes_all_count_and_multiples_of_one_vector_count_once() {
        let axes = rank(12, 6, |row, column| if row % 6 == column { 2.5 } else { 0.0 });
        assert!((axes - 6.0).abs() < 1e-4, "{axes}");
        let one = rank(9, 6, |row, column| (row as f32 - 3.5) * (column as f32 + 1.0));
        assert!((one - 1.0).abs() < 1e-3, "{one}");
        // Fewer vectors than features.
        let few = rank(3, 6, |row, column| f32::from(row == column));
        assert!((few - 3.0).abs() < 1e-4, "{few}");
    }

    #[test]
    fn the_rank_is_that_of_singular_values() {
        // Singular values 4, 2 and 2: shares 1/2, 1/4 and 1/4.
        let found =
            rank(3, 3, |row, column| if row == column { [4.0, 2.0, 2.0][row] } else { 0.0 });
        assert!((found - 2.0f64.powf(1.5)).abs() < 1e-4, "{found}");
    }

    #[test]
    fn a_full_matrix_has_the_rank_of_numpys_singular_values() {
        // i, j = numpy.indices((20, 5)); z = numpy.sin(i * 1.3 + i * j * 0.7) + 0.1 * j
        // s = numpy.linalg.svd(z, compute_uv=False); p = s / s.sum() + 1e-7
        // numpy.exp(-(p * numpy.log(p)).sum())
        let found =
            rank(20, 5, |i, j| (i as f32 * 1.3 + (i * j) as f32 * 0.7).sin() + 0.1 * j as f32);
        assert!((found - 4.933525).abs() < 1e-3, "{found}");
    }
}
