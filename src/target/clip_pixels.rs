//! Pixels of hidden tubelets, raw or normalized.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::{check_prediction, mean_of_cells};
use crate::batch::ClipBatch;
use crate::error::{Result, ensure};
use crate::image::{ChannelStatistics, PatchLayout, clip_grid_of, patchify_clip, unpatchify_clip};
use crate::mask::GridMask;

/// Added to a standard deviation (VideoMAE's official code; MAE's adds as much to a variance).
const DEVIATION_EPSILON: f64 = 1e-6;

/// The pixels of each hidden tubelet by (frame, row, column, channel), in [0, 1] where the statistics
/// are those that the batch was normalized by, or each channel of each tubelet to mean 0 and variance
/// 1 (VideoMAE, arXiv 2203.12602 §3.3, and its official `engine_for_pretraining.py`).
#[derive(Module, Debug)]
pub struct ClipPixelTarget {
    /// Channels of the clips.
    pub channels: usize,
    /// Frames of a tubelet.
    pub tubelet: usize,
    /// Side of a tubelet in pixels.
    pub patch: usize,
    /// Whether the pixels of each channel of each tubelet are normalized, by an unbiased deviation
    /// plus 1e-6.
    pub normalized: bool,
    /// What the batch's clips were normalized by, and are not for the target; `None` where the target
    /// is in the units of the batch.
    #[module(skip)]
    pub statistics: Option<ChannelStatistics>,
}

impl ClipPixelTarget {
    /// VideoMAE's target of clips that were normalized by `statistics`, if by any.
    ///
    /// # Panics
    ///
    /// With the message of [`ClipPixelTarget::validate`] when that fails.
    pub fn new(
        channels: usize,
        tubelet: usize,
        patch: usize,
        normalized: bool,
        statistics: Option<ChannelStatistics>,
    ) -> Self {
        let target = Self { channels, tubelet, patch, normalized, statistics };
        target.validate().unwrap_or_else(|error| panic!("{error}"));
        target
    }

    /// Checks that there is a variance to normalize by, and that the statistics are of the channels.
    ///
    /// # Errors
    ///
    /// Names the rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let values = self.tubelet * self.patch * self.patch;
        ensure!(
            !self.normalized || values > 1,
            "a tubelet of {values} value a channel has no variance to be normalized by"
        );
        let Some(statistics) = &self.statistics else { return Ok(()) };
        statistics.check_values()?;
        ensure!(
            statistics.mean.len() == self.channels,
            "clips of {} channels cannot be brought back with statistics of {}",
            self.channels,
            statistics.mean.len()
        );
        Ok(())
    }

    /// How many numbers a head predicts for each hidden tubelet.
    pub fn width(&self) -> usize {
        self.channels * self.tubelet * self.patch * self.patch
    }

    /// The values of the batch's asked tubelets, `[batch, asked, width]`, without gradient.
    ///
    /// # Panics
    ///
    /// When the clips have other channels, the tubelets do not tile them, or the mask does not fit.
    pub fn of(&self, batch: &ClipBatch) -> Tensor<3> {
        self.values(self.raw(batch))
    }

    /// The values of all tubelets of `clips`, `[batch, cells, width]`, without gradient.
    pub(crate) fn of_all(&self, clips: &Tensor<5>) -> Tensor<3> {
        self.values(self.in_units(self.patches(clips)))
    }

    fn values(&self, raw: Tensor<3>) -> Tensor<3> {
        match self.normalized {
            true => {
                let (mean, std) = self.moments(raw.clone());
                (raw - mean) / std
            }
            false => raw,
        }
    }

    /// The mean squared error over all values of all asked tubelets.
    ///
    /// # Panics
    ///
    /// When there is not a prediction for each value; says what both are.
    pub fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, hidden, _] = value.dims();
        check_prediction(&prediction, [batch, hidden], self.width());
        (prediction - value).square().mean()
    }

    /// The mean value for every tubelet: what a model must beat by looking.
    pub fn trivial_prediction(&self, value: &Tensor<3>) -> Tensor<3> {
        mean_of_cells(value)
    }

    /// Predictions as clips, zero where nothing was asked, in [0, 1] where the statistics are known:
    /// what was normalized is brought back with the true mean and deviation of each hidden tubelet,
    /// which the model never saw.
    ///
    /// # Shapes
    ///
    /// - prediction: `[batch, asked, width]`
    /// - output: `[batch, channels, frames, height, width]`
    pub fn reconstruct(&self, prediction: Tensor<3>, batch: &ClipBatch) -> Tensor<5> {
        let pixels = match self.normalized {
            true => {
                let (mean, std) = self.moments(self.raw(batch));
                prediction * std + mean
            }
            false => prediction,
        };
        let nothing = Tensor::zeros([1, self.width()], (&pixels.device(), pixels.dtype()));
        let cells = self.mask(batch).asked.fill(pixels, nothing);
        let grid = clip_grid_of(&batch.clips, self.tubelet, self.patch);
        unpatchify_clip(cells, grid, self.tubelet, self.patch, PatchLayout::ChannelsLast)
    }

    fn mask(&self, batch: &ClipBatch) -> GridMask {
        batch.mask.at(clip_grid_of(&batch.clips, self.tubelet, self.patch).flat())
    }

    /// The asked tubelets' pixels, in the units of the target.
    fn raw(&self, batch: &ClipBatch) -> Tensor<3> {
        self.in_units(self.mask(batch).asked.select(self.patches(&batch.clips)))
    }

    fn patches(&self, clips: &Tensor<5>) -> Tensor<3> {
        let [_, channels, ..] = clips.dims();
        assert!(
            channels == self.channels,
            "a target of {} channels got clips of {channels}",
            self.channels
        );
        let clips = clips.clone().detach();
        patchify_clip(clips, self.tubelet, self.patch, PatchLayout::ChannelsLast)
    }

    /// Tubelets' pixels of the batch's units in those of the target.
    fn in_units(&self, raw: Tensor<3>) -> Tensor<3> {
        let Some(ChannelStatistics { mean, std }) = &self.statistics else { return raw };
        // Channels are the innermost: one value for each, over and over.
        let pixels = self.width() / self.channels;
        let row = |values: &[f32]| {
            let data = TensorData::new(values.repeat(pixels), [1, 1, self.width()]);
            Tensor::<3>::from_data(data, (&raw.device(), raw.dtype()))
        };
        raw.clone() * row(std) + row(mean)
    }

    /// Mean and deviation of each channel of each tubelet, for each of its values.
    fn moments(&self, raw: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [batch, cells, width] = raw.dims();
        let apart = [batch, cells, width / self.channels, self.channels];
        let (variance, mean) = raw.reshape(apart).var_mean(2);
        let all = |moment: Tensor<4>| moment.expand(apart).reshape([batch, cells, width]);
        (all(mean), all(variance.sqrt() + DEVIATION_EPSILON))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;
    use burn::tensor::Tolerance;

    /// Two frames of 1 × 2 pixels and 2 channels, in two tubelets of 2 × 1 × 1, the second hidden: its
    /// first channel is 1, 3, its second 10, 10.
    fn batch() -> ClipBatch {
        let clips = Tensor::<5>::from_floats(
            [[[[[7.0, 1.0]], [[7.0, 3.0]]], [[[7.0, 10.0]], [[7.0, 10.0]]]]],
            &test_device(),
        );
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        ClipBatch::new(clips, Mask::new([mask], &test_device()).unwrap())
    }

    fn target(normalized: bool) -> ClipPixelTarget {
        ClipPixelTarget::new(2, 2, 1, normalized, None)
    }

    fn values(value: Tensor<3>) -> Vec<f32> {
        value.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn values_go_by_frame_then_channel_in_the_units_of_the_statistics() {
        assert_eq!(values(target(false).of(&batch())), [1.0, 10.0, 3.0, 10.0]);
        let statistics = ChannelStatistics { mean: vec![0.5, 0.25], std: vec![0.5, 0.25] };
        let target = ClipPixelTarget { statistics: Some(statistics), ..target(false) };
        assert_eq!(values(target.of(&batch())), [1.0, 2.75, 2.0, 2.75]);
    }

    #[test]
    fn each_channel_is_normalized_by_its_unbiased_deviation_plus_epsilon() {
        let value = values(target(true).of(&batch()));
        // Mean 2, squared deviations 1 + 1 over n − 1 = 1; the other channel does not change.
        let expected = 1.0 / (2f32.sqrt() + 1e-6);
        assert!((value[0] + expected).abs() < 1e-6 && (value[2] - expected).abs() < 1e-6);
        assert_eq!([value[1], value[3]], [0.0, 0.0]);
    }

    #[test]
    fn a_perfect_prediction_reconstructs_the_hidden_pixels_and_nothing_else() {
        for target in [target(true), target(false)] {
            let clips = target.reconstruct(target.of(&batch()), &batch()).into_data();
            let expected = [[[[[0.0f32, 1.0]], [[0.0, 3.0]]], [[[0.0, 10.0]], [[0.0, 10.0]]]]];
            clips.assert_approx_eq::<f32>(&TensorData::from(expected), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn the_loss_is_the_mean_squared_error() {
        let target = target(false);
        let value = target.of(&batch());
        let loss = target.loss(value.clone() + 2.0, value).into_scalar::<f32>();
        assert!((loss - 4.0).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn what_cannot_be_normalized_is_named() {
        let single = ClipPixelTarget { tubelet: 1, ..target(true) };
        assert!(single.validate().unwrap_err().to_string().contains("a tubelet of 1 value"));
        let statistics = Some(ChannelStatistics::none(3));
        let message = ClipPixelTarget { statistics, ..target(true) }.validate().unwrap_err();
        assert!(
            message.to_string().contains("2 channels cannot be brought back with statistics of 3")
        );
    }
}
