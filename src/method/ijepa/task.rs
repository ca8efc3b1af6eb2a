//! Predicting the features of target blocks from those of a context.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::MimBatch;
use crate::encoder::{Backbone, Encoder, VisibleVit, VitBody, layers_above};
use crate::error::Result;
use crate::head::{PredictionHead, Predictor};
use crate::mask::BlockMasks;
use crate::nn::{Momentum, cast_parameters, follow};
use crate::target::{FeatureLoss, FeatureNorm};
use crate::task::{Measured, PretextTask, StepEnd, TaskOutput};

/// I-JEPA: from a context, a predictor tells what features the target encoder has of several target
/// blocks, each of them predicted by itself.
///
/// The target encoder sees the whole image and is a moving average of the context encoder. As in the
/// paper it is the one that is kept.
#[derive(Module, Debug)]
pub struct IJepa {
    /// Sees the context alone, and is trained.
    pub context_encoder: VisibleVit,
    /// The context's features → those of a target block.
    pub predictor: Predictor,
    /// The target encoder, which is kept after pre-training; no gradient reaches it.
    pub encoder: VitBody,
    #[module(skip)]
    pub(super) momentum: Momentum,
}

/// A batch of images, each with its context and its target blocks.
#[derive(Debug, Clone)]
pub struct IJepaBatch {
    /// `[batch, channels, height, width]`, normalized.
    pub images: Tensor<4>,
    /// What is seen of them, and what is predicted.
    pub masks: BlockMasks,
}

/// What a batch comes to.
pub(super) struct Seen {
    /// The predicted features of every target block, `[batch · targets, block, width]`, those of an
    /// image side by side.
    pub(super) predicted: Tensor<3>,
    /// What they should be.
    pub(super) value: Tensor<3>,
    /// The means of the context encoder's features, `[batch, width]`.
    feature: Tensor<2>,
    /// The means of the target encoder's features, `[batch, width]`.
    target: Tensor<2>,
}

/// The mean over the cells, without gradient.
fn mean(tokens: Tensor<3>) -> Tensor<2> {
    tokens.without_autodiff().mean_dim(1).squeeze_dim(1)
}

fn judged(predicted: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
    FeatureLoss::SmoothL1 { beta: 1.0 }.of(predicted, value)
}

impl IJepa {
    /// The networks compute in `dtype`, targets and loss in the type of the images.
    pub(super) fn see(&self, batch: &IJepaBatch, dtype: Option<FloatDType>) -> Seen {
        let IJepaBatch { images, masks } = batch;
        let whole: FloatDType = images.dtype().into();
        let plain = images.clone().without_autodiff();
        let blocks = MimBatch::new(plain.clone(), masks.targets.clone());
        let predict = |context_encoder: &VisibleVit, predictor: &Predictor, images: Tensor<4>| {
            let mut context = context_encoder.encode(images, &masks.context);
            let feature = mean(context.tokens.clone());
            context.tokens = blocks.for_each_mask(context.tokens);
            context.class_token = context.class_token.map(|token| blocks.for_each_mask(token));
            (predictor.predict(context, &masks.targets), feature)
        };
        let ((predicted, feature), features) = match dtype {
            None => (
                predict(&self.context_encoder, &self.predictor, images.clone()),
                self.encoder.represent(plain),
            ),
            Some(dtype) => {
                let context_encoder = cast_parameters(&self.context_encoder, dtype);
                let predictor = cast_parameters(&self.predictor, dtype);
                let encoder = cast_parameters(&self.encoder, dtype);
                (
                    predict(&context_encoder, &predictor, images.clone().cast(dtype)),
                    encoder.represent(plain.cast(dtype)),
                )
            }
        };
        let tokens = features.tokens.without_autodiff().cast(whole);
        let target = mean(tokens.clone());
        let value = blocks.for_each_mask(FeatureNorm::Layer.apply(tokens));
        let value = masks.targets.at(features.grid).asked.select(value);
        Seen { predicted: predicted.cast(whole), value, feature: feature.cast(whole), target }
    }

    /// The loss of a step.
    fn step(&self, batch: &IJepaBatch, dtype: Option<FloatDType>) -> TaskOutput {
        let Seen { predicted, value, .. } = self.see(batch, dtype);
        judged(predicted, value).into()
    }

    /// The target encoder as an encoder to be trained: with the identities of the context encoder's
    /// parameters.
    #[cfg(feature = "run")]
    pub(super) fn kept(&self) -> VitBody {
        follow(self.context_encoder.body.valid(), &self.encoder, 0.0)
    }
}

impl PretextTask for IJepa {
    type Batch = IJepaBatch;
    type Observed = ();

    fn loss(&self, batch: IJepaBatch) -> TaskOutput {
        self.step(&batch, None)
    }

    fn loss_in(&self, batch: IJepaBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.step(&batch, Some(dtype)))
    }

    /// `trivial` is the loss of predicting the mean of all targets for each, which moves with the
    /// target encoder. With the embeddings `feature` of the context encoder and `target` of the target
    /// encoder.
    fn measure(&self, batch: IJepaBatch) -> Measured {
        let Seen { predicted, value, feature, target } = self.see(&batch, None);
        let mean = value.clone().mean_dim(0).mean_dim(1).expand(value.dims());
        let metrics = vec![("trivial", judged(mean, value.clone()))];
        let embeddings = vec![("feature", feature), ("target", target)];
        Measured { loss: judged(predicted, value), metrics, embeddings }
    }

    /// The target encoder follows the context encoder.
    fn after_step(self, step: StepEnd) -> Self {
        let momentum = self.momentum.at(step.progress);
        let encoder = follow(self.encoder, &self.context_encoder.body, momentum);
        Self { encoder, ..self }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.context_encoder, "context_encoder", parameter)
    }
}
