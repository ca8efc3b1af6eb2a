//! Masked image modelling, whatever its parts.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use super::{Measured, PretextTask, StepEnd, TaskOutput};
use crate::batch::MimBatch;
use crate::encoder::{Encoder, layers_above};
use crate::error::Result;
use crate::head::{Prediction, PredictionHead};
use crate::mask::Mask;
use crate::nn::{NormsSeen, cast_parameters};
use crate::target::{Reconstruct, Target, check_width};

/// An encoder, a head and a target: hide, encode, predict, compare.
#[derive(Module, Debug)]
pub struct Mim<E: Module, H: Module, T: Module> {
    /// What is kept after pre-training.
    pub encoder: E,
    /// Predicts the hidden cells.
    pub head: H,
    /// What they should have been.
    pub target: T,
}

impl<E, H, T> Mim<E, H, T>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = T::Prediction>,
    T: Target,
{
    /// The predictions of the hidden cells, `[batch, hidden, target width]` or two of these.
    ///
    /// # Panics
    ///
    /// When the images do not divide into the encoder's patches, or the mask does not fit them.
    pub fn predict(&self, batch: &MimBatch) -> T::Prediction {
        let features = self.encoder.encode(batch.for_each_mask(batch.images.clone()), &batch.mask);
        self.head.predict(features, &batch.mask)
    }

    /// The loss, with the network's arithmetic in `dtype` where there is one; the target computes in its own
    /// type.
    fn judged(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> TaskOutput<NormsSeen> {
        let value = self.target.of(batch);
        let (images, mask) = (batch.for_each_mask(batch.images.clone()), &batch.mask);
        let whole = images.dtype().into();
        let (features, observed) = encode_in(&self.encoder, images, mask, dtype);
        let prediction = predict_in(&self.head, features, mask, dtype, whole);
        TaskOutput { loss: self.judge(prediction, value), observed }
    }

    /// # Panics
    ///
    /// When the head is not as wide as the target, or predicts another number of cells.
    fn judge(&self, prediction: T::Prediction, value: T::Value) -> Tensor<1> {
        check_width(prediction.width(), self.target.width());
        self.target.loss(prediction, value)
    }
}

impl<E, H, T> Mim<E, H, T>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = T::Prediction>,
    T: Reconstruct,
{
    /// The predicted pixels of the hidden cells, zero elsewhere, in the units of `batch.images`.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, channels, height, width]`
    pub fn reconstruct(&self, batch: &MimBatch) -> Tensor<4> {
        self.target.reconstruct(self.predict(batch), batch)
    }
}

/// The features of images under `mask`, and what the encoder's norms saw. The network computes in `dtype` where
/// there is one, and the features stay in it.
pub(crate) fn encode_in<const D: usize, E: Encoder<Images = Tensor<D>>>(
    encoder: &E,
    images: Tensor<D>,
    mask: &Mask,
    dtype: Option<FloatDType>,
) -> (E::Features, NormsSeen) {
    match dtype {
        None => encoder.encode_seen(images, mask),
        Some(dtype) => cast_parameters(encoder, dtype).encode_seen(images.cast(dtype), mask),
    }
}

/// What `head` predicts from features that [`encode_in`] computed in the same `dtype`, cast to the type of
/// what is predicted.
pub(crate) fn predict_in<F, H: PredictionHead<F>>(
    head: &H,
    features: F,
    mask: &Mask,
    dtype: Option<FloatDType>,
    whole: FloatDType,
) -> H::Prediction {
    match dtype {
        None => head.predict(features, mask),
        Some(dtype) => cast_parameters(head, dtype).predict(features, mask).cast(whole),
    }
}

impl<E, H, T> PretextTask for Mim<E, H, T>
where
    E: Encoder<Images = Tensor<4>>,
    H: PredictionHead<E::Features, Prediction = T::Prediction>,
    T: Target,
{
    type Batch = MimBatch;
    type Observed = NormsSeen;

    fn loss(&self, batch: MimBatch) -> TaskOutput<NormsSeen> {
        self.judged(&batch, None)
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput<NormsSeen>> {
        Ok(self.judged(&batch, Some(dtype)))
    }

    fn measure(&self, batch: MimBatch) -> Measured {
        let (value, prediction) = (self.target.of(&batch), self.predict(&batch));
        check_width(prediction.width(), self.target.width());
        let metrics = self.target.metrics(&prediction, &value);
        let embeddings = self.target.embeddings(&prediction, &value);
        Measured { loss: self.judge(prediction, value), metrics, embeddings }
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        let prediction = self.target.trivial_prediction(&value)?;
        Some(self.target.loss(prediction, value))
    }

    fn after_step(self, step: StepEnd<NormsSeen>) -> Self {
        let encoder = step.observed.into_iter().fold(self.encoder, E::follow);
        let target = self.target.after_step(&encoder, step.progress);
        Self { encoder, target, ..self }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Backbone, Vit, VitConfig};
    use crate::grid::{Grid, ImageShape};
    use crate::head::LinearHead;
    use crate::mask::UnitMask;
    use crate::nn::InitialWeights;
    use crate::target::PixelTarget;
    use crate::test_device;

    /// A head of `width` numbers on patches of 2 of a gray image, and pixels of `cell` to predict.
    fn model(width: usize, cell: usize) -> Mim<Vit, LinearHead, PixelTarget> {
        let weights = &mut InitialWeights::new(0, &test_device());
        Mim {
            encoder: VitConfig::new(ImageShape::new(1, 8, 8), 2, 8, 1, 2).init(weights),
            head: LinearHead::new(8, width, weights),
            target: PixelTarget::simmim(1, cell),
        }
    }

    /// One image with one of its four quarters hidden.
    fn batch() -> MimBatch {
        let mask = UnitMask::from_indices(Grid::new(2, 2), [3]).unwrap();
        let images = Tensor::ones([1, 1, 8, 8], &test_device());
        MimBatch::new(images, Mask::new([mask], &test_device()).unwrap())
    }

    #[test]
    fn a_head_as_wide_as_the_target_is_judged() {
        let loss = model(4, 2).loss(batch()).loss;
        assert!(loss.into_scalar::<f32>().is_finite());
    }

    #[test]
    #[should_panic(expected = "a head that predicts 1 numbers for each hidden cell does not go \
                               with a target of 4")]
    fn a_head_whose_one_number_would_be_broadcast_panics_with_both_widths() {
        model(1, 2).loss(batch());
    }

    #[test]
    #[should_panic(expected = "predicts 3 numbers for each hidden cell does not go with a target \
                               of 4")]
    fn a_head_of_another_width_panics_with_both_widths_in_half_precision_too() {
        let _ = model(3, 2).loss_in(batch(), FloatDType::F32);
    }

    #[test]
    #[should_panic(expected = "predictions are of 1×4 hidden cells, the target's values of 1×1")]
    fn a_target_of_larger_cells_than_the_encoders_panics_with_both_counts() {
        model(16, 4).loss(batch());
    }

    #[test]
    #[should_panic(expected = "an encoder that reads images of 1 channels got images of 5")]
    fn images_of_other_channels_panic_with_both() {
        model(4, 2).encoder.represent(Tensor::ones([1, 5, 8, 8], &test_device()));
    }
}
