//! LiDAR.

use crate::error::{Error, Result};
use crate::eval::Features;
use crate::train::{Symmetric, effective_rank, eigenvalues};

/// LiDAR (Thilak et al. 2023, arXiv 2312.04000 §4): how many directions tell images apart, compared
/// with how much features of one image differ from view to view, from 1 to the width. It is exp of
/// the entropy of the eigenvalues of Σw^-½ Σb Σw^-½, each divided by their sum, where Σb is the
/// covariance of the images' means and Σw that of the views around their image's mean. Labels are
/// not read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lidar {
    /// What is added to the diagonal of Σw.
    pub delta: f64,
    /// What is added to every share.
    pub epsilon: f64,
}

impl Default for Lidar {
    /// 1e-4 and 1e-8, the numbers of published implementations.
    fn default() -> Self {
        Self { delta: 1e-4, epsilon: 1e-8 }
    }
}

impl Lidar {
    /// LiDAR of the features of several views of the same images, in the same order. The paper
    /// takes 1000 images in 50 views each.
    ///
    /// # Errors
    ///
    /// When there are fewer than two views or images, views are of different numbers of images or
    /// features, or a number is not finite.
    pub fn of(&self, views: &[Features]) -> Result<f64> {
        let shape = |view: &Features| view.values.dims();
        let [images, width] = views.first().map(shape).unwrap_or_default();
        if views.len() < 2 || images < 2 {
            return Err(Error::config(format!(
                "LiDAR compares at least 2 views of at least 2 images, got {} of {images}",
                views.len()
            )));
        }
        if let Some(other) = views.iter().map(shape).find(|&other| other != [images, width]) {
            return Err(Error::config(format!(
                "views of {images} images by {width} features and of {} by {}",
                other[0], other[1]
            )));
        }
        let numbers = |view: &Features| view.values.to_data().iter::<f64>().collect();
        let views: Vec<Vec<f64>> = views.iter().map(numbers).collect();
        if !views.iter().flatten().all(|value| value.is_finite()) {
            return Err(Error::config("LiDAR of features that are not finite"));
        }
        let (between, mut within) = scatter(&views, images, width);
        (0..width).for_each(|i| within.values[i * width + i] += self.delta);
        let spectrum = eigenvalues(whitened(between, &factor(within)));
        let spectrum: Vec<f64> = spectrum.into_iter().map(|value| value.max(0.0)).collect();
        Ok(effective_rank(&spectrum, self.epsilon))
    }
}

/// The unbiased covariances of the images' means, and of the views around them.
fn scatter(views: &[Vec<f64>], images: usize, width: usize) -> (Symmetric, Symmetric) {
    let count = views.len() as f64;
    let mean: Vec<f64> = (0..images * width)
        .map(|i| views.iter().map(|view| view[i]).sum::<f64>() / count)
        .collect();
    let center: Vec<f64> = (0..width)
        .map(|j| mean.iter().skip(j).step_by(width).sum::<f64>() / images as f64)
        .collect();
    let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let (mut between, mut within) = (Symmetric::zeros(width), Symmetric::zeros(width));
    for (image, mean) in mean.chunks_exact(width).enumerate() {
        between.add_outer(&less(mean, &center));
        for view in views {
            within.add_outer(&less(&view[image * width..(image + 1) * width], mean));
        }
    }
    let images = images as f64;
    (between.divided_by(images - 1.0), within.divided_by(images * (count - 1.0)))
}

/// The lower triangle L with L Lᵀ = `matrix`, which is positive definite (Cholesky).
fn factor(matrix: Symmetric) -> Symmetric {
    let Symmetric { side, values: mut a } = matrix;
    for row in 0..side {
        for column in 0..=row {
            let dot: f64 = (0..column).map(|k| a[row * side + k] * a[column * side + k]).sum();
            let rest = a[row * side + column] - dot;
            a[row * side + column] = if row == column {
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / a[column * side + column]
            };
        }
    }
    Symmetric { side, values: a }
}

/// L⁻¹ `matrix` L⁻ᵀ, which has the eigenvalues of (L Lᵀ)^-½ `matrix` (L Lᵀ)^-½.
fn whitened(matrix: Symmetric, lower: &Symmetric) -> Symmetric {
    let side = matrix.side;
    // Solving twice, with a transposition between: of a symmetric matrix, columns are rows.
    let mut rows = matrix.values;
    for _ in 0..2 {
        for row in rows.chunks_exact_mut(side) {
            for i in 0..side {
                let known = &lower.values[i * side..i * side + i];
                let dot: f64 = known.iter().zip(&*row).map(|(l, x)| l * x).sum();
                row[i] = (row[i] - dot) / lower.values[i * side + i];
            }
        }
        rows = (0..side * side).map(|i| rows[i % side * side + i / side]).collect();
    }
    Symmetric { side, values: rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Tensor, TensorData};

    fn view(images: usize, width: usize, value: impl Fn(usize, usize) -> f32) -> Features {
        let values: Vec<f32> = (0..images * width).map(|i| value(i / width, i % width)).collect();
        let values = TensorData::new(values, [images, width]);
        Features::new(Tensor::from_data(values, &test_device()), vec![0; images], 1).unwrap()
    }

    fn lidar(views: &[Features]) -> f64 {
        Lidar::default().of(views).unwrap()
    }

    #[test]
    fn directions_that_tell_images_apart_count_and_those_that_views_change_do_not() {
        // Images at ±1 on each of 4 axes, which no view changes: four equal eigenvalues.
        let corner = |image: usize, axis: usize| {
            let sign = if image.is_multiple_of(2) { 1.0 } else { -1.0 };
            if image / 2 == axis { sign } else { 0.0 }
        };
        let same = [view(8, 4, corner), view(8, 4, corner)];
        assert!((lidar(&same) - 4.0).abs() < 1e-4, "{}", lidar(&same));
        // Views that differ by ±10 along the diagonal of two axes drown this one direction.
        let noisy = [10.0, -10.0].map(|noise| {
            view(8, 4, move |image, axis| corner(image, axis) + if axis < 2 { noise } else { 0.0 })
        });
        assert!((lidar(&noisy) - 3.0).abs() < 1e-3, "{}", lidar(&noisy));
        // All images on a line.
        let line = |image: usize, axis: usize| (image as f32 - 3.5) * (axis as f32 + 1.0);
        let line = [view(8, 4, line), view(8, 4, line)];
        assert!((lidar(&line) - 1.0).abs() < 1e-3, "{}", lidar(&line));
    }

    #[test]
    fn shares_follow_the_variance_between_images_over_that_within() {
        // Axis 0: between 4/3, within 1/3 + δ; axis 1: between 16/3, within 16/3 + δ.
        let corners = [[1.0, 2.0], [1.0, -2.0], [-1.0, 2.0], [-1.0, -2.0]];
        let sides = [[0.5, 2.0], [0.5, -2.0], [-0.5, 2.0], [-0.5, -2.0]];
        let views =
            sides.map(|side| view(4, 2, move |image, axis| corners[image][axis] + side[axis]));
        let rank = |ratios: [f64; 2]| {
            let sum = ratios[0] + ratios[1];
            (-ratios.iter().map(|ratio| ratio / sum * (ratio / sum).ln()).sum::<f64>()).exp()
        };
        let found = Lidar { delta: 1.0, epsilon: 0.0 }.of(&views).unwrap();
        assert!((found - rank([1.0, 16.0 / 19.0])).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_rank_is_that_of_numpys_eigenvalues_of_correlated_views() {
        // v, i, j = numpy.indices((3, 10, 4))
        // x = numpy.sin(i * 1.7 + i * j * 0.9) + 0.2 * numpy.cos(v * 2.1 + i * j * 1.1 + v * j)
        // m = x.mean(0); c = m - m.mean(0); w = (x - m).reshape(-1, 4)
        // a, q = numpy.linalg.eigh(w.T @ w / 20 + 1e-4 * numpy.eye(4)); h = q / a**0.5 @ q.T
        // l = numpy.linalg.eigvalsh(h @ (c.T @ c / 9) @ h); p = l / l.sum() + 1e-8
        // numpy.exp(-(p * numpy.log(p)).sum())
        let views = [0usize, 1, 2].map(|v| {
            view(10, 4, move |i, j| {
                let image = (i as f32 * 1.7 + (i * j) as f32 * 0.9).sin();
                image + 0.2 * (v as f32 * 2.1 + (i * j) as f32 * 1.1 + (v * j) as f32).cos()
            })
        });
        assert!((lidar(&views) - 3.087548).abs() < 1e-3, "{}", lidar(&views));
    }

    #[test]
    fn views_that_cannot_be_compared_are_refused() {
        let message = |views: &[Features]| Lidar::default().of(views).unwrap_err().to_string();
        let of = |images, width| view(images, width, |_, _| 1.0);
        assert!(message(&[]).ends_with("got 0 of 0"));
        assert!(message(&[of(3, 2)]).ends_with("got 1 of 3"));
        assert!(message(&[of(3, 2), of(3, 4)]).ends_with("by 2 features and of 3 by 4"));
        let bad = view(3, 2, |_, _| f32::NAN);
        assert!(message(&[bad.clone(), bad]).ends_with("not finite"));
    }
}
