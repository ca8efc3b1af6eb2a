//! A convolution that mixes cells and no features.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, InitialWeights};
use crate::grid::Grid;
use crate::kernel;

/// Each feature convolved over the grid on its own, zeros being around it.
#[derive(Module, Debug)]
pub struct DepthwiseConv {
    /// A weight for every place of the window, row-major, and every feature, `[side², width]`.
    pub kernel: Param<Tensor<2>>,
    /// What is added to each feature, `[width]`.
    pub bias: Param<Tensor<1>>,
}

impl DepthwiseConv {
    /// A convolution of `width` features over windows of `side` cells, an odd number; its bias starts
    /// at 0.
    pub fn new(width: usize, side: usize, init: Init, weights: &mut InitialWeights) -> Self {
        Self { kernel: weights.param([side * side, width], init), bias: weights.zeros([width]) }
    }

    /// The convolved cells of a grid.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, rows · cols, width]`
    /// - output: the same
    ///
    /// # Panics
    ///
    /// When the cells are of another width or grid.
    pub fn forward(&self, cells: Tensor<3>, grid: Grid) -> Tensor<3> {
        kernel::depthwise(cells, self.kernel.val(), self.bias.val(), grid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    #[test]
    fn every_feature_is_convolved_on_its_own() {
        let mut conv = DepthwiseConv::new(
            2,
            3,
            Init::Constant(0.0),
            &mut InitialWeights::new(0, &test_device()),
        );
        // The first feature is that of the cell on the left, the second twice that below.
        let mut kernel = vec![0.0f32; 18];
        (kernel[2 * 3], kernel[2 * 7 + 1]) = (1.0, 2.0);
        let kernel = Tensor::from_data(TensorData::new(kernel, [9, 2]), &test_device());
        conv.kernel = Param::from_tensor(kernel);
        conv.bias = Param::from_tensor(Tensor::from_floats([0.5, 0.0], &test_device()));
        let cells = Tensor::<3>::from_floats(
            [[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]],
            &test_device(),
        );
        let got: Vec<f32> = conv.forward(cells, Grid::square(2)).into_data().try_to_vec().unwrap();
        assert_eq!(got, [0.5, 60.0, 1.5, 80.0, 0.5, 0.0, 3.5, 0.0]);
    }
}
