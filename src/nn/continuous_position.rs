//! Swin-v2's relative position bias: a small network of the offset instead of a table.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::linear;
use burn::tensor::{Int, Tensor, TensorData};

use super::{Init, InitialWeights, relative_position_index};
use crate::grid::Grid;

/// The largest bias (official code).
const LARGEST: f64 = 16.0;

/// A bias per head for each offset between two cells of a window, from a two-layer network of the
/// offset's logarithm: what it learned in one window holds in another (Swin-v2, arXiv 2111.09883
/// §3.3).
///
/// Offsets are divided by the largest one of the window pre-trained in, times 8, and each
/// coordinate x is read as sign(x) · log₂(1 + |x|) / 3.
#[derive(Module, Debug)]
pub struct ContinuousPositionBias {
    /// Two coordinates → hidden features.
    pub fc1: Linear,
    /// Hidden features → heads, without bias.
    pub fc2: Linear,
    offsets: Tensor<2>,
    index: Tensor<1, Int>,
    #[module(skip)]
    window: Grid,
}

impl ContinuousPositionBias {
    /// Features between the two layers (official code).
    pub const HIDDEN: usize = 512;

    /// A bias for `window`, learned in windows of `pretrained` cells a side.
    pub fn new(window: Grid, pretrained: Grid, heads: usize, weights: &mut InitialWeights) -> Self {
        let init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };
        let device = weights.device().clone().without_autodiff();
        let index = relative_position_index(window, false);
        let pairs = index.len();
        let offsets = log_offsets(window, pretrained);
        let count = offsets.len() / 2;
        Self {
            fc1: weights.linear(2, Self::HIDDEN, init),
            fc2: weights.linear_without_bias(Self::HIDDEN, heads, init),
            offsets: Tensor::from_data(TensorData::new(offsets, [count, 2]), &device),
            index: Tensor::from_data(TensorData::new(index, [pairs]), &device),
            window,
        }
    }

    /// What to add to the scores, `[1, heads, cells, cells]`, between 0 and 16.
    pub fn bias(&self) -> Tensor<4> {
        let weight = self.fc1.weight.val();
        let offsets = self.offsets.clone().cast(weight.dtype());
        let hidden = relu(linear(offsets, weight, self.fc1.bias.as_ref().map(|bias| bias.val())));
        let table = sigmoid(linear(hidden, self.fc2.weight.val(), None)) * LARGEST;
        let ([_, heads], cells) = (table.dims(), self.window.cells());
        let bias = table.select(0, self.index.clone()).reshape([cells, cells, heads]);
        bias.permute([2, 0, 1]).unsqueeze()
    }
}

/// Both coordinates of every offset, row-major over the grid of offsets.
fn log_offsets(window: Grid, pretrained: Grid) -> Vec<f32> {
    let axis = |length: usize, pretrained: usize| -> Vec<f32> {
        let largest = pretrained.saturating_sub(1).max(1) as f32;
        (1 - length as i64..length as i64)
            .map(|offset| offset as f32 / largest * 8.0)
            .map(|offset| offset.signum() * (offset.abs() + 1.0).log2() / 3.0)
            .collect()
    };
    let (rows, cols) = (axis(window.rows, pretrained.rows), axis(window.cols, pretrained.cols));
    rows.iter().flat_map(|&row| cols.iter().flat_map(move |&col| [row, col])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn coordinates_are_logarithms_of_the_share_of_the_pre_trained_window() {
        // Windows of 2: offsets −1, 0, 1; of 3 in pre-training, so ±1 is half of its largest.
        let offsets = log_offsets(Grid::square(2), Grid::square(3));
        let half = 5.0f32.log2() / 3.0;
        assert_eq!(offsets[..6], [-half, -half, -half, 0.0, -half, half]);
        // The largest offset of its own window is log₂ 9 / 3.
        assert_eq!(log_offsets(Grid::square(2), Grid::square(2))[17], 9.0f32.log2() / 3.0);
    }

    #[test]
    fn one_network_serves_windows_of_any_size() {
        let bias = |window, pretrained| {
            let mut weights = InitialWeights::new(1, &test_device());
            let bias = ContinuousPositionBias::new(window, pretrained, 2, &mut weights).bias();
            (bias.dims(), bias.into_data().try_to_vec::<f32>().unwrap())
        };
        let (small, own) = bias(Grid::square(3), Grid::square(3));
        let (large, other) = bias(Grid::square(5), Grid::square(3));
        assert_eq!((small, large), ([1, 2, 9, 9], [1, 2, 25, 25]));
        // From the first cell to the one right of it and to the one below.
        assert_eq!((own[1], own[3]), (other[1], other[5]));
        assert_ne!(own[1], own[3]);
    }

    #[test]
    fn a_window_of_one_cell_has_one_finite_bias() {
        let mut weights = InitialWeights::new(1, &test_device());
        let one = Grid::square(1);
        let bias = ContinuousPositionBias::new(one, one, 1, &mut weights).bias();
        assert!(bias.into_scalar::<f32>().is_finite());
    }
}
