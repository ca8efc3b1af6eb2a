//! Pixels of the hidden patches, raw or normalized.

use burn::module::Module;
use burn::tensor::{Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::normalization::{cell_statistics, sliding_statistics};
use super::{Normalization, Reconstruct, Target, check_prediction, mask_of_patches, mean_of_cells};
use crate::batch::MimBatch;
use crate::image::{PatchLayout, low_pass, patchify, unpatchify};

/// How far a prediction is from its value, averaged over all values of all hidden cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PixelLoss {
    /// Absolute error (SimMIM).
    L1,
    /// Squared error (MAE).
    L2,
    /// d² / 2β up to β, then d − β / 2 (PyTorch's `SmoothL1Loss`).
    SmoothL1 {
        /// Where the parabola ends, > 0.
        beta: f64,
    },
}

/// The pixels of each hidden cell: all channels of `patch` × `patch` pixels, in the units of the
/// batch's images or normalized.
#[derive(Module, Debug)]
pub struct PixelTarget {
    /// Channels of the images.
    pub channels: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// How the pixels are normalized.
    #[module(skip)]
    pub normalization: Normalization,
    /// The order of a cell's values.
    #[module(skip)]
    pub layout: PatchLayout,
    /// How a prediction is judged.
    #[module(skip)]
    pub loss: PixelLoss,
    /// Where the frequencies end that are predicted, in cycles per image; see
    /// [`low_pass`](crate::image::low_pass). `None` for all.
    pub low_pass: Option<f64>,
}

impl PixelTarget {
    /// MAE's target: (row, column, channel), squared error.
    pub fn mae(channels: usize, patch: usize, normalized: bool) -> Self {
        let normalization = if normalized { Normalization::Cell } else { Normalization::None };
        let (layout, loss) = (PatchLayout::ChannelsLast, PixelLoss::L2);
        Self { channels, patch, normalization, layout, loss, low_pass: None }
    }

    /// SimMIM's target: (channel, row, column), raw pixels, absolute error.
    pub fn simmim(channels: usize, patch: usize) -> Self {
        let normalization = Normalization::None;
        let (layout, loss) = (PatchLayout::ChannelsFirst, PixelLoss::L1);
        Self { channels, patch, normalization, layout, loss, low_pass: None }
    }

    /// The same target with another loss.
    ///
    /// # Panics
    ///
    /// When the β of a smooth L1 is not positive.
    pub fn with_loss(mut self, loss: PixelLoss) -> Self {
        if let PixelLoss::SmoothL1 { beta } = loss {
            assert!(beta > 0.0, "smooth L1 needs a beta above 0, got {beta}");
        }
        self.loss = loss;
        self
    }

    /// The same target with pixels normalized in another way.
    ///
    /// # Panics
    ///
    /// With the message of [`Normalization::validate`] when that fails.
    pub fn with_normalization(mut self, normalization: Normalization) -> Self {
        normalization.validate().unwrap_or_else(|error| panic!("{error}"));
        self.normalization = normalization;
        self
    }

    /// The same target of images without the frequencies beyond `radius` cycles per image (PixMIM,
    /// arXiv 2303.02416 §3.2).
    ///
    /// # Panics
    ///
    /// When the radius is not above 0.
    pub fn with_low_pass(mut self, radius: f64) -> Self {
        assert!(radius > 0.0, "a low-pass target needs a radius above 0, got {radius}");
        self.low_pass = Some(radius);
        self
    }

    /// The images whose pixels are predicted.
    fn images(&self, batch: &MimBatch) -> Tensor<4> {
        let images = batch.images.clone();
        match self.low_pass {
            Some(radius) => low_pass(images.detach(), radius),
            None => images,
        }
    }

    /// Predictions in target space as images, zero at visible cells.
    ///
    /// # Shapes
    ///
    /// - prediction: `[batch, hidden, width]`
    /// - output: `[batch, channels, height, width]`
    pub fn place(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        let mask = mask_of_patches(batch, self.patch);
        let nothing = Tensor::zeros([1, self.width()], (&prediction.device(), prediction.dtype()));
        let cells = mask.asked.fill(prediction, nothing);
        unpatchify(cells, mask.grid(), self.patch, self.layout)
    }

    /// The hidden cells of an image-sized tensor.
    fn hidden(&self, images: Tensor<4>, batch: &MimBatch) -> Tensor<3> {
        let patches = patchify(images, self.patch, self.layout);
        mask_of_patches(batch, self.patch).asked.select(patches).detach()
    }

    /// Mean and standard deviation of the hidden cells' pixels, to be broadcast over `raw`, these
    /// pixels of `images`; `None` where they stay as they are.
    fn statistics(
        &self,
        raw: &Tensor<3>,
        images: Tensor<4>,
        batch: &MimBatch,
    ) -> Option<(Tensor<3>, Tensor<3>)> {
        match self.normalization {
            Normalization::None => None,
            Normalization::Cell => Some(cell_statistics(raw.clone())),
            Normalization::Sliding { side } => {
                let (mean, std) = sliding_statistics(images, side);
                Some((self.hidden(mean, batch), self.hidden(std, batch)))
            }
        }
    }
}

impl Target for PixelTarget {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.channels * self.patch * self.patch
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        assert_shape!(&batch.images, [_, self.channels, _, _]);
        let images = self.images(batch);
        let raw = self.hidden(images.clone(), batch);
        match self.statistics(&raw, images, batch) {
            Some((mean, std)) => (raw - mean) / std,
            None => raw,
        }
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, hidden, _] = value.dims();
        check_prediction(&prediction, [batch, hidden], self.width());
        let error = prediction - value;
        match self.loss {
            PixelLoss::L1 => error.abs().mean(),
            PixelLoss::L2 => error.square().mean(),
            PixelLoss::SmoothL1 { beta } => {
                // With c = min(|d|, β): c²/2β + |d| − c is both branches at once.
                let distance = error.abs();
                let near = distance.clone().clamp_max(beta);
                (near.clone().square() / (2.0 * beta) + distance - near).mean()
            }
        }
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        Some(mean_of_cells(value))
    }
}

impl Reconstruct for PixelTarget {
    fn reconstruct(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        let images = self.images(batch);
        let raw = self.hidden(images.clone(), batch);
        let pixels = match self.statistics(&raw, images, batch) {
            Some((mean, std)) => prediction * std + mean,
            None => prediction,
        };
        self.place(pixels, batch)
    }

    fn caption(&self) -> &'static str {
        match self.normalization {
            Normalization::None => "",
            Normalization::Cell => {
                "Predictions are de-normalized with the true mean and deviation of each hidden patch, which the model never saw."
            }
            Normalization::Sliding { .. } => {
                "Predictions are de-normalized with the true mean and deviation around each pixel, which the model never saw."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;
    use burn::tensor::TensorData;

    /// One 1-channel image of 2×4 pixels in two cells, the right one hidden.
    fn batch() -> MimBatch {
        let images =
            Tensor::from_floats([[[[9.0, 9.0, 1.0, 2.0], [9.0, 9.0, 3.0, 6.0]]]], &test_device());
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        MimBatch::new(images, Mask::new([mask], &test_device()).unwrap())
    }

    fn prediction() -> Tensor<3> {
        Tensor::from_floats([[[0.0, 2.0, 3.0, 8.0]]], &test_device())
    }

    fn loss(loss: PixelLoss) -> f32 {
        let target = PixelTarget::simmim(1, 2).with_loss(loss);
        target.loss(prediction(), target.of(&batch())).into_scalar()
    }

    #[test]
    fn losses_are_means_over_hidden_values() {
        // Errors: −1, 0, 0, 2.
        assert_eq!(loss(PixelLoss::L1), 3.0 / 4.0);
        assert_eq!(loss(PixelLoss::L2), 5.0 / 4.0);
        // β = 1.5: 1/3 and 2 − 0.75.
        let expected = (1.0 / 3.0 + 1.25) / 4.0;
        assert!((loss(PixelLoss::SmoothL1 { beta: 1.5 }) - expected).abs() < 1e-6);
    }

    #[test]
    fn a_normalized_patch_uses_its_unbiased_variance() {
        // Mean 3, squared deviations 4 + 1 + 0 + 9 = 14, over n − 1 = 3.
        let value =
            PixelTarget::mae(1, 2, true).of(&batch()).into_data().try_to_vec::<f32>().unwrap();
        let std = (14.0f32 / 3.0 + 1e-6).sqrt();
        for (got, pixel) in value.iter().zip([1.0, 2.0, 3.0, 6.0]) {
            assert!((got - (pixel - 3.0) / std).abs() < 1e-6, "{got}");
        }
    }

    #[test]
    fn a_perfect_prediction_reconstructs_the_hidden_pixels_and_nothing_else() {
        let sliding = Normalization::Sliding { side: 3 };
        for target in [
            PixelTarget::mae(1, 2, true),
            PixelTarget::simmim(1, 2),
            PixelTarget::simmim(1, 2).with_normalization(sliding),
        ] {
            let perfect = target.of(&batch());
            let images = target.reconstruct(perfect, &batch()).into_data();
            let expected = TensorData::from([[[[0.0f32, 0.0, 1.0, 2.0], [0.0, 0.0, 3.0, 6.0]]]]);
            images.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn the_trivial_prediction_is_the_mean_of_each_value() {
        let value = Tensor::from_floats(
            [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]],
            &test_device(),
        );
        let mean = PixelTarget::simmim(2, 1).trivial_prediction(&value).unwrap();
        let mean: Vec<f32> = mean.into_data().try_to_vec().unwrap();
        assert_eq!(mean, [3.0, 4.0].repeat(4));
    }
}
