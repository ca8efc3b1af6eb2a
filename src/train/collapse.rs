//! Whether a network has come to say the same of all images.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, s};

use super::rank::rank_me;
use crate::error::{Result, ensure};
use crate::nn::unit;

/// Vectors of each name that a validation looks at: enough for ranks of usual widths, and a second's
/// work for the widest.
const VECTORS: usize = 1024;

/// Vectors with a smaller spread have collapsed: two of them have a cosine of more than 0.9975 on
/// average. Random weights give more than that to begin with, 0.15 and above.
const COLLAPSED: f64 = 0.05;

/// The first vectors of a validation, by name.
#[derive(Debug, Default)]
pub(super) struct Embeddings(BTreeMap<&'static str, Vec<Tensor<2>>>);

impl Embeddings {
    /// Adds those of a batch; they stay on their device.
    ///
    /// # Errors
    ///
    /// When vectors of one name are of two widths.
    pub(super) fn add(&mut self, embeddings: Vec<(&'static str, Tensor<2>)>) -> Result<()> {
        for (name, vectors) in embeddings {
            let parts = self.0.entry(name).or_default();
            let ([count, width], first) = (vectors.dims(), parts.first().map(Tensor::dims));
            let [_, known] = first.unwrap_or([0, width]);
            ensure!(
                width == known,
                "a task's embeddings {name} have {known} numbers in one batch and {width} in another"
            );
            let free = VECTORS - parts.iter().map(|part| part.dims()[0]).sum::<usize>();
            if free > 0 {
                parts.push(vectors.without_autodiff().slice(s![0..count.min(free), ..]));
            }
        }
        Ok(())
    }

    /// `NAME_spread` and `NAME_rank_me` of the vectors of each name, of which there are at least two,
    /// and the names of those that have collapsed.
    pub(super) fn judge(self) -> (BTreeMap<String, f64>, Vec<String>) {
        let (mut metrics, mut collapsed) = (BTreeMap::new(), Vec::new());
        for (name, parts) in self.0 {
            let vectors = Tensor::cat(parts, 0);
            if vectors.dims()[0] < 2 {
                continue;
            }
            let rank = rank_me(&vectors);
            let spread: f64 = spread(vectors).into_scalar();
            metrics.extend([(spread_of(name), spread), (format!("{name}_rank_me"), rank)]);
            if spread < COLLAPSED {
                collapsed.push(name.to_string());
            }
        }
        metrics.retain(|_, value| value.is_finite());
        (metrics, collapsed)
    }
}

/// The name of a spread among an epoch's metrics.
fn spread_of(name: &str) -> String {
    format!("{name}_spread")
}

/// What to tell of vectors that have `collapsed`, whose spreads are among `metrics`; `None` where
/// none have.
pub(super) fn told(collapsed: &[String], metrics: &BTreeMap<String, f64>) -> Option<String> {
    let spread = |name: &String| {
        let spread = metrics.get(&spread_of(name)).copied().unwrap_or_default();
        format!("{name} (spread {spread:.1e})")
    };
    let named: Vec<_> = collapsed.iter().map(spread).collect();
    (!named.is_empty()).then(|| {
        format!(
            "the run has collapsed: nearly the same for all images: {}. The loss says nothing now; a \
             teacher that moves more slowly or a lower learning rate may help",
            named.join(", ")
        )
    })
}

/// How far `vectors` `[vectors, width]` are from all pointing the same way: the mean over the width
/// of the standard deviation of the unit vectors, times √width. 0 for one direction, 1 for directions
/// spread evenly (SimSiam's measure of collapse, arXiv 2011.10566 Figure 2).
fn spread(vectors: Tensor<2>) -> Tensor<1> {
    let [_, width] = vectors.dims();
    let unit = unit(vectors, 1);
    let deviation = (unit.clone() - unit.mean_dim(0)).square().mean_dim(0).sqrt();
    deviation.mean() * (width as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    fn rows<const N: usize>(rows: [[f32; 2]; N]) -> Tensor<2> {
        Tensor::from_floats(rows, &test_device())
    }

    fn noise(count: usize, width: usize) -> Tensor<2> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([count, width], init).val()
    }

    #[test]
    fn vectors_of_one_direction_have_no_spread_and_opposite_ones_the_whole() {
        let of = |vectors| spread(vectors).into_scalar::<f32>();
        assert!(of(rows([[1.0, 2.0], [2.0, 4.0]])) < 1e-3);
        // Unit vectors ±(0.6, 0.8): deviations 0.6 and 0.8, their mean 0.7 times √2.
        assert!((of(rows([[3.0, 4.0], [-0.3, -0.4]])) - 0.7 * 2f32.sqrt()).abs() < 1e-6);
        assert_eq!(spread(Tensor::zeros([3, 4], &test_device())).into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn batches_are_judged_together_and_what_has_collapsed_is_named() {
        let mut embeddings = Embeddings::default();
        let same = |count| Tensor::<2>::ones([count, 2], &test_device()) + noise(count, 2) * 1e-4;
        for _ in 0..2 {
            let batch = vec![("feature", noise(40, 2)), ("target", same(40))];
            embeddings.add(batch).unwrap();
        }
        let (metrics, collapsed) = embeddings.judge();
        assert_eq!(collapsed, ["target"]);
        let names: Vec<_> = metrics.keys().map(String::as_str).collect();
        assert_eq!(names, ["feature_rank_me", "feature_spread", "target_rank_me", "target_spread"]);
        assert!(metrics["feature_spread"] > 0.9 && metrics["feature_rank_me"] > 1.9, "{metrics:?}");
        assert!(metrics["target_spread"] < 1e-3 && metrics["target_rank_me"] < 1.01, "{metrics:?}");
        let told = told(&collapsed, &metrics).unwrap();
        assert!(told.contains("has collapsed") && told.contains(": target (spread "), "{told}");
    }

    #[test]
    fn two_directions_in_batches_that_each_have_one_have_not_collapsed() {
        let mut embeddings = Embeddings::default();
        embeddings.add(vec![("feature", rows([[1.0, 0.0], [2.0, 0.0]]))]).unwrap();
        embeddings.add(vec![("feature", rows([[0.0, 1.0], [0.0, 2.0]]))]).unwrap();
        let (metrics, collapsed) = embeddings.judge();
        assert!(collapsed.is_empty() && told(&collapsed, &metrics).is_none());
        assert!((metrics["feature_spread"] - 0.5 * 2f64.sqrt()).abs() < 1e-6, "{metrics:?}");
    }

    #[test]
    fn the_first_vectors_are_enough_and_a_single_one_is_not() {
        let mut embeddings = Embeddings::default();
        (0..3).for_each(|_| embeddings.add(vec![("feature", noise(500, 3))]).unwrap());
        let parts: Vec<_> = embeddings.0["feature"].iter().map(|part| part.dims()[0]).collect();
        assert_eq!(parts, [500, 500, 24]);
        let mut single = Embeddings::default();
        single.add(vec![("feature", noise(1, 3))]).unwrap();
        assert_eq!(single.judge(), Default::default());
    }

    #[test]
    fn vectors_of_two_widths_are_refused_with_both() {
        let mut embeddings = Embeddings::default();
        embeddings.add(vec![("target", noise(2, 3))]).unwrap();
        let message = embeddings.add(vec![("target", noise(2, 4))]).unwrap_err().to_string();
        assert!(
            message.contains("embeddings target have 3 numbers in one batch and 4"),
            "{message}"
        );
    }
}
