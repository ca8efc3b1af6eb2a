//! What a run trains: a masked autoencoder that may also tell its images apart.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor, s};

use super::{Mae, MaeTarget};
use crate::batch::MimBatch;
use crate::config::config;
use crate::encoder::{VisibleVit, layers_above};
use crate::error::{Result, ensure};
use crate::head::AnyDecoder;
use crate::limits;
use crate::nn::{InitialWeights, NormsSeen, Projection};
use crate::target::Target;
use crate::task::{
    Measured, Mim, PretextTask, StepEnd, TaskOutput, contrast, encode_in, guessing, predict_in,
};

config! {
    /// How a masked autoencoder also tells the images of a batch apart, by the means of the visible
    /// cells of two views of each: contrastive masked autoencoders (CAN, Mishra et al. 2022, arXiv
    /// 2210.16870 §3), without their prediction of noise. The numbers are ours (docs/recipes.md).
    #[derive(Debug, PartialEq)]
    pub struct ViewContrastConfig {
        /// The weight of the contrast beside the reconstruction. Default: 1
        pub weight: f64 = 1.0,
        /// What cosines are divided by. Default: 0.2
        pub temperature: f64 = 0.2,
        /// Features between the layers of the projector. Default: 512
        pub hidden: usize = 512,
        /// Layers of the projector. Default: 2
        pub layers: usize = 2,
        /// Features of a projection. Default: 128
        pub projection: usize = 128,
    }
}

impl ViewContrastConfig {
    /// Checks every rule that the numbers must keep, for an encoder of `width` features.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, width: usize) -> Result<()> {
        let Self { weight, temperature, .. } = *self;
        ensure!(
            weight.is_finite() && weight > 0.0,
            "contrast.weight must be a finite number above 0, got {weight:?}: leave the contrast out \
             for none"
        );
        ensure!(
            temperature.is_finite() && temperature > 0.0,
            "contrast.temperature must be a finite number above 0, got {temperature:?}"
        );
        for (name, number, most) in [
            ("hidden", self.hidden, limits::MLP_WIDTH),
            ("projection", self.projection, limits::MLP_WIDTH),
            ("layers", self.layers, limits::DEPTH),
        ] {
            ensure!(number > 0, "contrast.{name} must be at least 1, got 0");
            limits::at_most(name, number, most)?;
        }
        limits::parameters(Projection::parameters(&self.widths(width)))
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths = vec![self.hidden; self.layers + 1];
        widths[0] = width;
        widths[self.layers] = self.projection;
        widths
    }

    /// The projector of an encoder of `width` features, with fresh weights.
    pub(super) fn init(&self, width: usize, weights: &mut InitialWeights) -> ViewContrast {
        ViewContrast {
            projector: Projection::new(&self.widths(width), false, weights),
            temperature: self.temperature,
            weight: self.weight,
        }
    }
}

/// What tells images apart by two views of each.
#[derive(Module, Debug)]
pub struct ViewContrast {
    /// The mean of the visible cells → a projection.
    pub projector: Projection,
    temperature: f64,
    weight: f64,
}

impl ViewContrast {
    /// The InfoNCE loss of `[2 * images, width]`, in which the two views of an image follow each other:
    /// each view has to find the other among the other views of all images, in both directions.
    ///
    /// # Panics
    ///
    /// When the number of views is odd.
    fn loss(&self, pooled: Tensor<2>) -> Tensor<1> {
        let [views, _] = pooled.dims();
        assert!(views.is_multiple_of(2), "views come in pairs, got {views}");
        let projected = self.projector.forward(pooled);
        let [_, width] = projected.dims();
        let pairs = projected.reshape([views / 2, 2, width]);
        let view = |index: usize| pairs.clone().slice(s![.., index..index + 1, ..]).squeeze_dim(1);
        let [first, second]: [Tensor<2>; 2] = [view(0), view(1)];
        let forth = contrast(first.clone(), second.clone(), self.temperature);
        (forth + contrast(second, first, self.temperature)) / 2
    }
}

/// A masked autoencoder, whose parameters have the paths of a [`Mae`]'s, and what tells its images
/// apart where that is asked for. Its batches then hold two views of each image, one after the other
/// ([`MimCollate::with_second_views`](crate::data::MimCollate::with_second_views)).
#[derive(Module, Debug)]
pub struct MaeTask {
    /// What is kept after pre-training.
    pub encoder: VisibleVit,
    /// Predicts the hidden cells.
    pub head: AnyDecoder,
    /// What they should have been.
    pub target: MaeTarget,
    /// What tells images apart.
    pub contrast: Option<ViewContrast>,
}

impl From<Mae> for MaeTask {
    fn from(Mim { encoder, head, target }: Mae) -> Self {
        Self { encoder, head, target, contrast: None }
    }
}

/// What a batch comes to where images are told apart.
struct Seen {
    prediction: Tensor<3>,
    value: Tensor<3>,
    /// The means of the visible cells, `[views, features]`.
    pooled: Tensor<2>,
    /// What the encoder's norms saw.
    norms: NormsSeen,
}

impl MaeTask {
    /// The autoencoder alone.
    pub fn autoencoder(&self) -> Mae {
        let Self { encoder, head, target, .. } = self.clone();
        Mim { encoder, head, target }
    }

    /// The encoder and the decoder compute in `dtype`; what comes out is of the parameters' type.
    fn see(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Seen {
        let whole: FloatDType = batch.images.dtype().into();
        let value = self.target.of(batch);
        let (images, mask) = (batch.images.clone(), &batch.mask);
        let (features, norms) = encode_in(&self.encoder, images, mask, dtype);
        let prediction = predict_in(&self.head, features.clone(), mask, dtype, whole);
        let pooled = features.tokens.mean_dim(1).squeeze_dim(1).cast(whole);
        Seen { prediction, value, pooled, norms }
    }

    fn loss_with(&self, contrast: &ViewContrast, seen: Seen) -> TaskOutput<NormsSeen> {
        let reconstruction = self.target.loss(seen.prediction, seen.value);
        let loss = reconstruction + contrast.loss(seen.pooled) * contrast.weight;
        TaskOutput { loss, observed: seen.norms }
    }
}

impl PretextTask for MaeTask {
    type Batch = MimBatch;
    type Observed = NormsSeen;

    fn loss(&self, batch: MimBatch) -> TaskOutput<NormsSeen> {
        match &self.contrast {
            None => self.autoencoder().loss(batch),
            Some(contrast) => self.loss_with(contrast, self.see(&batch, None)),
        }
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput<NormsSeen>> {
        match &self.contrast {
            None => self.autoencoder().loss_in(batch, dtype),
            Some(contrast) => Ok(self.loss_with(contrast, self.see(&batch, Some(dtype)))),
        }
    }

    /// With a contrast, the embeddings `feature` are the means of the visible cells.
    fn measure(&self, batch: MimBatch) -> Measured {
        let Some(part) = &self.contrast else { return self.autoencoder().measure(batch) };
        let Seen { prediction, value, pooled, .. } = self.see(&batch, None);
        let mut metrics = self.target.metrics(&prediction, &value);
        let reconstruction = self.target.loss(prediction, value);
        let contrast = part.loss(pooled.clone());
        metrics
            .extend([("reconstruction", reconstruction.clone()), ("contrast", contrast.clone())]);
        let loss = reconstruction + contrast * part.weight;
        Measured { loss, metrics, embeddings: vec![("feature", pooled)] }
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let reconstruction = self.autoencoder().trivial_loss(batch)?;
        Some(match &self.contrast {
            None => reconstruction,
            Some(contrast) => {
                let guess = guessing(batch.size() / 2, &batch.images.device());
                reconstruction + guess * contrast.weight
            }
        })
    }

    fn after_step(self, step: StepEnd<NormsSeen>) -> Self {
        let Self { encoder, head, target, contrast } = self;
        Self { contrast, ..Mim { encoder, head, target }.after_step(step).into() }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}
