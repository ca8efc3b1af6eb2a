//! Tokens and aligned features as one task.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{FloatDType, Tensor};

use super::CaeHead;
use crate::batch::MimBatch;
use crate::encoder::{VisibleVit, layers_above};
use crate::error::Result;
use crate::image::grid_of;
use crate::nn::cast_parameters;
use crate::target::tokenizer::{AnyTokenizer, Tokenizer};
use crate::target::{FeatureLoss, Target, TokenTarget};
use crate::task::{Measured, Mim, PretextTask, TaskOutput};

/// CAE: from the features of the visible patches a regressor tells those that the encoder itself has of
/// the hidden patches, and a decoder tells their tokens from these alone.
///
/// So the encoder's features must be good for prediction without its having to predict.
#[derive(Module, Debug)]
pub struct Cae<K: Module + ModuleDisplay = AnyTokenizer> {
    /// The encoder of visible patches, which is kept, regressor and decoder, and the tokens.
    pub mim: Mim<VisibleVit, CaeHead, TokenTarget<K>>,
    pub(super) alignment: f64,
}

/// What a batch comes to.
struct Seen {
    /// What the tokens of the hidden patches are taken for, `[batch, hidden, vocabulary]`.
    logits: Tensor<3>,
    /// The predicted features of the hidden patches, `[batch, hidden, width]`.
    latents: Tensor<3>,
    /// Those that the encoder has of them when it sees them alone.
    known: Tensor<3>,
    /// The features of the visible patches, without a gradient.
    visible: Tensor<3>,
}

fn aligned(latents: Tensor<3>, known: Tensor<3>) -> Tensor<1> {
    FeatureLoss::Squared {}.of(latents, known)
}

impl<K: Tokenizer> Cae<K> {
    /// The networks compute in `dtype`, tokens and losses in the type of the images.
    fn see(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Seen {
        let images = batch.images.clone();
        let whole: FloatDType = images.dtype().into();
        let mask = batch.mask.at(grid_of(&images, self.mim.encoder.body.config().patch));
        let hidden = mask.inverted();
        let see = |encoder: &VisibleVit, head: &CaeHead, images: Tensor<4>| {
            let plain = images.clone().without_autodiff();
            let known = encoder.valid().encode_visible(plain, &hidden).tokens;
            let visible = encoder.encode_visible(images, &mask);
            let features = visible.tokens.clone().without_autodiff();
            let [latents, logits] = head.predict_both(visible, &mask);
            Seen {
                logits: logits.cast(whole),
                latents: latents.cast(whole),
                known: known.cast(whole),
                visible: features.cast(whole),
            }
        };
        let Mim { encoder, head, .. } = &self.mim;
        match dtype {
            None => see(encoder, head, images),
            Some(dtype) => see(
                &cast_parameters(encoder, dtype),
                &cast_parameters(head, dtype),
                images.cast(dtype),
            ),
        }
    }

    fn step(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> TaskOutput {
        let value = self.mim.target.of(batch);
        let Seen { logits, latents, known, .. } = self.see(batch, dtype);
        let tokens = self.mim.target.loss(logits, value);
        (tokens + aligned(latents, known) * self.alignment).into()
    }
}

impl<K: Tokenizer> PretextTask for Cae<K> {
    type Batch = MimBatch;
    type Observed = ();

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        self.step(&batch, None)
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        Ok(self.step(&batch, Some(dtype)))
    }

    /// The metrics of the tokens, and both losses: `tokens` and `aligned`. With the embeddings `feature`
    /// of the visible patches and `target` of the hidden ones, means over both.
    fn measure(&self, batch: MimBatch) -> Measured {
        let value = self.mim.target.of(&batch);
        let Seen { logits, latents, known, visible } = self.see(&batch, None);
        let mut metrics = self.mim.target.metrics(&logits, &value);
        let mean = |cells: Tensor<3>| cells.mean_dim(1).squeeze_dim(1);
        let embeddings = vec![("feature", mean(visible)), ("target", mean(known.clone()))];
        let (tokens, aligned) = (self.mim.target.loss(logits, value), aligned(latents, known));
        metrics.extend([("tokens", tokens.clone()), ("aligned", aligned.clone())]);
        Measured { loss: tokens + aligned * self.alignment, metrics, embeddings }
    }

    /// That of the tokens' shares, and of the mean of the hidden patches' features.
    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let tokens = self.mim.trivial_loss(batch)?;
        let known = self.see(batch, None).known;
        let mean = known.clone().mean_dim(0).mean_dim(1).expand(known.dims());
        Some(tokens + aligned(mean, known) * self.alignment)
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.mim.encoder, "mim.encoder", parameter)
    }
}
