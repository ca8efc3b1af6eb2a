//! A convolution of each feature over the cells of a grid.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, assert_shape};

use crate::grid::Grid;

/// Every feature of the cells of `grid` convolved with its own window of `kernel`, plus `bias`; zeros are
/// around the grid.
///
/// # Shapes
///
/// - cells: `[batch, rows · cols, width]`
/// - kernel: `[side², width]`, row-major over the window, its side an odd number
/// - bias: `[width]`
/// - output: as `cells`
///
/// # Panics
///
/// When the shapes are not these.
pub fn depthwise(
    cells: Tensor<3>,
    kernel: Tensor<2>,
    bias: Tensor<1>,
    grid: Grid,
) -> Tensor<3> {
    let [places, width] = kernel.dims();
    let side = places.isqrt();
    assert!(side * side == places && side % 2 == 1, "a window of {places} places has no odd side");
    assert_shape!(cells, [_, grid.cells(), width]);
    assert_shape!(bias, [width]);
    depthwise_composed(cells, kernel, bias, grid)
}

/// [`depthwise`] as burn composes it.
pub fn depthwise_composed(
    cells: Tensor<3>,
    kernel: Tensor<2>,
    bias: Tensor<1>,
    grid: Grid,
) -> Tensor<3> {
    let ([batch, _, width], side) = (cells.dims(), kernel.dims()[0].isqrt());
    let maps = cells.swap_dims(1, 2).reshape([batch, width, grid.rows, grid.cols]);
    let kernel = kernel.transpose().reshape([width, 1, side, side]);
    let options = ConvOptions::new([1; 2], [side / 2; 2], [1; 2], width);
    let maps = burn::tensor::module::conv2d(maps, kernel, Some(bias), options);
    maps.flatten::<3>(2, 3).swap_dims(1, 2)
}
