//! Between two stages: a quarter of the tokens, twice as wide.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

use super::embedding::NORM_EPSILON;
use crate::grid::Grid;
use crate::nn::{Init, LayerNorm, Weights, per_token};

/// Joins 2 × 2 neighbours and halves their features (arXiv 2103.14030 §3.1). Swin has its norm
/// before the linear layer, Swin-v2 after it.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Four tokens → twice the width of one, without bias.
    pub reduction: Linear,
    /// On the four tokens, or on what the linear layer made of them.
    pub norm: LayerNorm,
    norm_last: bool,
}

impl PatchMerging {
    pub(super) fn new(width: usize, norm_last: bool, weights: &mut Weights) -> Self {
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
    /// When the tokens are not those of `grid`.
    pub fn forward(&self, tokens: Tensor<3>, grid: Grid) -> (Tensor<3>, Grid) {
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
        let tokens = if self.norm_last {
            self.norm.forward(per_token(&self.reduction, four))
        } else {
            per_token(&self.reduction, self.norm.forward(four))
        };
        (tokens, merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::module::Param;
    use burn::tensor::TensorData;

    #[test]
    fn four_neighbours_are_joined_column_by_column() {
        let mut merging = PatchMerging::new(1, true, &mut Weights::new(0, &test_device()));
        // Numbers its four inputs: 1000, 100, 10, 1 to the first output, nothing to the second.
        let weight = TensorData::from([[1000.0f32, 0.0], [100.0, 0.0], [10.0, 0.0], [1.0, 0.0]]);
        merging.reduction.weight = Param::from_tensor(Tensor::from_data(weight, &test_device()));
        let tokens = Tensor::<1>::from_floats([1., 2., 3., 4., 5., 6.], &test_device());
        let four = per_token(
            &merging.reduction,
            Tensor::<1>::from_floats([1., 4., 2., 5.], &test_device()).reshape([1, 1, 4]),
        );
        // 1 2 3
        // 4 5 6  and a column of zeros.
        let (merged, grid) = merging.forward(tokens.reshape([1, 6, 1]), Grid::new(2, 3));
        assert_eq!((grid, merged.dims()), (Grid::new(1, 2), [1, 2, 2]));
        let first: Vec<f32> = merging.norm.forward(four).into_data().try_to_vec().unwrap();
        let merged: Vec<f32> = merged.into_data().try_to_vec().unwrap();
        assert_eq!(merged[..2], first[..]);
    }
}
