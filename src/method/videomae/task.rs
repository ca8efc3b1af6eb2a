//! What a run trains: an encoder and a decoder of clips.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};

use super::{VideoMaeConfig, copying};
use crate::batch::ClipBatch;
use crate::encoder::{ClipVit, ClipVitConfig, Encoder, layers_above};
use crate::error::Result;
use crate::head::Decoder;
use crate::nn::{Init, InitialWeights, NormsSeen, per_token};
use crate::target::{ClipMotionTarget, ClipPixelTarget};
use crate::task::{Measured, PretextTask, StepEnd, TaskOutput, encode_in, predict_in};

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
/// assert_eq!(hidden.hidden(), 2); // a quarter
/// let batch = ClipBatch::new(clips.clone(), Mask::new([hidden], &device)?);
/// assert_eq!(model.predict(&batch).dims(), [1, 2, 3 * 2 * 8 * 8]);
/// assert!(model.loss(batch).loss.into_scalar::<f32>().is_finite());
///
/// // What is kept: features of all tubelets, by time, row and column.
/// assert_eq!(model.encoder.represent(clips).tokens.dims(), [1, 8, 96]);
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
    /// How tubelets move, where that is predicted too.
    pub motion: Option<ClipMotion>,
}

/// What predicts how the visible tubelets move, from the encoder's features alone: these tell motion
/// themselves, and no decoder after them.
#[derive(Module, Debug)]
pub struct ClipMotion {
    /// A feature → a histogram.
    pub head: Linear,
    /// What it should have been.
    pub target: ClipMotionTarget,
}

impl ClipMotion {
    /// Where there is something that predicts motion, with fresh weights.
    pub(super) fn new(config: &VideoMaeConfig, weights: &mut InitialWeights) -> Option<Self> {
        let ClipVitConfig { tubelet, patch, width, .. } = config.encoder;
        let target = ClipMotionTarget { tubelet, patch, config: config.motion.clone()? };
        Some(Self { head: weights.linear(width, target.width(), Init::XavierUniform), target })
    }
}

/// What a batch comes to.
struct Predicted {
    /// Pixels of the hidden tubelets, `[batch, hidden, channels · tubelet · patch²]`.
    pixels: Tensor<3>,
    /// The motion of the visible tubelets, `[batch, visible, width]`, where it is predicted.
    motion: Option<Tensor<3>>,
    /// What the encoder's norms saw.
    norms: NormsSeen,
}

impl VideoMae {
    /// The predictions of the hidden tubelets, `[batch, hidden, channels · tubelet · patch²]`.
    ///
    /// # Panics
    ///
    /// When the clips are of another shape than the encoder's, or the mask does not fit them.
    pub fn predict(&self, batch: &ClipBatch) -> Tensor<3> {
        self.predict_all(batch, None).pixels
    }

    /// The predicted pixels of the hidden tubelets, zero elsewhere, as clips: see
    /// [`ClipPixelTarget::reconstruct`].
    pub fn reconstruct(&self, batch: &ClipBatch) -> Tensor<5> {
        self.target.reconstruct(self.predict(batch), batch)
    }

    /// The encoder and the decoder compute in `dtype`; what comes out is of the clips' type.
    fn predict_all(&self, batch: &ClipBatch, dtype: Option<FloatDType>) -> Predicted {
        let whole: FloatDType = batch.clips.dtype().into();
        let (clips, mask) = (batch.clips.clone(), &batch.mask);
        let (features, norms) = encode_in(&self.encoder, clips, mask, dtype);
        let motion = self.motion.as_ref().map(|motion| {
            let features = features.tokens.clone().cast(whole);
            per_token(&motion.head, features)
        });
        let pixels = predict_in(&self.head, features, mask, dtype, whole);
        Predicted { pixels, motion, norms }
    }

    /// The loss of pixels, and that of motion, where it is predicted.
    fn losses(&self, batch: &ClipBatch, predicted: Predicted) -> (Tensor<1>, Option<Tensor<1>>) {
        let pixels = self.target.loss(predicted.pixels, self.target.of(batch));
        let motion = self.motion.as_ref().zip(predicted.motion);
        let motion = motion.map(|(part, motion)| part.target.loss(motion, self.moves(part, batch)));
        (pixels, motion)
    }

    /// How the visible tubelets move, `[batch, visible, width]`.
    fn moves(&self, motion: &ClipMotion, batch: &ClipBatch) -> Tensor<3> {
        let visible = batch.mask.at(self.encoder.config().grid().flat()).visible;
        visible.select(motion.target.of_all(&batch.clips))
    }

    /// Both losses as one.
    fn sum(&self, pixels: Tensor<1>, motion: Option<Tensor<1>>) -> Tensor<1> {
        match (&self.motion, motion) {
            (Some(part), Some(motion)) => pixels + motion * part.target.config.weight,
            _ => pixels,
        }
    }

    fn output(&self, batch: &ClipBatch, mut predicted: Predicted) -> TaskOutput<NormsSeen> {
        let observed = std::mem::take(&mut predicted.norms);
        let (pixels, motion) = self.losses(batch, predicted);
        TaskOutput { loss: self.sum(pixels, motion), observed }
    }
}

impl PretextTask for VideoMae {
    type Batch = ClipBatch;
    type Observed = NormsSeen;

    fn loss(&self, batch: ClipBatch) -> TaskOutput<NormsSeen> {
        self.output(&batch, self.predict_all(&batch, None))
    }

    /// The encoder and the decoder compute in `dtype`, the targets in their own type.
    fn loss_in(&self, batch: ClipBatch, dtype: FloatDType) -> Result<TaskOutput<NormsSeen>> {
        Ok(self.output(&batch, self.predict_all(&batch, Some(dtype))))
    }

    /// Beside the loss, `copying`: that of the value of the visible tubelet at the nearest place, and of
    /// the nearest step of that place. Where motion is predicted, also the two losses that are added.
    fn measure(&self, batch: ClipBatch) -> Measured {
        let copied = copying::nearest_visible(&self.target, &batch);
        let copying = self.target.loss(copied, self.target.of(&batch));
        let (pixels, motion) = self.losses(&batch, self.predict_all(&batch, None));
        let mut metrics = vec![("copying", copying)];
        if let Some(motion) = &motion {
            metrics.extend([("pixels", pixels.clone()), ("motion", motion.clone())]);
        }
        Measured::new(self.sum(pixels, motion), metrics)
    }

    fn trivial_loss(&self, batch: &ClipBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        let pixels = self.target.loss(self.target.trivial_prediction(&value), value);
        let motion = self.motion.as_ref().map(|part| {
            let value = self.moves(part, batch);
            part.target.loss(part.target.trivial_prediction(&value), value)
        });
        Some(self.sum(pixels, motion))
    }

    fn after_step(self, step: StepEnd<NormsSeen>) -> Self {
        Self { encoder: step.observed.into_iter().fold(self.encoder, ClipVit::follow), ..self }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above::<Tensor<5>, _>(&self.encoder, "encoder", parameter)
    }
}
