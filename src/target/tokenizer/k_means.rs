//! k-means on the host: how palettes are made and codebooks start.

use rand::{Rng, RngExt};

use crate::error::{Error, Result};

/// Lloyd's algorithm from k-means++ seeds (Arthur & Vassilvitskii 2007).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KMeans {
    /// Centers.
    pub count: usize,
    /// Rounds of assigning rows and moving centers.
    pub rounds: usize,
    /// Whether centers are scaled to length 1 (for rows of length 1: cosine similarity).
    pub spherical: bool,
}

impl KMeans {
    /// The centers of `rows`, each of `width` values; a center that no row is nearest to moves to a
    /// random row.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows * width]`
    /// - output: `[count * width]`
    ///
    /// # Errors
    ///
    /// When there are fewer different rows than centers.
    ///
    /// # Panics
    ///
    /// When `width` is 0 or does not divide the values.
    pub fn fit(&self, rows: &[f32], width: usize, rng: &mut dyn Rng) -> Result<Vec<f32>> {
        assert!(
            width > 0 && rows.len().is_multiple_of(width),
            "{} values cannot be cut into rows of {width}",
            rows.len()
        );
        let mut centers = self.seeds(rows, width, rng)?;
        for _ in 0..self.rounds {
            self.move_centers(rows, width, &mut centers, rng);
        }
        Ok(centers)
    }

    /// The mean squared distance of a row from the nearest of `centers`.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows * width]`
    /// - centers: `[centers * width]`
    pub fn distortion(rows: &[f32], width: usize, centers: &[f32]) -> f32 {
        let distance = |row| {
            let nearest = nearest_center(row, centers);
            squared_distance(row, &centers[nearest * width..][..width])
        };
        let count = (rows.len() / width) as f32;
        rows.chunks_exact(width).map(distance).sum::<f32>() / count
    }

    /// Rows far from one another: each is drawn with the square of its distance to those before it
    /// as its weight.
    fn seeds(&self, rows: &[f32], width: usize, rng: &mut dyn Rng) -> Result<Vec<f32>> {
        let all: Vec<_> = rows.chunks_exact(width).collect();
        let mut centers: Vec<f32> = Vec::with_capacity(self.count * width);
        let mut nearest = vec![f32::INFINITY; all.len()];
        for found in 0..self.count {
            let chosen = if found == 0 && !all.is_empty() {
                Some(rng.random_range(0..all.len()))
            } else {
                draw_by_weight(&nearest, rng)
            };
            let Some(chosen) = chosen else {
                return Err(Error::config(format!(
                    "{} clusters cannot be found among {} rows of which {found} differ",
                    self.count,
                    all.len()
                )));
            };
            centers.extend_from_slice(all[chosen]);
            for (nearest, row) in nearest.iter_mut().zip(&all) {
                *nearest = nearest.min(squared_distance(row, all[chosen]));
            }
        }
        Ok(centers)
    }

    fn move_centers(&self, rows: &[f32], width: usize, centers: &mut [f32], rng: &mut dyn Rng) {
        let mut sums = vec![0.0; centers.len()];
        let mut counts = vec![0usize; self.count];
        for row in rows.chunks_exact(width) {
            let center = nearest_center(row, centers);
            counts[center] += 1;
            for (sum, value) in sums[center * width..][..width].iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let all = rows.len() / width;
        let parts = centers.chunks_exact_mut(width).zip(sums.chunks_exact(width));
        for ((center, sum), count) in parts.zip(counts) {
            if count == 0 {
                center.copy_from_slice(&rows[rng.random_range(0..all) * width..][..width]);
                continue;
            }
            let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            let divisor = if self.spherical { length.max(1e-12) } else { count as f64 };
            for (value, sum) in center.iter_mut().zip(sum) {
                *value = (sum / divisor) as f32;
            }
        }
    }
}

/// The center nearest to `row`, the first of equals.
fn nearest_center(row: &[f32], centers: &[f32]) -> usize {
    let mut best = (f32::INFINITY, 0);
    for (index, center) in centers.chunks_exact(row.len()).enumerate() {
        let distance = squared_distance(row, center);
        if distance < best.0 {
            best = (distance, index);
        }
    }
    best.1
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// An index with a probability proportional to its weight; `None` when all weights are 0.
fn draw_by_weight(weights: &[f32], rng: &mut dyn Rng) -> Option<usize> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for (index, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = Some(index);
        left -= f64::from(weight);
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const PLAIN: KMeans = KMeans { count: 3, rounds: 10, spherical: false };

    /// Three clouds of nine points in a plane, around (0, 0), (10, 0) and (0, 10).
    fn clouds() -> Vec<f32> {
        let offsets = [-1.0, 0.0, 1.0];
        let mut rows = Vec::new();
        for center in [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]] {
            for (dx, dy) in offsets.iter().flat_map(|x| offsets.iter().map(move |y| (x, y))) {
                rows.extend([center[0] + dx, center[1] + dy]);
            }
        }
        rows
    }

    #[test]
    fn centers_of_clouds_are_their_means_for_any_seed() {
        for seed in 0..10 {
            let rng = &mut stream(seed, Purpose::Weights, 0, 0);
            let centers = PLAIN.fit(&clouds(), 2, rng).unwrap();
            let mut centers: Vec<_> = centers.chunks(2).map(|c| [c[0], c[1]]).collect();
            centers.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(centers, [[0.0, 0.0], [0.0, 10.0], [10.0, 0.0]], "seed {seed}");
        }
    }

    #[test]
    fn distortion_is_the_mean_squared_distance_from_the_nearest_center() {
        // 0 and 1 from the first center, 4 from the second.
        let distortion = KMeans::distortion(&[0.0, 1.0, 12.0], 1, &[0.0, 10.0]);
        assert!((distortion - 5.0 / 3.0).abs() < 1e-6, "{distortion}");
    }

    #[test]
    fn spherical_centers_have_length_one() {
        let rows = [1.0f32, 0.0, 0.8, 0.6, 0.0, -1.0];
        let spherical = KMeans { count: 2, rounds: 5, spherical: true };
        let rng = &mut stream(0, Purpose::Weights, 0, 0);
        let centers = spherical.fit(&rows, 2, rng).unwrap();
        for center in centers.chunks(2) {
            assert!((center[0].hypot(center[1]) - 1.0).abs() < 1e-6, "{center:?}");
        }
    }

    #[test]
    fn too_few_different_rows_are_an_error_with_the_counts() {
        let rng = &mut stream(0, Purpose::Weights, 0, 0);
        let message = PLAIN.fit(&[1.0, 1.0, 2.0, 2.0], 1, rng).unwrap_err().to_string();
        assert!(message.contains("3 clusters") && message.contains("2 differ"), "{message}");
        let message = PLAIN.fit(&[], 1, rng).unwrap_err().to_string();
        assert!(message.contains("0 rows"), "{message}");
    }

    #[test]
    fn the_same_seed_gives_the_same_centers() {
        let fit = |seed| PLAIN.fit(&clouds(), 2, &mut stream(seed, Purpose::Weights, 0, 0));
        assert_eq!(fit(3).unwrap(), fit(3).unwrap());
    }

    #[test]
    fn the_distortion_is_the_mean_squared_distance_of_rows_from_their_nearest_center() {
        // Squared distances 0, 1 and 4 from (0, 0), (3, 0) and (3, 0).
        let rows = [0.0, 0.0, 3.0, 1.0, 5.0, 0.0];
        let distortion = KMeans::distortion(&rows, 2, &[0.0, 0.0, 3.0, 0.0]);
        assert!((distortion - 5.0 / 3.0).abs() < 1e-6, "{distortion}");
    }
}
