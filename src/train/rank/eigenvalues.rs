//! Eigenvalues of symmetric matrices.

use super::Symmetric;

/// The eigenvalues of `matrix`, the largest first: Householder's reduction to three diagonals, then
/// implicit QL steps (Golub & Van Loan, Matrix Computations, §8.3).
pub(crate) fn eigenvalues(matrix: Symmetric) -> Vec<f64> {
    let (mut diagonal, beside) = tridiagonal(matrix);
    implicit_ql(&mut diagonal, beside);
    diagonal.sort_by(|a, b| b.total_cmp(a));
    diagonal
}

/// The diagonal and the diagonal below it, which begins with a 0, of a matrix with the same
/// eigenvalues whose other numbers are all 0.
fn tridiagonal(matrix: Symmetric) -> (Vec<f64>, Vec<f64>) {
    let Symmetric { side, values: mut a } = matrix;
    let mut beside = vec![0.0; side];
    for row in (1..side).rev() {
        let below = &a[row * side..row * side + row];
        let norm = below.iter().map(|x| x * x).sum::<f64>().sqrt();
        if below[..row - 1].iter().all(|&x| x == 0.0) || norm == 0.0 {
            beside[row] = below[row - 1];
            continue;
        }
        // The reflection along `u` turns the row into (0, ..., 0, ∓norm).
        let mut u = below.to_vec();
        let signed = norm.copysign(u[row - 1]);
        u[row - 1] += signed;
        beside[row] = -signed;
        let half = u.iter().map(|x| x * x).sum::<f64>() / 2.0;
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let mut p: Vec<f64> =
            (0..row).map(|i| dot(&a[i * side..i * side + row], &u) / half).collect();
        let k = dot(&u, &p) / (2.0 * half);
        p.iter_mut().zip(&u).for_each(|(p, u)| *p -= k * u);
        for i in 0..row {
            for j in 0..row {
                a[i * side + j] -= u[i] * p[j] + p[i] * u[j];
            }
        }
    }
    ((0..side).map(|i| a[i * side + i]).collect(), beside)
}

/// Turns the diagonal of a matrix of three diagonals into its eigenvalues.
fn implicit_ql(d: &mut [f64], mut e: Vec<f64>) {
    e.rotate_left(1);
    for first in 0..d.len() {
        // Each eigenvalue takes two or three steps.
        for _ in 0..60 {
            let small = |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[*m + 1].abs());
            let last = (first..d.len() - 1).find(small).unwrap_or(d.len() - 1);
            if last == first {
                break;
            }
            let g = (d[first + 1] - d[first]) / (2.0 * e[first]);
            let shift = d[last] - d[first] + e[first] / (g + g.hypot(1.0).copysign(g));
            ql_step(&mut d[first..=last], &mut e[first..=last], shift);
        }
    }
}

/// One implicit QL step of a block from its last row up; `g` is its last diagonal number less the
/// shift.
fn ql_step(d: &mut [f64], e: &mut [f64], mut g: f64) {
    let last = d.len() - 1;
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (0..last).rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let r = f.hypot(g);
        e[i + 1] = r;
        if r == 0.0 {
            d[i + 1] -= p;
            e[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = d[i + 1] - p;
        let r = (d[i] - g) * sine + 2.0 * cosine * b;
        p = sine * r;
        d[i + 1] = g + p;
        g = cosine * r - b;
    }
    d[0] -= p;
    e[0] = g;
    e[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(matrix: &[f64], expected: &[f64]) {
        let side = expected.len();
        let found = eigenvalues(Symmetric { side, values: matrix.to_vec() });
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn small_matrices_have_the_eigenvalues_of_the_textbook() {
        check(&[7.0], &[7.0]);
        check(&[2.0, 1.0, 1.0, 2.0], &[3.0, 1.0]);
        // The second difference of three points: 2 − 2 cos(k π / 4).
        let root = 2.0f64.sqrt();
        check(&[2.0, -1.0, 0.0, -1.0, 2.0, -1.0, 0.0, -1.0, 2.0], &[2.0 + root, 2.0, 2.0 - root]);
        check(&[0.0; 16], &[0.0; 4]);
        check(&[1.0, 0.0, 0.0, 0.0, -5.0, 0.0, 0.0, 0.0, 3.0], &[3.0, 1.0, -5.0]);
    }

    #[test]
    fn a_matrix_of_ones_plus_a_diagonal_has_one_large_eigenvalue() {
        // J + 2 I of side 40: 42 once, 2 otherwise.
        let side = 40;
        let mut matrix = vec![1.0; side * side];
        (0..side).for_each(|i| matrix[i * side + i] += 2.0);
        let mut expected = vec![2.0; side];
        expected[0] = 42.0;
        check(&matrix, &expected);
    }

    #[test]
    fn a_hilbert_matrix_keeps_trace_and_squares() {
        let side = 12;
        let matrix: Vec<f64> =
            (0..side * side).map(|i| 1.0 / (i / side + i % side + 1) as f64).collect();
        let trace: f64 = (0..side).map(|i| matrix[i * side + i]).sum();
        let squares: f64 = matrix.iter().map(|x| x * x).sum();
        let found = eigenvalues(Symmetric { side, values: matrix });
        assert!((found.iter().sum::<f64>() - trace).abs() < 1e-12);
        assert!((found.iter().map(|x| x * x).sum::<f64>() - squares).abs() < 1e-12);
        // numpy.linalg.eigvalsh(scipy.linalg.hilbert(12))[-1]
        assert!((found[0] - 1.7953720595620001).abs() < 1e-12, "{}", found[0]);
    }
}
