//! What a run trains: an encoder and a decoder of clips.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use super::copying;
use crate::batch::ClipBatch;
use crate::encoder::{ClipVit, Encoder, layers_above};
use crate::error::Result;
use crate::head::{Decoder, PredictionHead};
use crate::nn::cast_parameters;
use crate::target::ClipPixelTarget;
use crate::task::{Measured, PretextTask, TaskOutput};

/// VideoMAE: encode a tenth of the tubelets of a clip, decode all of them, compare the hidden pixels.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_mim::nn::InitialWeights;
/// use burn_mim::rng::{Purpose, stream};
/// use burn_mim::{Backbone, ClipBatch, ClipShape, ImageShape, Mask, PretextTask, VideoMaeConfig};
///
/// // Four frames of 16 × 16 RGB: two steps of 2 × 2 tubelets.
/// let device = Device::flex();
/// let config = VideoMaeConfig::small_clips(ClipShape::new(ImageShape::square(3, 16), 4));
/// let model = config.init(&mut InitialWeights::new(0, &device));
///
/// let clips = Tensor::<5>::ones([1, 3, 4, 16, 16], &device);
/// let hidden = config.mask()?.sample(&mut stream(0, Purpose::Mask, 0, 0));
/// assert_eq!(hidden.visible(), 2); // one tube
/// let batch = ClipBatch::new(clips.clone(), Mask::new([hidden], &device)?);
/// assert_eq!(model.predict(&batch).dims(), [1, 6, 3 * 2 * 8 * 8]);
/// assert!(model.loss(batch).loss.into_scalar::<f32>().is_finite());
///
/// // What is kept: features of all tubelets, by time, row and column.
/// assert_eq!(model.encoder.represent(clips).tokens.dims(), [1, 8, 128]);
/// # }
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct VideoMae {
    /// What is kept after pre-training.
    pub encoder: ClipVit,
    /// Predicts the hidden tubelets.
    pub head: Decoder,
    /// What they should have been.
    pub target: ClipPixelTarget,
}

impl VideoMae {
    /// The predictions of the hidden tubelets, `[batch, hidden, channels · tubelet · patch²]`.
    ///
    /// # Panics
    ///
    /// When the clips are of another shape than the encoder's, or the mask does not fit them.
    pub fn predict(&self, batch: &ClipBatch) -> Tensor<3> {
        let features = self.encoder.encode(batch.clips.clone(), &batch.mask);
        self.head.predict(features, &batch.mask)
    }

    /// The predicted pixels of the hidden tubelets, zero elsewhere, as clips: see
    /// [`ClipPixelTarget::reconstruct`].
    pub fn reconstruct(&self, batch: &ClipBatch) -> Tensor<5> {
        self.target.reconstruct(self.predict(batch), batch)
    }
}

impl PretextTask for VideoMae {
    type Batch = ClipBatch;
    type Observed = ();

    fn loss(&self, batch: ClipBatch) -> TaskOutput {
        let value = self.target.of(&batch);
        self.target.loss(self.predict(&batch), value).into()
    }

    /// The encoder and the decoder compute in `dtype`, the target in its own type.
    fn loss_in(&self, batch: ClipBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let value = self.target.of(&batch);
        let whole: FloatDType = batch.clips.dtype().into();
        let encoder = cast_parameters(&self.encoder, dtype);
        let features = encoder.encode(batch.clips.cast(dtype), &batch.mask);
        let prediction = cast_parameters(&self.head, dtype).predict(features, &batch.mask);
        Ok(self.target.loss(prediction.cast(whole), value).into())
    }

    /// Beside the loss, `copying`: that of the value of the visible tubelet at the nearest place, and of
    /// the nearest step of that place.
    fn measure(&self, batch: ClipBatch) -> Measured {
        let value = self.target.of(&batch);
        let copied = copying::nearest_visible(&self.target, &batch);
        let copying = self.target.loss(copied, value.clone());
        Measured::new(self.target.loss(self.predict(&batch), value), [("copying", copying)])
    }

    fn trivial_loss(&self, batch: &ClipBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        Some(self.target.loss(self.target.trivial_prediction(&value), value))
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above::<Tensor<5>, _>(&self.encoder, "encoder", parameter)
    }
}
