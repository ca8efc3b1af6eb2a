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
pub fn depthwise(cells: Tensor<3>, kernel: Tensor<2>, bias: Tensor<1>, grid: Grid) -> Tensor<3> {
    let [places, width] = kernel.dims();
    let side = places.isqrt();
    assert!(side * side == places && side % 2 == 1, "a window of {places} places has no odd side");
    assert_shape!(cells, [_, grid.cells(), width]);
    assert_shape!(bias, [width]);
    #[cfg(feature = "flex")]
    if super::takes(super::fits(&cells) && super::fits(&kernel) && super::fits(&bias)) {
        use super::flex::DepthwiseKernel;
        return Tensor::from_dispatch(burn::backend::Dispatch::mim_depthwise(
            cells.into_dispatch(),
            kernel.into_dispatch(),
            bias.into_dispatch(),
            grid.rows,
            grid.cols,
        ));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::{Case, compare};

    #[test]
    fn the_kernel_and_its_gradients_are_those_of_the_composition() {
        for (batch, rows, cols, width, side) in [
            (1, 1, 1, 1, 1),
            (1, 2, 9, 3, 7),
            (2, 5, 4, 59, 7),
            (9, 8, 7, 40, 5),
            (17, 2, 3, 17, 7),
        ] {
            let grid = Grid::new(rows, cols);
            let case = Case::new([&[batch, rows * cols, width], &[side * side, width], &[width]]);
            let parts = |[cells, kernel, bias]: [Tensor<1>; 3]| {
                let cells = cells.reshape([batch, rows * cols, width]);
                (cells, kernel.reshape([side * side, width]), bias)
            };
            compare(
                case,
                |tensors| {
                    let (cells, kernel, bias) = parts(tensors);
                    depthwise(cells, kernel, bias, grid).flatten(0, 2)
                },
                |tensors| {
                    let (cells, kernel, bias) = parts(tensors);
                    depthwise_composed(cells, kernel, bias, grid).flatten(0, 2)
                },
            );
        }
    }

    #[test]
    #[should_panic(expected = "a window of 8 places has no odd side")]
    fn a_window_that_is_no_odd_square_is_refused() {
        let zeros = |shape: [usize; 2]| Tensor::zeros(shape, &crate::test_device());
        let cells = Tensor::zeros([1, 4, 2], &crate::test_device());
        depthwise(cells, zeros([8, 2]), zeros([1, 2]).flatten(0, 1), Grid::square(2));
    }
}
