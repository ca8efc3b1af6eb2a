//! Classification by the most similar training samples.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Features;
use super::linear::Standardizer;
use crate::error::{Error, Result, ensure};
use crate::nn::unit;

/// How many similarities are computed at once.
const BLOCK: usize = 1 << 24;

/// Weighted k-nearest-neighbor classification on cosine similarity (Wu et al. 2018, arXiv
/// 1805.01978 §3.4): every neighbor votes for its class with exp(similarity / temperature).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knn {
    /// How many neighbors vote; there is one result for each of these numbers. A number above the
    /// number of training samples stands for all of them.
    pub neighbors: Vec<usize>,
    /// How fast the weight of a vote falls with the distance of its neighbor.
    pub temperature: f64,
    /// Whether features are standardized first: each one to mean 0 and deviation 1 over the training
    /// samples, so that none decides by its scale.
    #[serde(default)]
    pub standardized: bool,
}

/// A training sample near a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// The place of the neighbor among the training samples.
    pub index: usize,
    /// The cosine of the angle between the neighbor and the query.
    pub similarity: f32,
}

impl Default for Knn {
    /// The temperature 0.07 with 20 neighbors (as in arXiv 2104.14294 §4), and with 5, 10, 50 and
    /// 200, on features as they are.
    fn default() -> Self {
        Self { neighbors: vec![20, 5, 10, 50, 200], temperature: 0.07, standardized: false }
    }
}

impl Knn {
    /// The name of the setting with `count` neighbors among `samples` training samples.
    pub(crate) fn setting(&self, count: usize, samples: usize) -> String {
        let all =
            if count > samples { format!(", all {samples} there are") } else { String::new() };
        let standardized = if self.standardized { ", standardized" } else { "" };
        format!("k = {count}{all}{standardized}")
    }

    /// The votes for each class, `[queries, classes]`, for each number of neighbors.
    ///
    /// # Errors
    ///
    /// When no number of neighbors is given or one is 0, the temperature is not positive, or the
    /// vectors are of different widths.
    pub fn scores(&self, train: &Features, queries: &Features) -> Result<Vec<Tensor<2>>> {
        if self.neighbors.is_empty() || self.neighbors.contains(&0) {
            return Err(Error::config(format!(
                "k-NN needs numbers of neighbors of at least 1, got {:?}",
                self.neighbors
            )));
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::config(format!(
                "the temperature of k-NN must be above 0, got {}",
                self.temperature
            )));
        }
        let most = self.neighbors.iter().copied().max().expect("there is one");
        let nearest = if self.standardized {
            let [train, queries] = standardized(train, queries)?;
            nearest(&train, &queries, most)?
        } else {
            nearest(train, queries, most)?
        };
        let votes = |count: usize| {
            let mut votes = vec![0.0f32; queries.len() * train.classes];
            for (row, found) in votes.chunks_exact_mut(train.classes).zip(&nearest) {
                // Weights are relative to the nearest neighbor's, so that none overflows.
                let top = found[0].similarity;
                for &Neighbor { index, similarity } in found.iter().take(count) {
                    let weight = (f64::from(similarity - top) / self.temperature).exp();
                    row[train.labels[index]] += weight as f32;
                }
            }
            let votes = TensorData::new(votes, [queries.len(), train.classes]);
            Tensor::from_data(votes, &queries.device())
        };
        Ok(self.neighbors.iter().map(|&count| votes(count)).collect())
    }
}

/// Both with the mean and the deviation of the training samples.
fn standardized(train: &Features, queries: &Features) -> Result<[Features; 2]> {
    same_width(train, queries)?;
    let standardizer = Standardizer::of(train);
    let of = |features: &Features| Features {
        values: standardizer.apply(features.values.clone()),
        ..features.clone()
    };
    Ok([of(train), of(queries)])
}

fn same_width(train: &Features, queries: &Features) -> Result<()> {
    ensure!(
        train.width() == queries.width(),
        "queries of {} features among samples of {}",
        queries.width(),
        train.width()
    );
    Ok(())
}

/// The `count` training samples most similar to each query, the most similar first (of equally
/// similar ones the earlier sample first); all samples if there are fewer.
///
/// Similarities are matrix products of a block of queries with all training samples.
///
/// # Errors
///
/// When the vectors are of different widths.
pub fn nearest(train: &Features, queries: &Features, count: usize) -> Result<Vec<Vec<Neighbor>>> {
    same_width(train, queries)?;
    let samples = unit(train.values.clone(), 1).transpose();
    let queries = unit(queries.values.clone(), 1);
    let mut found = Vec::with_capacity(queries.dims()[0]);
    for block in queries.split((BLOCK / train.len()).max(1), 0) {
        let similarities = block.matmul(samples.clone()).into_data();
        let similarities: Vec<f32> = similarities.iter().collect();
        found.extend(similarities.chunks_exact(train.len()).map(|row| largest(row, count)));
    }
    Ok(found)
}

/// The `count` largest values of a row in descending order; of equal values the earlier one comes
/// first.
fn largest(row: &[f32], count: usize) -> Vec<Neighbor> {
    let mut best: Vec<Neighbor> = Vec::with_capacity(count.min(row.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (index, &similarity) in row.iter().enumerate() {
        if best.len() == count && similarity <= least {
            continue;
        }
        let place = best.partition_point(|other| other.similarity >= similarity);
        best.insert(place, Neighbor { index, similarity });
        best.truncate(count);
        if best.len() == count {
            least = best[count - 1].similarity;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn features<const N: usize>(values: [[f32; 2]; N], labels: [usize; N]) -> Features {
        Features::new(Tensor::from_floats(values, &test_device()), labels.to_vec(), 2).unwrap()
    }

    #[test]
    fn more_neighbors_than_there_are_say_so() {
        let mut knn = Knn::default();
        assert_eq!(knn.setting(20, 20), "k = 20");
        assert_eq!(knn.setting(20, 19), "k = 20, all 19 there are");
        knn.standardized = true;
        assert_eq!(knn.setting(5, 19), "k = 5, standardized");
    }

    #[test]
    fn neighbors_are_by_angle_and_the_first_of_equals_wins() {
        let row = [0.5, 0.9, 0.9, -1.0, 0.7];
        let places = |count| largest(&row, count).iter().map(|n| n.index).collect::<Vec<_>>();
        assert_eq!(places(3), [1, 2, 4]);
        assert_eq!(places(1), [1]);
        assert_eq!(places(9), [1, 2, 4, 0, 3]);
        let train = features([[10.0, 0.0], [0.1, 0.1], [0.0, 2.0]], [0, 1, 1]);
        let found = nearest(&train, &features([[3.0, 2.9]], [0]), 2).unwrap();
        assert_eq!(found[0].iter().map(|n| n.index).collect::<Vec<_>>(), [1, 0]);
        assert!((found[0][0].similarity - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_vote_weighs_less_the_further_it_is() {
        // Cosines with [1, 0]: 1, 0.8, 0.8.
        let train = features([[2.0, 0.0], [4.0, 3.0], [4.0, -3.0]], [0, 1, 1]);
        let query = features([[1.0, 0.0]], [0]);
        let knn = |temperature| Knn { neighbors: vec![1, 3], temperature, standardized: false };
        let scores = |temperature| -> Vec<Vec<f32>> {
            let scores = knn(temperature).scores(&train, &query).unwrap();
            scores.into_iter().map(|s| s.into_data().try_to_vec().unwrap()).collect()
        };
        let close = |a: &[f32], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(&scores(0.1)[0], [1.0, 0.0]));
        let weight = (-2.0f32).exp();
        assert!(close(&scores(0.1)[1], [1.0, 2.0 * weight]), "{:?}", scores(0.1));
        let weight = (-0.2f32).exp();
        assert!(close(&scores(1.0)[1], [1.0, 2.0 * weight]), "{:?}", scores(1.0));
    }

    #[test]
    fn standardized_features_weigh_alike() {
        // Means (101, 1), deviations (1, 1): the samples become the corners (±1, ±1), and the query
        // (0.5, −1): nearest to (1, −1), while all cosines of the features themselves are about 1.
        let train = [[100.0, 0.0], [102.0, 0.0], [100.0, 2.0], [102.0, 2.0]];
        let train = features(train, [0, 1, 0, 0]);
        let query = features([[101.5, 0.0]], [1]);
        let knn = Knn { neighbors: vec![1, 2], standardized: true, ..Knn::default() };
        let scores: Vec<Vec<f32>> = (knn.scores(&train, &query).unwrap().into_iter())
            .map(|votes| votes.into_data().try_to_vec().unwrap())
            .collect();
        assert_eq!(scores[0], [0.0, 1.0]);
        // Cosines 1.5 / √2.5 and 0.5 / √2.5.
        let weight = (-1.0f32 / 2.5f32.sqrt() / 0.07).exp();
        assert!((scores[1][0] - weight).abs() < 1e-5 && scores[1][1] == 1.0, "{scores:?}");
    }

    #[test]
    fn what_makes_no_vote_is_refused() {
        let train = features([[1.0, 0.0]], [0]);
        let message = |knn: Knn| knn.scores(&train, &train).unwrap_err().to_string();
        assert!(message(Knn { neighbors: vec![], ..Knn::default() }).ends_with("got []"));
        assert!(message(Knn { neighbors: vec![0], ..Knn::default() }).ends_with("got [0]"));
        assert!(message(Knn { temperature: 0.0, ..Knn::default() }).ends_with("above 0, got 0"));
        let wide = Features::new(Tensor::zeros([1, 3], &test_device()), vec![0], 2).unwrap();
        assert!(nearest(&train, &wide, 1).unwrap_err().to_string().contains("of 3 features"));
    }
}
