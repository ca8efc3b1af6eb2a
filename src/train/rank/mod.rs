//! How many directions the vectors of a matrix use.

mod eigenvalues;

use burn::tensor::Tensor;

pub(crate) use eigenvalues::eigenvalues;

/// What RankMe adds to every share, as in its paper.
const EPSILON: f64 = 1e-7;

/// RankMe (Garrido et al. 2023, arXiv 2210.02885 §3.1) of `vectors` `[vectors, width]`, in 64 bits on
/// the host; 0 of zeros.
pub(crate) fn rank_me(vectors: &Tensor<2>) -> f64 {
    let [count, width] = vectors.dims();
    // A matrix and its transpose have the same singular values but for zeros.
    let rows = if count < width { vectors.clone().transpose() } else { vectors.clone() };
    let side = count.min(width);
    let values: Vec<f64> = rows.into_data().iter::<f64>().collect();
    let mut products = Symmetric::zeros(side);
    values.chunks_exact(side.max(1)).for_each(|row| products.add_outer(row));
    let squares = eigenvalues(products).into_iter();
    let singular: Vec<f64> = squares.map(|square| square.max(0.0).sqrt()).collect();
    effective_rank(&singular, EPSILON)
}

/// exp of the entropy of `spectrum` divided by its sum, with `epsilon` added to every share: how
/// many of its numbers count. 0 where all are 0.
pub(crate) fn effective_rank(spectrum: &[f64], epsilon: f64) -> f64 {
    let sum: f64 = spectrum.iter().sum();
    if sum <= 0.0 {
        return 0.0;
    }
    let entropy = |value: &f64| {
        let share = value / sum + epsilon;
        -share * share.ln()
    };
    spectrum.iter().map(entropy).sum::<f64>().exp()
}

/// A square symmetric matrix in 64 bits, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Symmetric {
    pub(crate) side: usize,
    pub(crate) values: Vec<f64>,
}

impl Symmetric {
    pub(crate) fn zeros(side: usize) -> Self {
        Self { side, values: vec![0.0; side * side] }
    }

    /// Adds the product of a row with itself.
    pub(crate) fn add_outer(&mut self, row: &[f64]) {
        for (values, &a) in self.values.chunks_exact_mut(self.side).zip(row) {
            for (value, &b) in values.iter_mut().zip(row) {
                *value += a * b;
            }
        }
    }

    /// Divides all numbers.
    pub(crate) fn divided_by(mut self, divisor: f64) -> Self {
        self.values.iter_mut().for_each(|value| *value /= divisor);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_all_count_and_a_single_one_counts_as_one() {
        assert!((effective_rank(&[3.0; 5], 0.0) - 5.0).abs() < 1e-12);
        assert!((effective_rank(&[0.0, 2.0, 0.0], 1e-12) - 1.0).abs() < 1e-9);
        // Shares 1/2, 1/4, 1/4: an entropy of 1.5 ln 2.
        assert!((effective_rank(&[2.0, 1.0, 1.0], 0.0) - 2.0f64.powf(1.5)).abs() < 1e-12);
        assert_eq!(effective_rank(&[0.0; 3], 1e-7), 0.0);
    }
}
