//! Histograms of oriented gradients of the hidden patches.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData, assert_shape};

use super::hog_glyph::glyphs;
use super::{Depict, Target, check_prediction, mask_of_patches, mean_of_cells};
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::image::{GradientOperator, PatchLayout, grid_of, magnitude, patchify, unpatchify};
use crate::kernel::direction_histograms;
use crate::nn::unit;

/// MaskFeat's target (arXiv 2112.09133 §3): for every cell of pixels and every channel, how
/// strongly the image changes in which direction.
///
/// A pixel adds the strength of its gradient to the bin of the gradient's direction, opposite
/// directions being one; the bins of a cell are then divided by their length √(Σ bin²). A patch
/// has the histograms of all its cells, ordered (channel, bin, row, column). Per-channel
/// normalization of images does not change the histograms.
///
/// With [`GradientOperator::Sobel`] directions are counted from the y axis, as MaskFeat's code
/// does; with [`GradientOperator::Central`] from the x axis, which gives the histograms of
/// scikit-image's `hog` for each channel (`cells_per_block=(1, 1)`, `block_norm="L2"`).
#[derive(Module, Debug)]
pub struct HogTarget {
    /// Channels of the images.
    pub channels: usize,
    /// Side of a patch in pixels, a multiple of the cell.
    pub patch: usize,
    /// Side of a cell in pixels.
    pub cell: usize,
    /// Directions that are told apart.
    pub bins: usize,
    /// Side of the squares, side by side over the whole image, in which a Gaussian weighs pixels;
    /// its deviation is half the side. `None` weighs all pixels alike, as MaskFeat's code does;
    /// mmpretrain's version of it has squares of 16 pixels.
    pub window: Option<usize>,
    /// How gradients are estimated.
    #[module(skip)]
    pub operator: GradientOperator,
}

impl HogTarget {
    /// MaskFeat's histograms: 9 bins of Sobel gradients, all pixels alike.
    ///
    /// # Panics
    ///
    /// When the cell does not divide the patch.
    pub fn maskfeat(channels: usize, patch: usize, cell: usize) -> Self {
        assert!(
            cell > 0 && patch.is_multiple_of(cell),
            "HOG cells of {cell} pixels do not divide a patch of {patch}"
        );
        Self { channels, patch, cell, bins: 9, window: None, operator: GradientOperator::Sobel }
    }

    /// The same histograms with pixels weighed in squares of this side.
    pub fn with_window(mut self, window: Option<usize>) -> Self {
        self.window = window;
        self
    }

    /// The same histograms of gradients that are estimated otherwise.
    pub fn with_operator(mut self, operator: GradientOperator) -> Self {
        self.operator = operator;
        self
    }

    /// The histograms of all cells.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, rows · cell, cols · cell]`
    /// - output: `[batch, channels · bins, rows, cols]`
    ///
    /// # Panics
    ///
    /// When the cell does not divide the height and the width.
    pub fn histograms(&self, images: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], grid) = (images.dims(), grid_of(&images, self.cell));
        let planes = images.reshape([batch * channels, 1, height, width]);
        let histograms = self.sums(self.operator.gradients(planes));
        unit(histograms, 2)
            .reshape([batch, channels, grid.rows, grid.cols, self.bins])
            .permute([0, 1, 4, 2, 3])
            .reshape([batch, channels * self.bins, grid.rows, grid.cols])
    }

    /// The sums of strengths, before they are divided by their length, `[planes, cells, bins]`, of
    /// derivatives along x and y, `[planes, 1, rows · cell, cols · cell]`.
    pub(crate) fn sums(&self, [along_x, along_y]: [Tensor<4>; 2]) -> Tensor<3> {
        let strength = self.weighed(magnitude(along_x.clone(), along_y.clone()));
        let direction = match self.operator {
            GradientOperator::Sobel => [along_y, along_x],
            GradientOperator::Central => [along_x, along_y],
        };
        direction_histograms(direction, strength, self.cell, self.bins)
    }

    /// Strengths times the Gaussian of their place in its window.
    fn weighed(&self, strength: Tensor<4>) -> Tensor<4> {
        let Some(window) = self.window else { return strength };
        let [_, _, height, width] = strength.dims();
        let along = |length: usize| -> Vec<f32> {
            let (middle, deviation) = ((window as f64 - 1.0) / 2.0, window as f64 / 2.0);
            let gaussian = |place: f64| libm::exp(-0.5 * ((place - middle) / deviation).powi(2));
            (0..length).map(|at| gaussian((at % window) as f64) as f32).collect()
        };
        let on = (&strength.device(), strength.dtype());
        let rows = Tensor::<4>::from_data(TensorData::new(along(height), [1, 1, height, 1]), on);
        let cols = Tensor::<4>::from_data(TensorData::new(along(width), [1, 1, 1, width]), on);
        strength * rows * cols
    }

    /// Cells along one side of a patch.
    fn cells_per_patch(&self) -> usize {
        self.patch / self.cell
    }
}

impl Target for HogTarget {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.channels * self.bins * self.cells_per_patch().pow(2)
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        assert_shape!(&batch.images, [_, self.channels, _, _]);
        let histograms = self.histograms(batch.images.clone().without_autodiff());
        let patches = patchify(histograms, self.cells_per_patch(), PatchLayout::ChannelsFirst);
        mask_of_patches(batch, self.patch).asked.select(patches)
    }

    /// Mean squared error (arXiv 2112.09133 §3).
    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, hidden, _] = value.dims();
        check_prediction(&prediction, [batch, hidden], self.width());
        (prediction - value).square().mean()
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        Some(mean_of_cells(value))
    }
}

impl Depict for HogTarget {
    /// One stroke along the edge for every bin, as bright as the bin is full; the mean of the
    /// channels.
    fn depict(&self, value: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        let mask = mask_of_patches(batch, self.patch);
        let nothing = Tensor::zeros([1, self.width()], (&value.device(), value.dtype()));
        let patches = mask.asked.fill(value, nothing);
        let (side, layout) = (self.cells_per_patch(), PatchLayout::ChannelsFirst);
        let histograms = unpatchify(patches, mask.grid(), side, layout);
        let [batch, _, rows, cols] = histograms.dims();
        let histograms = histograms.reshape([batch, self.channels, self.bins, rows * cols]);
        let histograms = histograms.mean_dim(1).squeeze_dim::<3>(1).swap_dims(1, 2);
        glyphs(histograms, self.operator, self.cell, Grid::new(rows, cols))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;

    /// An image of 8×16 pixels: its left half rises along x, its right half along y.
    fn ramps() -> Tensor<4> {
        let value = |at: usize| if at % 16 < 8 { at % 16 } else { at / 16 } as f32;
        let values: Vec<f32> = (0..128).map(value).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, 8, 16]), &test_device())
    }

    fn target() -> HogTarget {
        HogTarget::maskfeat(1, 8, 4).with_operator(GradientOperator::Central)
    }

    fn bins(target: &HogTarget, row: usize, col: usize) -> Vec<f32> {
        let histograms = target.histograms(ramps());
        assert_eq!(histograms.dims(), [1, 9, 2, 4]);
        let cell = histograms.narrow(2, row, 1).narrow(3, col, 1);
        cell.into_data().try_to_vec().unwrap()
    }

    fn only(bin: usize) -> [f32; 9] {
        std::array::from_fn(|index| if index == bin { 1.0 } else { 0.0 })
    }

    #[test]
    fn a_change_along_an_axis_fills_one_bin() {
        // From the x axis: a change along x is at 0°, along y at 90° in the fifth of nine parts.
        assert_eq!(bins(&target(), 0, 0), only(0));
        assert_eq!(bins(&target(), 1, 3), only(4));
        // From the y axis the other way round, and mirrored pixels do not change a ramp's inside.
        let sobel = target().with_operator(GradientOperator::Sobel);
        assert_eq!(bins(&sobel, 0, 0), only(4));
        assert_eq!(bins(&sobel, 1, 3), only(0));
    }

    #[test]
    fn histograms_have_length_one_or_are_empty() {
        let flat = target().histograms(Tensor::ones([1, 1, 8, 16], &test_device()));
        assert_eq!(flat.abs().sum().into_scalar::<f32>(), 0.0);
        let length = target().histograms(ramps()).square().sum_dim(1).sqrt();
        let lengths: Vec<f32> = length.into_data().try_to_vec().unwrap();
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-6), "{lengths:?}");
    }

    #[test]
    fn a_patch_has_its_cells_bin_by_bin() {
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        let batch = MimBatch::new(ramps(), Mask::new([mask], &test_device()).unwrap());
        let value: Vec<f32> = target().of(&batch).into_data().try_to_vec().unwrap();
        assert_eq!(value.len(), target().width());
        for (bin, cells) in value.chunks(4).enumerate() {
            let expected: Vec<f32> = [(0, 2), (0, 3), (1, 2), (1, 3)]
                .map(|(row, col)| bins(&target(), row, col)[bin])
                .to_vec();
            assert_eq!(cells, expected, "bin {bin}");
        }
    }

    #[test]
    #[should_panic(expected = "HOG cells of 3 pixels do not divide a patch of 8")]
    fn a_cell_that_does_not_divide_the_patch_panics() {
        HogTarget::maskfeat(3, 8, 3);
    }

    #[test]
    fn the_loss_is_the_mean_squared_error() {
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        let batch = MimBatch::new(ramps(), Mask::new([mask], &test_device()).unwrap());
        let value = target().of(&batch);
        let loss = target().loss(value.clone() + 3.0, value);
        assert!((loss.into_scalar::<f32>() - 9.0).abs() < 1e-5);
    }

    #[test]
    fn channels_are_histogrammed_apart_one_after_the_other() {
        let flat = Tensor::ones([1, 1, 8, 16], &test_device());
        let both = Tensor::cat(vec![flat, ramps()], 1);
        let two = HogTarget::maskfeat(2, 8, 4).with_operator(GradientOperator::Central);
        let histograms = two.histograms(both);
        assert_eq!(histograms.dims(), [1, 18, 2, 4]);
        assert_eq!(histograms.clone().narrow(1, 0, 9).abs().sum().into_scalar::<f32>(), 0.0);
        let second = histograms.narrow(1, 9, 9).into_data();
        second.assert_eq(&target().histograms(ramps()).into_data(), true);
    }

    #[test]
    fn a_window_weighs_its_middle_most_and_begins_anew_beside_it() {
        let windowed = HogTarget { window: Some(4), ..target() };
        let weights = windowed.weighed(Tensor::ones([1, 1, 4, 8], &test_device()));
        let weights: Vec<f32> = weights.into_data().try_to_vec().unwrap();
        // From the middle 1.5 with a deviation of 2: places 0 and 1 are 1.5 and 0.5 away.
        let [outer, inner] = [1.5f32, 0.5].map(|away| (-0.5 * (away / 2.0).powi(2)).exp());
        let row = [outer, inner, inner, outer, outer, inner, inner, outer];
        for (weights, row_weight) in weights.chunks(8).zip([outer, inner, inner, outer]) {
            for (weight, expected) in weights.iter().zip(row) {
                assert!((weight - expected * row_weight).abs() < 1e-6, "{weights:?}");
            }
        }
    }
}
