//! The student, its decoder and its teacher as one task.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::MimBatch;
use crate::encoder::{GridTokens, VisibleVit, layers_above};
use crate::error::Result;
use crate::head::PromptDecoder;
use crate::mask::GridMask;
use crate::method::FrozenTeacher;
use crate::nn::cast_parameters;
use crate::target::{FeatureTarget, Target};
use crate::task::{Measured, PretextTask, TaskOutput};

/// MILAN: from the visible patches, an encoder and a prompting decoder predict the features that a
/// frozen teacher has of all patches.
#[derive(Module, Debug)]
pub struct Milan {
    /// Sees the visible patches alone, and is kept.
    pub encoder: VisibleVit,
    /// Predicts the features of all cells.
    pub decoder: PromptDecoder,
    /// The teacher's features.
    pub target: FeatureTarget<FrozenTeacher>,
}

/// A batch of a [`Milan`].
#[derive(Debug, Clone)]
pub struct MilanBatch {
    /// The images, with masks of as many patches as are to be hidden.
    pub images: MimBatch,
    /// Gumbel noise for each cell, `[batch, cells]`. With it the patches that stay visible are drawn
    /// without replacement by their scores of the teacher (§3.3), in place of those of the masks: they
    /// are the ones of the largest sums of noise and logarithm of the score.
    pub noise: Option<Tensor<2>>,
}

/// What a batch comes to.
struct Seen {
    /// The predicted features of the visible and then of the hidden cells, `[batch, cells, width]`.
    predicted: Tensor<3>,
    /// What they should be.
    value: Tensor<3>,
    /// The means of the visible cells' features, `[batch, width]`.
    feature: Tensor<2>,
}

impl Milan {
    /// The teacher's values of all cells, and the masks that the student sees the images by.
    fn taught(&self, batch: &MilanBatch, dtype: Option<FloatDType>) -> (GridTokens, GridMask) {
        let MilanBatch { images, noise } = batch;
        let Some(noise) = noise else {
            let cells = self.target.of_cells(images, dtype);
            let mask = images.mask.at(cells.grid);
            return (cells, mask);
        };
        let whole = images.images.dtype().into();
        let (features, scores) = self.target.ask(images, dtype, FrozenTeacher::represent_scored);
        let visible = images.mask.at(features.grid).visible.count();
        let scores = scores.without_autodiff().cast(whole).clamp_min(SMALLEST).log();
        let mask = GridMask::of_scores(features.grid, scores + noise.clone(), visible);
        (self.target.values(vec![features], whole), mask)
    }

    /// Encoder, decoder and teacher compute in `dtype`, targets and losses in the images' type.
    fn see(&self, batch: &MilanBatch, dtype: Option<FloatDType>) -> Seen {
        let images = batch.images.images.clone();
        let whole: FloatDType = images.dtype().into();
        let (cells, mask) = self.taught(batch, dtype);
        let predict = |encoder: &VisibleVit, decoder: &PromptDecoder, images| {
            let features = encoder.encode_visible(images, &mask);
            let pooled = features.tokens.clone().without_autodiff().mean_dim(1);
            let predicted = decoder.predict_both(features, &mask).to_vec();
            (Tensor::cat(predicted, 1).cast(whole), pooled.cast(whole).squeeze_dim(1))
        };
        let (predicted, feature) = match dtype {
            None => predict(&self.encoder, &self.decoder, images),
            Some(dtype) => predict(
                &cast_parameters(&self.encoder, dtype),
                &cast_parameters(&self.decoder, dtype),
                images.cast(dtype),
            ),
        };
        let value = [&mask.visible, &mask.asked].map(|part| part.select(cells.tokens.clone()));
        Seen { predicted, value: Tensor::cat(value.to_vec(), 1), feature }
    }

    fn step(&self, batch: &MilanBatch, dtype: Option<FloatDType>) -> TaskOutput {
        let Seen { predicted, value, .. } = self.see(batch, dtype);
        self.target.loss(predicted, value).into()
    }
}

/// Attention is taken for this much at least, so that its logarithm is finite.
const SMALLEST: f64 = 1e-30;

impl PretextTask for Milan {
    type Batch = MilanBatch;
    type Observed = ();

    fn loss(&self, batch: MilanBatch) -> TaskOutput {
        self.step(&batch, None)
    }

    fn loss_in(&self, batch: MilanBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.step(&batch, Some(dtype)))
    }

    /// With the embeddings `feature`, the mean over the visible cells, and `prediction` and `target` of
    /// the first of these.
    fn measure(&self, batch: MilanBatch) -> Measured {
        let Seen { predicted, value, feature } = self.see(&batch, None);
        let mut embeddings = vec![("feature", feature)];
        embeddings.extend(self.target.embeddings(&predicted, &value));
        let loss = self.target.loss(predicted, value);
        Measured { loss, metrics: Vec::new(), embeddings }
    }

    fn trivial_loss(&self, batch: &MilanBatch) -> Option<Tensor<1>> {
        let (cells, _) = self.taught(batch, None);
        let mean = self.target.trivial_prediction(&cells.tokens)?;
        Some(self.target.loss(mean, cells.tokens))
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}
