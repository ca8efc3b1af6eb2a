//! Histograms of how what a clip shows moves.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{check_prediction, mean_of_cells};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::image::clip_grid_of;
use crate::limits;

/// Added to the squared slope of the brightness, which is in deviations: where nothing has a slope, nothing
/// is known of what moves.
const SLOPE_EPSILON: f64 = 0.016;

config! {
    /// What a model of clips predicts of motion beside pixels, and how much it counts.
    #[derive(Debug, PartialEq)]
    pub struct ClipMotionConfig {
        /// What the loss is multiplied by before it is added to that of the pixels. Default: 1
        pub weight: f64 = 1.0,
        /// Directions that are told apart. Default: 8
        pub bins: usize = 8,
        /// Whether the histograms of a place at one step and at the next are predicted together, each bin
        /// of one with each of the other, so that features tell what turns from what does not. Default: true
        pub joint: bool = true,
        /// The length of a histogram, in pixels a frame, that counts as a clear motion. Default: 0.2
        pub clear: f64 = 0.2,
    }
}

impl ClipMotionConfig {
    /// Checks every rule that the numbers must keep, for tubelets of so many frames.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, tubelet: usize) -> Result<()> {
        for (name, number) in [("weight", self.weight), ("clear", self.clear)] {
            ensure!(
                number.is_finite() && number > 0.0,
                "motion.{name} must be a finite number above 0, got {number:?}"
            );
        }
        ensure!(self.bins > 0, "motion.bins must be at least 1, got 0");
        limits::at_most("the bins of motion", limits::product(&[self.bins; 2]), limits::MLP_WIDTH)?;
        ensure!(tubelet > 1, "a tubelet of {tubelet} frame shows no motion");
        Ok(())
    }
}

/// For each tubelet, which share of what it shows moves in which direction: MaskFeat's idea of predicting
/// histograms of gradients (arXiv 2112.09133 §3), of gradients in space and time.
///
/// Where the brightness changes from one frame to the next, something moves along its slope; how far, the
/// change over the slope tells (the normal flow of Horn and Schunck 1981). A histogram has the mean of how far
/// the pixels of a tubelet move along each of its directions, of each pixel as much as the direction has of it,
/// and is divided by √(its squared length + that of a clear motion), so that what moves far and what moves
/// little are alike, and noise is little. With [`ClipMotionConfig::joint`] the products of each bin with each of
/// the same place one step later follow: a mean over tubelets then tells how directions follow each other, which
/// the mean of histograms does not. The last step has those of the step before it.
#[derive(Module, Debug)]
pub struct ClipMotionTarget {
    /// Frames of a tubelet, at least 2.
    pub tubelet: usize,
    /// Side of a tubelet in pixels.
    pub patch: usize,
    /// Its numbers.
    #[module(skip)]
    pub config: ClipMotionConfig,
}

impl ClipMotionTarget {
    /// Numbers of each tubelet.
    pub fn width(&self) -> usize {
        let bins = self.config.bins;
        if self.config.joint { bins + bins * bins } else { bins }
    }

    /// The histograms of all tubelets of `clips`, by time, row and column.
    ///
    /// # Shapes
    ///
    /// - clips: `[batch, channels, frames, height, width]`, normalized
    /// - output: `[batch, cells, width]`
    ///
    /// # Panics
    ///
    /// When tubelets do not tile the clips.
    pub fn of_all(&self, clips: &Tensor<5>) -> Tensor<3> {
        let [batch, _, _, height, width] = clips.dims();
        let (tubelet, patch) = (self.tubelet, self.patch);
        let grid = clip_grid_of(clips, tubelet, patch);
        let (steps, rows, cols) = (grid.times, grid.space.rows, grid.space.cols);
        let gray = clips.clone().mean_dim(1).reshape([batch * steps, tubelet, height, width]);
        let gray = [2, 3, 2, 3].into_iter().fold(gray, blurred);
        let before = gray.clone().slice_dim(1, 0..tubelet - 1);
        let after = gray.slice_dim(1, 1..tubelet);
        let change = before.clone() - after.clone();
        let middle = (before + after) / 2;
        let [x, y] = [3, 2].map(|axis| slope(middle.clone(), axis));
        let moved = change / (x.clone().square() + y.clone().square() + SLOPE_EPSILON);
        let (x, y) = (x * moved.clone(), y * moved);
        let bin = |bin: usize| {
            let (sin, cos) = libm::sincos(TAU * bin as f64 / self.config.bins as f64);
            let along = relu(x.clone() * cos + y.clone() * sin).mean_dim(1);
            let cells = along.reshape([batch * steps * rows, patch, cols, patch]);
            cells.mean_dim(1).mean_dim(3).reshape([batch, steps * rows * cols, 1])
        };
        let bins = Tensor::cat((0..self.config.bins).map(bin).collect(), 2);
        let length = bins.clone().square().sum_dim(2) + self.config.clear.powi(2);
        let bins = (bins / length.sqrt()).detach();
        match self.config.joint {
            true => Tensor::cat(vec![bins.clone(), joint(bins, steps)], 2),
            false => bins,
        }
    }

    /// The squared error, summed over the bins of a tubelet: the mean over all tubelets.
    ///
    /// # Panics
    ///
    /// When there is not a prediction for each value; says what both are.
    pub fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, cells, width] = value.dims();
        check_prediction(&prediction, [batch, cells], self.width());
        (prediction - value).square().mean() * width as f64
    }

    /// The mean histogram for every tubelet: what a model must beat by looking.
    pub fn trivial_prediction(&self, value: &Tensor<3>) -> Tensor<3> {
        mean_of_cells(value)
    }
}

/// The products of each bin of a tubelet with each of the same place one step later.
fn joint(bins: Tensor<3>, steps: usize) -> Tensor<3> {
    let [batch, cells, count] = bins.dims();
    let bins = bins.reshape([batch, steps, cells / steps, count]);
    let here = |step: usize| step.min(steps.saturating_sub(2));
    let at = |step: usize| bins.clone().slice_dim(1, step..step + 1);
    let first = Tensor::cat((0..steps).map(|step| at(here(step))).collect(), 1);
    let next = |step: usize| at((here(step) + 1).min(steps - 1));
    let next = Tensor::cat((0..steps).map(next).collect(), 1);
    let products = first.unsqueeze_dim::<5>(4) * next.unsqueeze_dim::<5>(3);
    products.reshape([batch, cells, count * count])
}

/// The values before and after each along an axis; the first and the last are beside themselves.
fn neighbors(values: &Tensor<4>, axis: usize) -> [Tensor<4>; 2] {
    let count = values.dims()[axis];
    let part = |range: std::ops::Range<usize>| values.clone().slice_dim(axis, range);
    [
        Tensor::cat(vec![part(0..1), part(0..count - 1)], axis),
        Tensor::cat(vec![part(1..count), part(count - 1..count)], axis),
    ]
}

/// Values mixed with their neighbors along an axis: a quarter, a half, a quarter.
fn blurred(values: Tensor<4>, axis: usize) -> Tensor<4> {
    let [before, after] = neighbors(&values, axis);
    (before + after) / 4 + values / 2
}

/// Half of the difference of the neighbors along an axis.
fn slope(values: Tensor<4>, axis: usize) -> Tensor<4> {
    let [before, after] = neighbors(&values, axis);
    (after - before) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    /// The histogram of a clip of two frames in which waves move by (`x`, `y`) pixels.
    fn histogram(x: f32, y: f32) -> Vec<f32> {
        let level = |at: usize| {
            let (time, row, col) = ((at / 64) as f32, (at / 8 % 8) as f32, (at % 8) as f32);
            ((col - time * x) * 0.6).sin() + ((row - time * y) * 0.6 + 1.0).cos()
        };
        let values: Vec<f32> = (0..128).map(level).collect();
        let clip = Tensor::from_data(TensorData::new(values, [1, 1, 2, 8, 8]), &test_device());
        let config = ClipMotionConfig::new().with_joint(false);
        let target = ClipMotionTarget { tubelet: 2, patch: 8, config };
        target.of_all(&clip).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn what_moves_is_in_the_bin_of_its_direction() {
        for (x, y, bin) in [(1.0, 0.0, 0), (0.0, 1.0, 2), (-1.0, 0.0, 4), (0.0, -1.0, 6)] {
            let bins = histogram(x, y);
            let largest = (0..8).max_by(|&a, &b| bins[a].total_cmp(&bins[b])).unwrap();
            assert_eq!(largest, bin, "{bins:?}");
            assert!(bins[(bin + 4) % 8] < 0.3 * bins[bin], "{bins:?}");
        }
        assert!(histogram(0.0, 0.0).iter().all(|&share| share == 0.0));
    }

    #[test]
    fn cells_are_by_time_row_and_column() {
        // Of two steps of 1 × 2 cells, something moves in the last one alone.
        let level = |at: usize| {
            let (frame, col) = (at / 32, at % 8);
            let moved = if frame == 3 && col >= 4 { 1.0 } else { 0.0 };
            ((col as f32 - moved) * 0.9).sin()
        };
        let values: Vec<f32> = (0..128).map(level).collect();
        let clip = Tensor::from_data(TensorData::new(values, [1, 1, 4, 4, 8]), &test_device());
        let config = ClipMotionConfig::new().with_bins(4).with_joint(false);
        let target = ClipMotionTarget { tubelet: 2, patch: 4, config };
        let shares: Vec<f32> = target.of_all(&clip).into_data().try_to_vec().unwrap();
        assert!(shares[..8].iter().all(|&share| share == 0.0), "{shares:?}");
        assert!(shares[12] > 0.5, "{shares:?}");
    }

    #[test]
    fn joint_bins_are_of_a_place_at_a_step_and_the_next() {
        // Three steps of two places, two bins.
        let bins: Vec<f32> = (1..=12).map(|bin| bin as f32).collect();
        let bins = Tensor::from_data(TensorData::new(bins, [1, 6, 2]), &test_device());
        let products: Vec<f32> = joint(bins.clone(), 3).into_data().try_to_vec().unwrap();
        assert_eq!(products[..8], [5.0, 6.0, 10.0, 12.0, 21.0, 24.0, 28.0, 32.0]);
        assert_eq!(products[8..16], products[16..]);
        assert_eq!(products[8..12], [45.0, 50.0, 54.0, 60.0]);
        let alone: Vec<f32> = joint(bins, 1).into_data().try_to_vec().unwrap();
        assert_eq!(alone[..4], [1.0, 2.0, 2.0, 4.0]);
        let config = ClipMotionConfig::new().with_bins(3);
        assert_eq!(ClipMotionTarget { tubelet: 2, patch: 4, config }.width(), 12);
    }

    #[test]
    fn a_motion_that_cannot_be_told_is_refused_with_its_numbers() {
        let refused =
            |config: ClipMotionConfig, tubelet| config.validate(tubelet).unwrap_err().to_string();
        let config = ClipMotionConfig::new;
        assert!(refused(config(), 1).contains("a tubelet of 1 frame shows no motion"));
        assert!(refused(config().with_bins(0), 2).contains("motion.bins must be at least 1"));
        assert!(refused(config().with_weight(0.0), 2).contains("motion.weight"));
        assert!(refused(config().with_clear(f64::NAN), 2).contains("motion.clear"));
    }
}
