//! Which cells of a grid a network computes.

use burn::tensor::Tensor;

use super::{Mask, Selection};
use crate::grid::Grid;

/// The cells of a grid that a network computes: all of them, or the visible ones alone. What mixes
/// cells sees zeros at the others, so that convolutions are sparse ones (SparK, arXiv 2301.03580 §3.1;
/// ConvNeXt V2, arXiv 2301.00808 §3.1).
///
/// A network of several resolutions has one for each of its grids, all of one [`Mask`].
#[derive(Debug, Clone)]
pub struct Shown {
    grid: Grid,
    visible: Option<Selection>,
}

impl Shown {
    /// All cells of `grid`.
    pub fn all(grid: Grid) -> Self {
        Self { grid, visible: None }
    }

    /// The cells of `grid` that `mask` leaves visible.
    ///
    /// # Panics
    ///
    /// When `grid` is not a whole refinement of the mask's own.
    pub fn visible(mask: &Mask, grid: Grid) -> Self {
        Self { grid, visible: Some(mask.at(grid).visible) }
    }

    /// The grid.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The whole grid from its shown cells, with zeros at every other cell.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, shown cells, width]`
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When the tokens are not of these cells.
    pub fn on_grid(&self, tokens: Tensor<3>) -> Tensor<3> {
        let Some(visible) = &self.visible else { return tokens };
        let [_, _, width] = tokens.dims();
        let options = (&tokens.device().without_autodiff(), tokens.dtype());
        visible.fill(tokens, Tensor::zeros([1, width], options))
    }

    /// The shown cells of the whole grid.
    ///
    /// # Shapes
    ///
    /// - cells: `[batch, cells, width]`
    /// - output: `[batch, shown cells, width]`
    ///
    /// # Panics
    ///
    /// When the tokens are not of this grid.
    pub fn of_grid(&self, cells: Tensor<3>) -> Tensor<3> {
        match &self.visible {
            Some(visible) => visible.select(cells),
            None => cells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::UnitMask;
    use crate::test_device;
    use burn::tensor::TensorData;

    #[test]
    fn what_is_not_shown_is_zero_on_the_grid() {
        let hidden = UnitMask::from_indices(Grid::new(1, 3), [1]).unwrap();
        let shown = Shown::visible(&Mask::new([hidden], &test_device()).unwrap(), Grid::new(2, 6));
        let values: Vec<f32> = (1..9).map(|value| value as f32).collect();
        let tokens = Tensor::<3>::from_data(TensorData::new(values, [1, 8, 1]), &test_device());
        let cells = shown.on_grid(tokens.clone());
        let expected = [1.0f32, 2.0, 0.0, 0.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 7.0, 8.0];
        assert_eq!(cells.to_data().try_to_vec::<f32>().unwrap(), expected);
        shown.of_grid(cells).into_data().assert_eq(&tokens.to_data(), true);
        let all = Shown::all(Grid::new(2, 4));
        all.of_grid(all.on_grid(tokens.clone())).into_data().assert_eq(&tokens.into_data(), true);
    }
}
