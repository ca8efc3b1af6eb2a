//! One target for two predictions.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Reconstruct, Target};
use crate::batch::MimBatch;

/// A target that both of a head's two predictions are compared with; the two losses are added, and
/// metrics and pictures show the first prediction (BEiT v2, arXiv 2208.06366, §3.3).
#[derive(Module, Debug)]
pub struct Both<T: Module> {
    /// What each prediction is compared with.
    pub target: T,
}

impl<T: Target> Target for Both<T> {
    type Prediction = [T::Prediction; 2];
    type Value = T::Value;

    fn width(&self) -> usize {
        self.target.width()
    }

    fn of(&self, batch: &MimBatch) -> T::Value {
        self.target.of(batch)
    }

    fn loss(&self, [first, second]: [T::Prediction; 2], value: T::Value) -> Tensor<1> {
        self.target.loss(first, value.clone()) + self.target.loss(second, value)
    }

    fn metrics(
        &self,
        [first, _]: &[T::Prediction; 2],
        value: &T::Value,
    ) -> Vec<(&'static str, Tensor<1>)> {
        self.target.metrics(first, value)
    }

    fn embeddings(
        &self,
        [first, _]: &[T::Prediction; 2],
        value: &T::Value,
    ) -> Vec<(&'static str, Tensor<2>)> {
        self.target.embeddings(first, value)
    }

    fn trivial_prediction(&self, value: &T::Value) -> Option<[T::Prediction; 2]> {
        let prediction = self.target.trivial_prediction(value)?;
        Some([prediction.clone(), prediction])
    }

    fn after_step<E: Module>(self, encoder: &E, progress: f64) -> Self {
        Self { target: self.target.after_step(encoder, progress) }
    }
}

impl<T: Reconstruct> Reconstruct for Both<T> {
    fn reconstruct(&self, [first, _]: [T::Prediction; 2], batch: &MimBatch) -> Tensor<4> {
        self.target.reconstruct(first, batch)
    }

    fn caption(&self) -> &'static str {
        self.target.caption()
    }
}
