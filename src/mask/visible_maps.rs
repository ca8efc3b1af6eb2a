//! Which cells are visible, as maps that features are multiplied by: masked convolution.

use burn::nn::GroupNorm;
use burn::tensor::Tensor;

use super::{GridMask, Mask};
use crate::grid::Grid;
use crate::kernel;
use crate::nn::{BatchNorm, Moments};

/// The visible cells of a batch on grids of any fineness: with them, layers that know nothing of masks
/// compute what a sparse convolution computes. Features are set to 0 at hidden cells after each layer
/// that mixes cells, and norms are over the visible ones alone (SparK, Tian et al. 2023, arXiv 2301.03580
/// §3.1; FCMAE, Woo et al. 2023, arXiv 2301.00808 §3).
#[derive(Debug, Clone)]
pub struct VisibleMaps {
    /// 1 at every visible mask unit, `[batch, 1, rows, cols]`.
    units: Tensor<4>,
    /// Visible units of an image.
    count: usize,
}

impl VisibleMaps {
    /// Those of `mask`, as numbers of the type of `features`.
    pub fn new(mask: &Mask, features: &Tensor<4>) -> Self {
        Self::of_grid(&mask.at(mask.grid()), features)
    }

    /// Those of a mask that is read on some grid already.
    pub(crate) fn of_grid(mask: &GridMask, features: &Tensor<4>) -> Self {
        let units = mask.visible.map().cast(features.dtype());
        Self { units, count: mask.visible.count() }
    }

    /// 1 at every visible cell of maps of this size, `[batch, 1, rows, cols]`, and how many these are of
    /// an image.
    ///
    /// # Panics
    ///
    /// When a mask unit is not a whole number of cells.
    pub fn on(&self, grid: Grid) -> (Tensor<4>, usize) {
        let [batch, _, rows, cols] = self.units.dims();
        assert!(
            grid.rows.is_multiple_of(rows) && grid.cols.is_multiple_of(cols),
            "masks of {} units do not divide features of {grid}",
            Grid::new(rows, cols)
        );
        let (down, across) = (grid.rows / rows, grid.cols / cols);
        let cells = self.units.clone().reshape([batch, 1, rows, 1, cols, 1]);
        let cells = cells.expand([batch, 1, rows, down, cols, across]);
        (cells.reshape([batch, 1, grid.rows, grid.cols]), self.count * down * across)
    }

    /// The features with zeros at hidden cells.
    ///
    /// # Shapes
    ///
    /// - features, output: `[batch, features, rows, cols]`
    ///
    /// # Panics
    ///
    /// As [`VisibleMaps::on`].
    pub fn only(&self, features: Tensor<4>) -> Tensor<4> {
        let [.., rows, cols] = features.dims();
        features * self.on(Grid::new(rows, cols)).0
    }

    /// `norm` with the statistics of the visible cells of the batch, which come with it; zeros at the hidden
    /// ones.
    ///
    /// # Shapes
    ///
    /// - features, output: `[batch, features, rows, cols]`
    ///
    /// # Panics
    ///
    /// As [`VisibleMaps::on`].
    pub fn batch_norm(&self, norm: &BatchNorm, features: Tensor<4>) -> (Tensor<4>, Moments) {
        let [.., rows, cols] = features.dims();
        let (map, count) = self.on(Grid::new(rows, cols));
        norm.forward_shown(features, map, count)
    }

    /// `norm` with the statistics of the visible cells of each image, zeros at the hidden ones.
    ///
    /// # Shapes
    ///
    /// - features, output: `[batch, features, rows, cols]`
    ///
    /// # Panics
    ///
    /// As [`VisibleMaps::on`], and when the norm has no weights.
    pub fn norm(&self, norm: &GroupNorm, features: Tensor<4>) -> Tensor<4> {
        self.normed(norm, features, false)
    }

    /// [`VisibleMaps::norm`] with a rectifier after it.
    pub(crate) fn rectified_norm(&self, norm: &GroupNorm, features: Tensor<4>) -> Tensor<4> {
        self.normed(norm, features, true)
    }

    fn normed(&self, norm: &GroupNorm, features: Tensor<4>, rectified: bool) -> Tensor<4> {
        let [_, _, rows, cols] = features.dims();
        let (map, _) = self.on(Grid::new(rows, cols));
        let weights = [&norm.gamma, &norm.beta]
            .map(|weights| weights.as_ref().expect("the norm has weights").val());
        let (groups, epsilon) = (norm.num_groups, norm.epsilon);
        kernel::group_norm(features, weights, Some(map), groups, epsilon, rectified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::UnitMask;
    use crate::test_device;
    use burn::nn::GroupNormConfig;
    use burn::tensor::Tolerance;

    fn maps(hidden: &[usize], features: &Tensor<4>) -> VisibleMaps {
        let mask = UnitMask::from_indices(Grid::new(1, 2), hidden.to_vec()).unwrap();
        VisibleMaps::new(&Mask::new([mask], &test_device()).unwrap(), features)
    }

    fn features() -> Tensor<4> {
        let values = [[[[1.0_f32, 3.0, 50.0, 70.0]], [[5.0, 7.0, -9.0, 0.0]]]];
        Tensor::from_floats(values, &test_device())
    }

    #[test]
    fn a_unit_is_as_many_cells_as_the_grid_is_finer() {
        let (map, count) = maps(&[1], &features()).on(Grid::new(2, 4));
        assert_eq!(count, 4);
        let values: Vec<f32> = map.into_data().try_to_vec().unwrap();
        assert_eq!(values, [1.0, 1.0, 0.0, 0.0].repeat(2));
    }

    #[test]
    fn a_norm_is_that_of_the_visible_cells_alone() {
        let norm = GroupNormConfig::new(1, 2).with_epsilon(0.0).init(&test_device());
        let normed = maps(&[1], &features()).norm(&norm, features()).into_data();
        // 1, 3, 5 and 7 have a mean of 4 and a variance of 5.
        let [a, b] = [1.0, 3.0].map(|off: f32| off / 5f32.sqrt());
        let expected = [-b, -a, 0.0, 0.0, a, b, 0.0, 0.0];
        let expected = burn::tensor::TensorData::new(expected.to_vec(), [1, 2, 1, 4]);
        normed.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        let whole = maps(&[], &features()).norm(&norm, features()).into_data();
        let plain = norm.forward(features()).into_data();
        whole.assert_approx_eq::<f32>(&plain, Tolerance::absolute(1e-5));
    }

    #[test]
    #[should_panic(expected = "masks of 1×2 units do not divide features of 1×3")]
    fn units_that_are_no_whole_cells_panic_with_both() {
        maps(&[1], &features()).on(Grid::new(1, 3));
    }
}
