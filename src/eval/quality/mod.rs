//! How much of their room features use: judged without labels.

mod eigenvalues;
mod lidar;
mod rank_me;

pub use lidar::Lidar;
pub use rank_me::rank_me;

/// exp of the entropy of `spectrum` divided by its sum, with `epsilon` added to every share: how
/// many of its numbers count. 0 where all are 0.
fn effective_rank(spectrum: &[f64], epsilon: f64) -> f64 {
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
struct Symmetric {
    side: usize,
    values: Vec<f64>,
}

impl Symmetric {
    fn zeros(side: usize) -> Self {
        Self { side, values: vec![0.0; side * side] }
    }

    /// Adds the product of a row with itself.
    fn add_outer(&mut self, row: &[f64]) {
        for (values, &a) in self.values.chunks_exact_mut(self.side).zip(row) {
            for (value, &b) in values.iter_mut().zip(row) {
                *value += a * b;
            }
        }
    }

    /// Divides all numbers.
    fn divided_by(mut self, divisor: f64) -> Self {
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
