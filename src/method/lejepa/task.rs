//! The encoder and its projector as one task.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::MimBatch;
use crate::encoder::{VisibleTokens, VisibleVit, layers_above};
use crate::error::Result;
use crate::nn::Projection;
use crate::task::{Measured, PretextTask, SigReg, TaskOutput, encode_in};

/// LeJEPA of masked views: the embedding of every view of an image predicts the mean of the embeddings
/// of all its views, and the embeddings of a batch are a sample of a normal distribution. There is no
/// teacher, no predictor, and no gradient is stopped.
#[derive(Module, Debug)]
pub struct LeJepa {
    /// Sees the visible cells of a view, and is kept.
    pub encoder: VisibleVit,
    /// A vector of features → an embedding.
    pub projector: Projection,
    #[module(skip)]
    pub(super) sigreg: SigReg,
    pub(super) lambda: f64,
}

/// A batch of images as several views of each, and random directions.
#[derive(Debug, Clone)]
pub struct LeJepaBatch {
    /// [`CROPS`](Self::CROPS) crops of each image, one after the other, and the same number of masks
    /// of each crop: as many views.
    pub crops: MimBatch,
    /// What embeddings are projected on, of any length, `[embedding, slices]`.
    pub directions: Tensor<2>,
}

impl LeJepaBatch {
    /// Crops of an image.
    pub const CROPS: usize = 2;

    /// Images in the batch, and views of each.
    ///
    /// # Panics
    ///
    /// When there are not as many crops of each image, or not as many masks of each crop.
    pub fn sizes(&self) -> [usize; 2] {
        let crops = self.crops.size();
        assert!(crops.is_multiple_of(Self::CROPS), "crops come in pairs, got {crops}");
        [crops / Self::CROPS, Self::CROPS * self.crops.masks_per_image()]
    }
}

/// What a batch comes to.
struct Seen {
    prediction: Tensor<1>,
    sigreg: Tensor<1>,
    /// What the encoder knows of each view, `[views, width]`.
    feature: Tensor<2>,
    /// `[views, embedding]`.
    embedding: Tensor<2>,
}

/// The class token, or the mean of the visible cells where there is none.
fn pooled(features: VisibleTokens) -> Tensor<2> {
    features.class_token.unwrap_or_else(|| features.tokens.mean_dim(1).squeeze_dim(1))
}

impl LeJepa {
    /// The encoder computes in `dtype`, the projector and the loss in the type of the parameters.
    fn see(&self, batch: &LeJepaBatch, dtype: Option<FloatDType>) -> Seen {
        let [images, views] = batch.sizes();
        let LeJepaBatch { crops, directions } = batch;
        let seen = crops.for_each_mask(crops.images.clone());
        let whole: FloatDType = seen.dtype().into();
        let (features, _) = encode_in(&self.encoder, seen, &crops.mask, dtype);
        let feature = pooled(features).cast(whole);
        let embedding = self.projector.forward(feature.clone());
        let [_, width] = embedding.dims();
        let of_images = embedding.clone().reshape([images, views, width]);
        let mean = of_images.clone().mean_dim(1);
        Seen {
            prediction: (of_images.clone() - mean).square().mean(),
            sigreg: self.sigreg.of(of_images, directions.clone()),
            feature,
            embedding,
        }
    }

    fn joined(&self, prediction: Tensor<1>, sigreg: Tensor<1>) -> Tensor<1> {
        prediction * (1.0 - self.lambda) + sigreg * self.lambda
    }

    /// The smallest loss that is expected of normally distributed embeddings that have nothing to do
    /// with their image, of any variance: with 0 all are the same, which costs no prediction, and with
    /// 1 they are what SIGReg asks for.
    fn blind(&self, images: usize, views: usize) -> f64 {
        let of_variance = |percent: u32| {
            let variance = f64::from(percent) / 100.0;
            let prediction = variance * (1.0 - 1.0 / views as f64);
            (1.0 - self.lambda) * prediction + self.lambda * self.sigreg.expected(images, variance)
        };
        (0..=100).map(of_variance).fold(f64::INFINITY, f64::min)
    }
}

impl PretextTask for LeJepa {
    type Batch = LeJepaBatch;
    type Observed = ();

    fn loss(&self, batch: LeJepaBatch) -> TaskOutput {
        let Seen { prediction, sigreg, .. } = self.see(&batch, None);
        self.joined(prediction, sigreg).into()
    }

    fn loss_in(&self, batch: LeJepaBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let Seen { prediction, sigreg, .. } = self.see(&batch, Some(dtype));
        Ok(self.joined(prediction, sigreg).into())
    }

    /// With both parts of the loss, and the embeddings `feature` of the encoder and `embedding` of the
    /// projector.
    fn measure(&self, batch: LeJepaBatch) -> Measured {
        let Seen { prediction, sigreg, feature, embedding } = self.see(&batch, None);
        let metrics = vec![("prediction", prediction.clone()), ("sigreg", sigreg.clone())];
        let embeddings = vec![("feature", feature), ("embedding", embedding)];
        Measured { loss: self.joined(prediction, sigreg), metrics, embeddings }
    }

    /// The least that is expected of normal embeddings that do not depend on the image.
    fn trivial_loss(&self, batch: &LeJepaBatch) -> Option<Tensor<1>> {
        let [images, views] = batch.sizes();
        let loss = self.blind(images, views) as f32;
        Some(Tensor::from_floats([loss], &batch.crops.images.device()))
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}
