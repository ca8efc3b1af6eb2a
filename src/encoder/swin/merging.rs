//! Between two stages: a quarter of the tokens, twice as wide.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

use super::embedding::NORM_EPSILON;
use crate::grid::Grid;
use crate::nn::{Init, InitialWeights, Norm, per_token};

/// Joins 2 × 2 neighbors and halves their features (arXiv 2103.14030 §3.1). Swin has its norm
/// before the linear layer, Swin-v2 after it.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Four tokens → twice the width of one, without bias.
    pub reduction: Linear,
    /// The norm of the four tokens, or of the linear layer's output.
    pub norm: Norm,
    norm_last: bool,
}

impl PatchMerging {
    pub(super) fn new(width: usize, norm_last: bool, weights: &mut InitialWeights) -> Self {
        let init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };
        let normed = if norm_last { 2 * width } else { 4 * width };
        Self {
            reduction: weights.linear_without_bias(4 * width, 2 * width, init),
            norm: weights.norm(normed, NORM_EPSILON),
            norm_last,
        }
    }

    /// The merged tokens and their grid; a last odd row or column is joined with zeros.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, rows · cols, width]`
    /// - output: `[batch, ⌈rows / 2⌉ · ⌈cols / 2⌉, 2 · width]`
    ///
    /// # Panics
    ///
    /// When the number of tokens differs from the number of cells of `grid`.
    pub fn forward(&self, tokens: Tensor<3>, grid: Grid) -> (Tensor<3>, Grid) {
        let (four, merged) = joined(tokens, grid);
        let tokens = if self.norm_last {
            self.norm.forward(per_token(&self.reduction, four))
        } else {
            per_token(&self.reduction, self.norm.forward(four))
        };
        (tokens, merged)
    }
}

/// The features of 2 × 2 neighbors one after the other, and the grid of these.
///
/// # Shapes
///
/// - tokens: `[batch, rows · cols, width]`
/// - output: `[batch, ⌈rows / 2⌉ · ⌈cols / 2⌉, 4 · width]`
fn joined(tokens: Tensor<3>, grid: Grid) -> (Tensor<3>, Grid) {
    let [batch, _, width] = tokens.dims();
    let merged = Grid::new(grid.rows.div_ceil(2), grid.cols.div_ceil(2));
    let mut tokens = tokens.reshape([batch, grid.rows, grid.cols, width]);
    if !grid.rows.is_multiple_of(2) || !grid.cols.is_multiple_of(2) {
        let padding = [(0, grid.rows % 2), (0, grid.cols % 2), (0, 0)];
        tokens = tokens.pad(padding, PadMode::Constant(0.0));
    }
    // Upper left, lower left, upper right, lower right.
    let four = tokens
        .reshape([batch, merged.rows, 2, merged.cols, 2, width])
        .permute([0, 1, 3, 4, 2, 5])
        .reshape([batch, merged.cells(), 4 * width]);
    (four, merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::module::Param;
    use burn::tensor::TensorData;

    /// 1 2 3
    /// 4 5 6, each with its negative.
    fn tokens() -> Tensor<3> {
        let values: Vec<f32> = (1..7).flat_map(|value| [value as f32, -value as f32]).collect();
        Tensor::from_data(TensorData::new(values, [1, 6, 2]), &test_device())
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn four_neighbors_are_joined_column_by_column_and_a_last_column_with_zeros() {
        let (four, grid) = joined(tokens(), Grid::new(2, 3));
        assert_eq!((grid, four.dims()), (Grid::new(1, 2), [1, 2, 8]));
        let first = [1.0, -1.0, 4.0, -4.0, 2.0, -2.0, 5.0, -5.0];
        let second = [3.0, -3.0, 6.0, -6.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(values(four), [first, second].concat());
    }

    #[test]
    fn the_norm_is_before_or_after_the_linear_layer() {
        let merged = |norm_last| {
            let mut merging =
                PatchMerging::new(2, norm_last, &mut InitialWeights::new(0, &test_device()));
            let weight: Vec<f32> =
                (0..32).map(|place| if place % 5 == 0 { 10.0 } else { 1.0 }).collect();
            let weight = TensorData::new(weight, [8, 4]);
            merging.reduction.weight =
                Param::from_tensor(Tensor::from_data(weight, &test_device()));
            values(merging.forward(tokens(), Grid::new(2, 3)).0)
        };
        // Normed last, each token has mean 0 and variance 1; normed first, the sums have not.
        let square = |token: &[f32]| token.iter().map(|value| value * value).sum::<f32>();
        for token in merged(true).chunks(4) {
            assert!(token.iter().sum::<f32>().abs() < 1e-4);
            assert!((square(token) - 4.0).abs() < 1e-3, "{token:?}");
        }
        assert!(merged(false).chunks(4).all(|token| (square(token) - 4.0).abs() > 1.0));
    }
}
