//! Cross-attention from learned queries to the cells of an image.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::eval::linear::Standardizer;
use crate::kernel;
use crate::nn::{Init, InitialWeights};

/// The queries of an attentive probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CellQueries {
    /// Multi-head attention from one learned query, with a projection of keys and one of values:
    /// AIM's probe (El-Nouby et al. 2024, arXiv 2401.08541 §3.3), which those of CAE (arXiv
    /// 2202.03026 §4) and V-JEPA (arXiv 2404.08471) extend by further layers.
    One {
        /// Heads; where the width has no such divisor, its largest one below.
        heads: usize,
    },
    /// Efficient probing (Psomas et al. 2025, arXiv 2506.10178 §3.3): several learned queries, each
    /// of the whole width and compared with the cells as they are, without a projection of queries
    /// or keys. Each averages its own part of the projected values.
    Many {
        /// Queries; where the width has no such divisor, its largest one below.
        queries: usize,
    },
}

/// Pools the cells of an image to one vector by attention.
#[derive(Module, Debug)]
pub(super) struct CellAttention {
    /// The learned queries, `[queries, width]`; one row where heads share it.
    pub(super) query_token: Param<Tensor<2>>,
    /// The projection of the keys, which only a shared query needs.
    pub(super) keys: Option<Linear>,
    /// What each head or query reads of the cells, `[heads, width, width / heads]`.
    pub(super) values: Param<Tensor<3>>,
}

impl CellAttention {
    /// Queries start with a standard deviation of 0.02, projections with the variance of PyTorch's
    /// linear layers, as in the code of both papers.
    pub(super) fn new(queries: CellQueries, width: usize, weights: &mut InitialWeights) -> Self {
        let query = Init::Normal { std: 0.02 };
        let projection = Init::of_fan_in(width, 1.0 / 3.0);
        let (heads, shared) = match queries {
            CellQueries::One { heads } => (divisor(width, heads), true),
            CellQueries::Many { queries } => (divisor(width, queries), false),
        };
        Self {
            query_token: weights.param([if shared { 1 } else { heads }, width], query),
            keys: shared.then(|| weights.linear_without_bias(width, width, projection)),
            values: weights.param([heads, width, width / heads], projection),
        }
    }

    /// One vector per image, of cells that `standardizer` standardizes.
    ///
    /// Weights sum to 1 over the cells, and projections are linear, so keys and values need not be
    /// computed for every cell: queries go through the projection of the keys, and averages of cells
    /// through that of the values. The result is the same.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, cells, width]`
    /// - output: `[batch, width]`
    pub(super) fn forward(&self, cells: Tensor<3>, standardizer: &Standardizer) -> Tensor<2> {
        let values = self.values.val();
        let [heads, width, part] = values.dims();
        assert_shape!(cells, [_, _, width]);
        let [batch, ..] = cells.dims();
        let weights = self.weights(cells.clone(), standardizer);
        let means = weights.matmul(cells).reshape([-1, width as i64]);
        let means = standardizer.apply(means).reshape([batch, heads, width]);
        let pooled = means.swap_dims(0, 1).matmul(values);
        pooled.swap_dims(0, 1).reshape([batch, heads * part])
    }

    /// How much each query reads of each cell, `[batch, queries, cells]`; rows sum to 1.
    fn weights(&self, cells: Tensor<3>, standardizer: &Standardizer) -> Tensor<3> {
        // The mean of the cells would add the same to all scores of a query.
        let queries = self.queries() / standardizer.std.clone();
        let scores = kernel::linear(cells, queries.transpose(), None);
        softmax(scores.swap_dims(1, 2), 2)
    }

    /// What the cells are multiplied by, `[queries, width]`, the scale of the scores included.
    fn queries(&self) -> Tensor<2> {
        let query = self.query_token.val();
        let [heads, width, part] = self.values.dims();
        match &self.keys {
            None => query * (width as f64).powf(-0.5),
            Some(keys) => {
                let by_feature = keys.weight.val() * query;
                let by_head = by_feature.reshape([width, heads, part]).sum_dim(2);
                by_head.squeeze_dim::<2>(2).transpose() * (part as f64).powf(-0.5)
            }
        }
    }
}

/// The largest divisor of `width` that is at most `count`, which is not 0.
fn divisor(width: usize, count: usize) -> usize {
    (1..=count.min(width)).rev().find(|&count| width.is_multiple_of(count)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Features;
    use crate::test_device;
    use burn::tensor::TensorData;

    const WIDTH: usize = 4;
    const CELLS: usize = 3;

    fn cells() -> Tensor<3> {
        let values: Vec<f32> =
            (0..2 * CELLS * WIDTH).map(|i| (i as f32 * 1.7).sin() * 3.0 + 0.5).collect();
        Tensor::from_data(TensorData::new(values, [2, CELLS, WIDTH]), &test_device())
    }

    fn standardizer() -> Standardizer {
        let rows = cells().reshape([2 * CELLS, WIDTH]);
        Standardizer::of(&Features::new(rows, vec![0; 2 * CELLS], 1).unwrap())
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The papers' formula, one number at a time: keys and values of every cell.
    fn by_hand(attention: &CellAttention) -> Vec<f32> {
        let inputs = floats(standardizer().apply(cells().reshape([2 * CELLS, WIDTH])));
        let query = floats(attention.query_token.val());
        let keys = attention.keys.as_ref().map(|keys| floats(keys.weight.val()));
        let values = floats(attention.values.val());
        let [heads, _, part] = attention.values.dims();
        let feature =
            |image: usize, cell: usize, i: usize| inputs[(image * CELLS + cell) * WIDTH + i];
        let mut out = Vec::new();
        for image in 0..2 {
            for head in 0..heads {
                let score = |cell: usize| -> f32 {
                    let dot: f32 = match &keys {
                        None => (0..WIDTH)
                            .map(|i| query[head * WIDTH + i] * feature(image, cell, i) / 2.0)
                            .sum(),
                        Some(keys) => (head * part..(head + 1) * part)
                            .map(|j| {
                                let key = (0..WIDTH)
                                    .map(|i| feature(image, cell, i) * keys[i * WIDTH + j]);
                                query[j] * key.sum::<f32>() / (part as f32).sqrt()
                            })
                            .sum(),
                    };
                    dot.exp()
                };
                let total: f32 = (0..CELLS).map(score).sum();
                for j in 0..part {
                    let value = |cell: usize| -> f32 {
                        (0..WIDTH)
                            .map(|i| {
                                feature(image, cell, i) * values[(head * WIDTH + i) * part + j]
                            })
                            .sum()
                    };
                    out.push((0..CELLS).map(|cell| score(cell) / total * value(cell)).sum());
                }
            }
        }
        out
    }

    #[test]
    fn both_kinds_follow_the_papers_formulas() {
        for queries in [
            CellQueries::One { heads: 2 },
            CellQueries::Many { queries: 2 },
            CellQueries::Many { queries: 4 },
        ] {
            let mut weights = InitialWeights::new(3, &test_device());
            let mut attention = CellAttention::new(queries, WIDTH, &mut weights);
            // Queries far from 0, so that cells are weighed differently.
            attention.query_token = attention.query_token.map(|query| query * 60.0);
            let got = floats(attention.forward(cells(), &standardizer()));
            let expected = by_hand(&attention);
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-4, "{queries:?}: {got} {expected}");
            }
        }
    }

    #[test]
    fn heads_are_the_largest_divisor_that_is_not_above_the_number_asked_for() {
        assert_eq!([divisor(128, 8), divisor(36, 8), divisor(7, 4), divisor(4, 9)], [8, 6, 1, 4]);
    }
}
