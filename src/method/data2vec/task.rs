//! The student and its teacher as one task.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::MimBatch;
use crate::encoder::{VisibleVit, layers_above};
use crate::error::Result;
use crate::head::ConvDecoder;
use crate::target::{FeatureTarget, Target, first_cells};
use crate::task::{Measured, PretextTask, StepEnd, TaskOutput, encode_in, predict_in};

/// data2vec 2.0: from the visible cells of an image, an encoder and a decoder predict the features
/// that a moving average of the encoder has of the hidden ones, seeing the whole image. Each image may
/// have several masks, for which the teacher sees it once.
#[derive(Module, Debug)]
pub struct Data2Vec {
    /// The student, which is kept.
    pub encoder: VisibleVit,
    /// Predicts the features of hidden cells.
    pub decoder: ConvDecoder,
    /// The teacher's features.
    pub target: FeatureTarget<VisibleVit>,
    pub(super) class_loss: f64,
}

/// Features for each cell, and for each class token where there is a loss of these,
/// `[masks, cells or 1, width]`.
struct Features {
    cells: Tensor<3>,
    class: Option<Tensor<3>>,
}

/// What a batch comes to.
struct Seen {
    predicted: Features,
    value: Features,
    /// The means of the visible cells, `[masks, width]`.
    pooled: Tensor<2>,
}

impl Data2Vec {
    /// Encoder, decoder and teacher compute in `dtype`, targets and losses in the images' type.
    fn see(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Seen {
        let whole: FloatDType = batch.images.dtype().into();
        let value = self.value(batch, dtype);
        let images = batch.for_each_mask(batch.images.clone());
        let (features, _) = encode_in(&self.encoder, images, &batch.mask, dtype);
        let cells = predict_in(&self.decoder, features.clone(), &batch.mask, dtype, whole);
        let class = features.class_token.filter(|_| self.class_loss > 0.0);
        let class = class.map(|class| class.cast(whole).unsqueeze_dim(1));
        let pooled = features.tokens.without_autodiff().cast(whole).mean_dim(1).squeeze_dim(1);
        Seen { predicted: Features { cells, class }, value, pooled }
    }

    /// What is to be predicted: a class token predicts the mean over all cells.
    fn value(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Features {
        let cells = self.target.of_cells(batch, dtype);
        let class =
            (self.class_loss > 0.0).then(|| batch.for_each_mask(cells.tokens.clone().mean_dim(1)));
        Features { cells: self.target.asked(batch, cells), class }
    }

    /// The loss of hidden cells, and that of class tokens: each is the sum over the features divided
    /// by √width, and the mean over cells and masks.
    fn losses(&self, predicted: Features, value: Features) -> [Option<Tensor<1>>; 2] {
        let scale = (self.target.width() as f64).sqrt();
        let judge = |predicted, value| self.target.loss(predicted, value) * scale;
        let class = predicted.class.zip(value.class).map(|(class, value)| judge(class, value));
        [Some(judge(predicted.cells, value.cells)), class]
    }

    fn joined(&self, losses: [Option<Tensor<1>>; 2]) -> Tensor<1> {
        let [cells, class] = losses;
        let cells = cells.expect("hidden cells have a loss");
        match class {
            Some(class) => cells + class * self.class_loss,
            None => cells,
        }
    }

    fn judged(&self, seen: Seen) -> TaskOutput {
        self.joined(self.losses(seen.predicted, seen.value)).into()
    }

    /// The same task whose teacher is its student.
    #[cfg(feature = "run")]
    pub(super) fn with_teacher_of_now(self) -> Self {
        let target = self.target.beginning_at(&self.encoder);
        Self { target, ..self }
    }
}

impl PretextTask for Data2Vec {
    type Batch = MimBatch;
    type Observed = ();

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        self.judged(self.see(&batch, None))
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.judged(self.see(&batch, Some(dtype))))
    }

    /// With the embeddings `feature`, the mean over the visible cells, and `target`, that of the first
    /// hidden cell, of each mask: a mean over the cells of an image that are normalized over these is
    /// the same for all.
    fn measure(&self, batch: MimBatch) -> Measured {
        let Seen { predicted, value, pooled } = self.see(&batch, None);
        let target = first_cells(&value.cells);
        let losses = self.losses(predicted, value);
        let named = ["cells", "class"].into_iter().zip(losses.clone());
        let metrics = named.filter_map(|(name, loss)| Some((name, loss?))).collect();
        let embeddings = vec![("feature", pooled), ("target", target)];
        Measured { loss: self.joined(losses), metrics, embeddings }
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let value = self.value(batch, None);
        let mean = |value| self.target.trivial_prediction(value);
        let class = value.class.as_ref().and_then(mean);
        let means = Features { cells: mean(&value.cells)?, class };
        Some(self.joined(self.losses(means, value)))
    }

    /// The teacher follows the student.
    fn after_step(self, step: StepEnd) -> Self {
        let target = self.target.after_step(&self.encoder, step.progress);
        Self { target, ..self }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}
