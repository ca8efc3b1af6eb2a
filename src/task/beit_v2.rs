//! BEiT v2 (Peng et al. 2022, arXiv 2208.06366).

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Mim, PretextTask, TaskOutput};
use crate::batch::MimBatch;
use crate::encoder::{CondensedTokens, CondensedVit, CondensedVitConfig, Encoder};
use crate::head::{LinearHead, PredictionHead};
use crate::nn::Weights;
use crate::target::tokenizer::{AnyTokenizer, Tokenizer};
use crate::target::{Target, TokenTarget};

/// BEiT with a condenser: one head predicts the hidden cells' tokens twice, from the encoder's
/// tokens and from the condenser's, and both losses are added (§3.3).
///
/// Its tokenizer is a [`Vq`](crate::target::tokenizer::Vq), in the paper trained on a teacher's
/// features ([`TeacherObjective`](super::TeacherObjective)).
#[derive(Module, Debug)]
pub struct BeitV2<K: Module = AnyTokenizer> {
    /// What is kept is its [`vit`](CondensedVit::vit).
    pub encoder: CondensedVit,
    /// The head both predictions share.
    pub head: LinearHead,
    /// The tokens.
    pub target: TokenTarget<K>,
}

impl<K: Tokenizer> BeitV2<K> {
    /// A model with fresh weights around `tokenizer`, which is frozen. `mean` and `std` are those
    /// the encoder's images are normalised with.
    ///
    /// # Panics
    ///
    /// With the message of [`CondensedVitConfig::validate`] when that fails.
    pub fn new(
        config: &CondensedVitConfig,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
        weights: &mut Weights,
    ) -> Self {
        let (width, vocabulary) = (config.encoder.width, tokenizer.vocabulary());
        Self {
            encoder: config.init(weights),
            head: LinearHead::new(width, vocabulary, weights),
            target: TokenTarget::new(tokenizer, mean, std),
        }
    }

    /// The model without its condenser.
    pub fn without_condenser(self) -> super::Beit<K> {
        Mim { encoder: self.encoder.vit, head: self.head, target: self.target }
    }
}

impl<K: Tokenizer> PretextTask for BeitV2<K> {
    type Batch = MimBatch;

    fn loss(&self, batch: MimBatch) -> TaskOutput {
        let value = self.target.of(&batch);
        let CondensedTokens { last, condensed } = self.encoder.encode(batch.images, &batch.mask);
        let [last, condensed] =
            [last, condensed].map(|tokens| self.head.predict(tokens, &batch.mask));
        let metrics = self.target.metrics(&last, &value);
        let loss = self.target.loss(last, value.clone()) + self.target.loss(condensed, value);
        TaskOutput { loss, metrics, observed: None }
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        let prediction = self.target.trivial_prediction(&value)?;
        Some(self.target.loss(prediction, value) * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::VitConfig;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::{Mask, PatchMask};
    use crate::target::tokenizer::PaletteConfig;
    use crate::test_device;

    fn model() -> BeitV2 {
        let (image, device) = (ImageShape::new(1, 8, 12), test_device());
        let palette = PaletteConfig::new(image).with_cell(4).with_vocabulary(5);
        let tokenizer = AnyTokenizer::Palette(palette.init(&mut Weights::new(0, &device)));
        let config =
            CondensedVitConfig::new(VitConfig::new(image, 4, 8, 2, 2)).with_early_blocks(1);
        let weights = &mut Weights::new(1, &device.autodiff());
        BeitV2::new(&config, tokenizer, &[0.5], &[0.5], weights)
    }

    fn batch() -> MimBatch {
        let device = test_device();
        let mask = PatchMask::from_indices(Grid::new(2, 3), [1, 5]).unwrap();
        let images = Tensor::ones([1, 1, 8, 12], &device);
        let mut batch = MimBatch::new(images.clone(), Mask::new([mask], &device).unwrap());
        batch.target_view = Some(images * 0.7);
        batch
    }

    #[test]
    fn both_predictions_are_judged_and_both_train() {
        let model = model();
        let loss = model.loss(batch()).loss;
        let alone: f32 = model.clone().without_condenser().loss(batch()).loss.into_scalar();
        assert!(loss.clone().into_scalar::<f32>() > alone);
        let gradients = loss.backward();
        let encoder = &model.encoder;
        assert!(encoder.condenser[1].mlp.fc1.weight.grad(&gradients).is_some());
        assert!(encoder.vit.body.blocks[1].mlp.fc1.weight.grad(&gradients).is_some());
        assert!(encoder.vit.mask_token.grad(&gradients).is_some());
    }
}
