//! Masked image modelling, whatever its parts.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use super::{PretextTask, TaskOutput};
use crate::batch::MimBatch;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::head::PredictionHead;
use crate::nn::cast_parameters;
use crate::target::{Reconstruct, Target};

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
    E: Encoder,
    H: PredictionHead<E::Features>,
    T: Target,
{
    /// The prediction for each hidden cell, `[batch, hidden, target width]`.
    pub fn predict(&self, batch: &MimBatch) -> Tensor<3> {
        let features = self.encoder.encode(batch.images.clone(), &batch.mask);
        self.head.predict(features, &batch.mask)
    }

    fn judge(&self, prediction: Tensor<3>, value: T::Value) -> TaskOutput {
        let metrics = self.target.metrics(&prediction, &value);
        TaskOutput { loss: self.target.loss(prediction, value), metrics, observed: None }
    }
}

impl<E, H, T> Mim<E, H, T>
where
    E: Encoder,
    H: PredictionHead<E::Features>,
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

impl<E, H, T> PretextTask for Mim<E, H, T>
where
    E: Encoder,
    H: PredictionHead<E::Features>,
    T: Target,
{
    type Batch = MimBatch;

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        let value = self.target.of(&batch);
        self.judge(self.predict(&batch), value)
    }

    /// The encoder and the head compute in `dtype`, the target as ever.
    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let value = self.target.of(&batch);
        let whole = batch.images.dtype();
        let encoder = cast_parameters(&self.encoder, dtype);
        let features = encoder.encode(batch.images.cast(dtype), &batch.mask);
        let prediction = cast_parameters(&self.head, dtype).predict(features, &batch.mask);
        Ok(self.judge(prediction.cast(whole), value))
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        let prediction = self.target.trivial_prediction(&value)?;
        Some(self.target.loss(prediction, value))
    }
}
