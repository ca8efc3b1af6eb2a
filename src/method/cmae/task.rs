//! Reconstruction and contrast as one task.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::MimBatch;
use crate::encoder::{Backbone, VisibleTokens, VitBody, layers_above};
use crate::error::Result;
use crate::head::Decoder;
use crate::method::{ContrastTeacher, Mae};
use crate::nn::{Projection, cast_parameters};
use crate::target::Target;
use crate::task::{
    Measured, PretextTask, StepEnd, TaskOutput, contrast, encode_in, guessing, predict_in,
};

/// CMAE: a masked autoencoder whose visible cells also tell the image from the others of the batch,
/// by the features that a teacher has of a shifted view.
///
/// The target view of a batch is the teacher's; where there is none, it sees the images themselves.
#[derive(Module, Debug)]
pub struct Cmae {
    /// The masked autoencoder, whose encoder is kept.
    pub mae: Mae,
    /// A vector of features → a projection.
    pub projector: Projection,
    /// Predicts the features of the hidden cells.
    pub feature_decoder: Decoder,
    /// A projection → the teacher's.
    pub predictor: Projection,
    /// Sees the shifted view whole.
    pub teacher: ContrastTeacher<VitBody>,
    pub(super) temperature: f64,
    pub(super) contrast: f64,
    pub(super) momentum: f64,
}

/// What a batch comes to.
struct Seen {
    reconstruction: Tensor<1>,
    contrast: Tensor<1>,
    /// The means of the student's visible cells, `[batch, features]`.
    feature: Tensor<2>,
    /// The means of the teacher's cells, `[batch, features]`.
    target: Tensor<2>,
}

/// The mean over the cells.
fn mean(tokens: Tensor<3>) -> Tensor<2> {
    tokens.mean_dim(1).squeeze_dim(1)
}

impl Cmae {
    /// The encoders and decoders compute in `dtype`, the small heads and both losses in the type of
    /// the parameters.
    fn see(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Seen {
        let whole: FloatDType = batch.images.dtype().into();
        let value = self.mae.target.of(batch);
        let view = batch.target_view.as_ref().unwrap_or(&batch.images);
        let view = view.clone().without_autodiff();
        let (features, _) = encode_in(&self.mae.encoder, batch.images.clone(), &batch.mask, dtype);
        let features: VisibleTokens = features;
        let pixels = predict_in(&self.mae.head, features.clone(), &batch.mask, dtype, whole);
        let decoder = &self.feature_decoder;
        let predicted = predict_in(decoder, features.clone(), &batch.mask, dtype, whole);
        let known = match dtype {
            None => self.teacher.encoder.represent(view),
            Some(dtype) => {
                cast_parameters(&self.teacher.encoder, dtype).represent(view.cast(dtype))
            }
        };
        let query = self.predictor.forward(self.projector.forward(mean(predicted)));
        let known = known.mean_pool().without_autodiff().cast(whole);
        let key = self.teacher.projector.forward(known.clone()).without_autodiff();
        // Twice the temperature, so that gradients do not depend on it (official code).
        let contrast = contrast(query, key, self.temperature) * (2.0 * self.temperature);
        Seen {
            reconstruction: self.mae.target.loss(pixels, value),
            contrast,
            feature: mean(features.tokens.without_autodiff().cast(whole)),
            target: known,
        }
    }

    fn joined(&self, seen: Seen) -> TaskOutput {
        (seen.reconstruction + seen.contrast * self.contrast).into()
    }

    /// The same task whose teacher is its student.
    #[cfg(feature = "run")]
    pub(super) fn with_teacher_of_now(self) -> Self {
        self.with_teacher_after(0.0)
    }

    fn with_teacher_after(self, momentum: f64) -> Self {
        let teacher = self.teacher.follow(&self.mae.encoder.body, &self.projector, momentum);
        Self { teacher, ..self }
    }
}

impl PretextTask for Cmae {
    type Batch = MimBatch;
    type Observed = ();

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        self.joined(self.see(&batch, None))
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.joined(self.see(&batch, Some(dtype))))
    }

    /// With the embeddings `feature` of the student and `target` of the teacher.
    fn measure(&self, batch: MimBatch) -> Measured {
        let seen = self.see(&batch, None);
        let metrics = vec![
            ("reconstruction", seen.reconstruction.clone()),
            ("contrast", seen.contrast.clone()),
        ];
        let embeddings = vec![("feature", seen.feature.clone()), ("target", seen.target.clone())];
        Measured { loss: self.joined(seen).loss, metrics, embeddings }
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let reconstruction = self.mae.trivial_loss(batch)?;
        let guess = guessing(batch.size(), &batch.images.device());
        Some(reconstruction + guess * (2.0 * self.temperature * self.contrast))
    }

    /// The teacher follows the student.
    fn after_step(self, _step: StepEnd) -> Self {
        let momentum = self.momentum;
        self.with_teacher_after(momentum)
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.mae.encoder, "mae.encoder", parameter)
    }
}
