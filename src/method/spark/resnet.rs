//! SparK on a network whose norms remember the batches they saw.

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::Spark;
use crate::batch::MimBatch;
use crate::encoder::{ResNet, layers_above};
use crate::error::Result;
use crate::head::{PredictionHead, UNetDecoder};
use crate::nn::{Moments, cast_parameters};
use crate::target::{PixelTarget, Target};
use crate::task::{Measured, Mim, Observed, PretextTask, StepEnd, TaskOutput};

/// A [`Spark`] on a [`ResNet`], whose norms follow the visible cells of each batch after its step.
#[derive(Module, Debug)]
pub struct SparkResNet {
    /// What is kept after pre-training.
    pub encoder: ResNet,
    /// Predicts the hidden patches.
    pub head: UNetDecoder,
    /// What they should have been.
    pub target: PixelTarget,
}

/// What the norms of a network saw of a batch, in the order in which it computes them.
#[derive(Debug, Clone)]
pub struct NormsSeen(pub Vec<Moments>);

impl Observed for NormsSeen {
    fn into_data(self) -> Vec<TensorData> {
        let both = self.0.into_iter().flat_map(|Moments { mean, variance }| [mean, variance]);
        both.map(Tensor::into_data).collect()
    }

    fn from_data(data: Vec<TensorData>, device: &Device) -> Self {
        let mut tensors = data.into_iter().map(|data| Tensor::from_data(data, device));
        let mut seen = Vec::new();
        while let (Some(mean), Some(variance)) = (tensors.next(), tensors.next()) {
            seen.push(Moments { mean, variance });
        }
        Self(seen)
    }
}

impl SparkResNet {
    /// The same parts, as the task that remembers nothing.
    pub fn parts(&self) -> Spark<ResNet> {
        let Self { encoder, head, target } = self.clone();
        Mim { encoder, head, target }
    }

    /// The loss, with the network's arithmetic in `dtype` where there is one.
    fn judged(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> TaskOutput<NormsSeen> {
        let value = self.target.of(batch);
        let (images, mask) = (batch.for_each_mask(batch.images.clone()), &batch.mask);
        let whole: FloatDType = images.dtype().into();
        let (prediction, seen) = match dtype {
            None => {
                let (features, seen) = self.encoder.encode_seen(images, mask);
                (self.head.predict(features, mask), seen)
            }
            Some(dtype) => {
                let encoder = cast_parameters(&self.encoder, dtype);
                let (features, seen) = encoder.encode_seen(images.cast(dtype), mask);
                let prediction = cast_parameters(&self.head, dtype).predict(features, mask);
                (prediction.cast(whole), seen)
            }
        };
        let loss = self.target.loss(prediction, value);
        TaskOutput { loss, observed: NormsSeen(seen) }
    }
}

impl PretextTask for SparkResNet {
    type Batch = MimBatch;
    type Observed = NormsSeen;

    fn loss(&self, batch: MimBatch) -> TaskOutput<NormsSeen> {
        self.judged(&batch, None)
    }

    /// The encoder and the head compute in `dtype`, the target in its own type.
    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput<NormsSeen>> {
        Ok(self.judged(&batch, Some(dtype)))
    }

    fn measure(&self, batch: MimBatch) -> Measured {
        self.parts().measure(batch)
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        self.parts().trivial_loss(batch)
    }

    fn after_step(self, step: StepEnd<NormsSeen>) -> Self {
        let seen = step.observed.into_iter();
        let encoder = seen.fold(self.encoder, |encoder, seen| encoder.follow(seen.0));
        Self { encoder, ..self }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}
