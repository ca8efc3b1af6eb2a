//! One linear layer on the hidden cells.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::PredictionHead;
use crate::encoder::{CondensedTokens, GridTokens};
use crate::mask::Mask;
use crate::nn::{Init, InitialWeights, per_token};

/// A linear layer from a hidden cell's features to its prediction (SimMIM, arXiv 2111.09886 §3.3:
/// as good as any deeper head).
#[derive(Module, Debug)]
pub struct LinearHead {
    /// Encoder width → target width.
    pub projection: Linear,
}

impl LinearHead {
    /// A head from an encoder of `width` features to `target_width` values per cell, normal with σ =
    /// 0.02.
    pub fn new(width: usize, target_width: usize, weights: &mut InitialWeights) -> Self {
        Self::with_init(width, target_width, Init::Normal { std: 0.02 }, weights)
    }

    /// A head whose weight starts with `init`; the bias starts at 0.
    pub fn with_init(
        width: usize,
        target_width: usize,
        init: Init,
        weights: &mut InitialWeights,
    ) -> Self {
        Self { projection: weights.linear(width, target_width, init) }
    }
}

impl LinearHead {
    /// How many numbers it predicts for each hidden cell.
    pub fn width(&self) -> usize {
        self.projection.weight.lazy_shape()[1]
    }
}

impl PredictionHead<GridTokens> for LinearHead {
    type Prediction = Tensor<3>;

    fn predict(&self, features: GridTokens, mask: &Mask) -> Tensor<3> {
        per_token(&self.projection, mask.at(features.grid).asked.select(features.tokens))
    }
}

impl PredictionHead<CondensedTokens> for LinearHead {
    type Prediction = [Tensor<3>; 2];

    /// From the tokens after the last block, and from those after the condenser.
    fn predict(&self, features: CondensedTokens, mask: &Mask) -> [Tensor<3>; 2] {
        [features.last, features.condensed].map(|tokens| self.predict(tokens, mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::UnitMask;
    use crate::test_device;
    use burn::module::Param;

    #[test]
    fn hidden_cells_are_predicted_in_their_order_and_no_others() {
        let device = test_device();
        let mut head = LinearHead::new(2, 3, &mut InitialWeights::new(0, &device));
        let weight = Tensor::from_floats([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]], &device);
        head.projection.weight = Param::from_tensor(weight);
        let bias = Tensor::from_floats([0.0, 0.5, 0.0], &device);
        head.projection.bias = Some(Param::from_tensor(bias));
        let grid = Grid::new(1, 3);
        let masks = [[0, 2], [1, 2]].map(|cells| UnitMask::from_indices(grid, cells).unwrap());
        let mask = Mask::new(masks, &device).unwrap();
        let tokens = Tensor::from_floats(
            [[[1.0, 2.0], [9.0, 9.0], [3.0, 4.0]], [[9.0, 9.0], [5.0, 6.0], [7.0, 8.0]]],
            &device,
        );
        let predicted = head.predict(GridTokens { tokens, class_token: None, grid }, &mask);
        assert_eq!(predicted.dims(), [2, 2, 3]);
        let predicted: Vec<f32> = predicted.into_data().try_to_vec().unwrap();
        // (a, b) becomes a, b + ½, 2a − b.
        let expected = [1.0, 2.5, 0.0, 3.0, 4.5, 2.0, 5.0, 6.5, 4.0, 7.0, 8.5, 6.0];
        assert_eq!(predicted, expected);
    }
}
