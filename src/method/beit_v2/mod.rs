//! BEiT v2 (Peng et al. 2022, arXiv 2208.06366).

use burn::module::Module;
use burn::tensor::{FloatDType, Int, Tensor};

use crate::batch::MimBatch;
use crate::config::config;
use crate::encoder::{CondensedTokens, CondensedVit, CondensedVitConfig, Encoder, VitConfig};
use crate::error::{Result, ensure};
use crate::head::{LinearHead, PredictionHead};
use crate::limits;
use crate::mask::Mask;
use crate::method::BeitConfig;
use crate::nn::{InitialWeights, cast_parameters};
use crate::target::tokenizer::{AnyTokenizer, Tokenizer, TokenizerConfig, VqConfig};
use crate::target::{Target, TokenTarget, check_width};
use crate::task::{Mim, PretextTask, TaskOutput};

config! {
    /// The parts of a [`BeitV2`], with the paper's defaults.
    #[derive(Debug, PartialEq)]
    pub struct BeitV2Config {
        /// Encoder, tokenizer and masks, as of the first BEiT.
        pub beit: BeitConfig,
        /// After how many blocks the condenser takes the patches' tokens. Default: 9, of 12
        /// (appendix B)
        pub early_blocks: usize = 9,
        /// Blocks of the condenser. Default: 2
        pub condenser_blocks: usize = 2,
    }
}

impl BeitV2Config {
    /// ViT-B/16 on the tokens of a ViT-B/16 that was distilled from a teacher of `teacher_width`
    /// features, CLIP's 512 in the paper ([`VqConfig::base_patch16`]): 8192 tokens of 32 values
    /// (§4.1, appendix B).
    pub fn base_patch16(teacher_width: usize) -> Self {
        let tokenizer = VqConfig::base_patch16(teacher_width);
        let beit = BeitConfig::base_patch16();
        Self::new(BeitConfig { tokenizer: TokenizerConfig::Vq(tokenizer), ..beit })
    }

    /// [`BeitConfig::small_images`] with a condenser of one block after three of its four.
    pub fn small_images(tokenizer: TokenizerConfig) -> Self {
        let beit = BeitConfig::small_images(tokenizer);
        Self::new(beit).with_early_blocks(3).with_condenser_blocks(1)
    }

    /// The encoder with its condenser.
    pub fn encoder(&self) -> CondensedVitConfig {
        CondensedVitConfig::new(self.beit.encoder.clone())
            .with_early_blocks(self.early_blocks)
            .with_condenser_blocks(self.condenser_blocks)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.beit.validate()?;
        self.encoder().validate()
    }

    /// The model with fresh weights around `tokenizer`, which is frozen. `mean` and `std` are those
    /// the encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// With the message of [`BeitV2Config::validate`] when that fails.
    pub fn init<K: Tokenizer>(
        &self,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
        weights: &mut InitialWeights,
    ) -> BeitV2<K> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        BeitV2::new(&self.encoder(), tokenizer, mean, std, weights)
    }
}

config! {
    /// The sizes of a [`BeitV2Network`].
    #[derive(Debug, PartialEq)]
    pub struct BeitV2NetworkConfig {
        /// The encoder with its condenser.
        pub encoder: CondensedVitConfig,
        /// Tokens.
        pub vocabulary: usize,
    }
}

impl BeitV2NetworkConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        ensure!(self.vocabulary > 0, "a head needs a vocabulary of at least 1 token, got 0");
        limits::at_most("vocabulary", self.vocabulary, limits::VOCABULARY)
    }

    /// The network with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`BeitV2NetworkConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> BeitV2Network {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { width, .. } = self.encoder.encoder;
        let init = self.encoder.encoder.token_init();
        BeitV2Network {
            encoder: self.encoder.init(weights),
            head: LinearHead::with_init(width, self.vocabulary, init, weights),
        }
    }
}

/// A [`BeitV2`] without its tokenizer: what published weights hold.
#[derive(Module, Debug)]
pub struct BeitV2Network {
    /// The encoder with its condenser.
    pub encoder: CondensedVit,
    /// Classifies the features of both.
    pub head: LinearHead,
}

impl BeitV2Network {
    /// How likely each token is for each hidden cell: after the last block, and after the condenser.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    /// - outputs: `[batch, hidden, vocabulary]`
    ///
    /// # Panics
    ///
    /// As [`Encoder::encode`].
    pub fn logits(&self, images: Tensor<4>, mask: &Mask) -> [Tensor<3>; 2] {
        logits(&self.encoder, &self.head, images, mask)
    }

    /// The task of predicting the tokens of `tokenizer`, which is frozen; `mean` and `std` are those
    /// the encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// When the head does not tell as many tokens apart as the tokenizer has.
    pub fn with_tokenizer<K: Tokenizer>(
        self,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
    ) -> BeitV2<K> {
        check_width(self.head.width(), tokenizer.vocabulary());
        let target = TokenTarget::new(tokenizer, mean, std);
        BeitV2 { encoder: self.encoder, head: self.head, target }
    }
}

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
    /// the encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// With the message of [`CondensedVitConfig::validate`] when that fails.
    pub fn new(
        config: &CondensedVitConfig,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
        weights: &mut InitialWeights,
    ) -> Self {
        let vocabulary = tokenizer.vocabulary();
        let network = BeitV2NetworkConfig { encoder: config.clone(), vocabulary };
        network.init(weights).with_tokenizer(tokenizer, mean, std)
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
        self.judge(logits(&self.encoder, &self.head, batch.images, &batch.mask), value)
    }

    /// The encoder and the head compute in `dtype`, the tokenizer as ever.
    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let value = self.target.of(&batch);
        let whole = batch.images.dtype();
        let encoder = cast_parameters(&self.encoder, dtype);
        let head = cast_parameters(&self.head, dtype);
        let logits = logits(&encoder, &head, batch.images.cast(dtype), &batch.mask);
        Ok(self.judge(logits.map(|logits| logits.cast(whole)), value))
    }

    fn trivial_loss(&self, batch: &MimBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        let prediction = self.target.trivial_prediction(&value)?;
        Some(self.target.loss(prediction, value) * 2.0)
    }
}

/// The head's predictions after the encoder's last block, and after its condenser.
fn logits(
    encoder: &CondensedVit,
    head: &LinearHead,
    images: Tensor<4>,
    mask: &Mask,
) -> [Tensor<3>; 2] {
    let CondensedTokens { last, condensed } = encoder.encode(images, mask);
    [last, condensed].map(|tokens| head.predict(tokens, mask))
}

impl<K: Tokenizer> BeitV2<K> {
    fn judge(&self, [last, condensed]: [Tensor<3>; 2], value: Tensor<2, Int>) -> TaskOutput {
        let metrics = self.target.metrics(&last, &value);
        let loss = self.target.loss(last, value.clone()) + self.target.loss(condensed, value);
        TaskOutput { loss, metrics, observed: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::VitConfig;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::{Mask, MaskStrategy, UnitMask};
    use crate::target::tokenizer::PaletteConfig;
    use crate::test_device;

    fn model() -> BeitV2 {
        let (image, device) = (ImageShape::new(1, 8, 12), test_device());
        let palette = PaletteConfig::new(image).with_cell(4).with_vocabulary(5);
        let tokenizer = AnyTokenizer::Palette(palette.init(&mut InitialWeights::new(0, &device)));
        let config =
            CondensedVitConfig::new(VitConfig::new(image, 4, 8, 2, 2)).with_early_blocks(1);
        let weights = &mut InitialWeights::new(1, &device.autodiff());
        BeitV2::new(&config, tokenizer, &[0.5], &[0.5], weights)
    }

    fn batch() -> MimBatch {
        let device = test_device();
        let mask = UnitMask::from_indices(Grid::new(2, 3), [1, 5]).unwrap();
        let images = Tensor::ones([1, 1, 8, 12], &device);
        let mut batch = MimBatch::new(images.clone(), Mask::new([mask], &device).unwrap());
        batch.target_view = Some(images * 0.7);
        batch
    }

    #[test]
    fn the_papers_sizes_fit_each_other_and_a_condenser_outside_the_encoder_is_refused() {
        let base = BeitV2Config::base_patch16(512);
        base.validate().unwrap();
        assert_eq!(base.beit.mask().unwrap().hidden(), 75);
        assert_eq!((base.beit.view().height, base.beit.tokenizer.vocabulary()), (224, 8192));
        let palette = PaletteConfig::new(ImageShape::new(1, 16, 20)).with_cell(4);
        let small = BeitV2Config::small_images(TokenizerConfig::Palette(palette));
        small.validate().unwrap();
        let message = small.with_early_blocks(5).validate().unwrap_err().to_string();
        assert!(message.contains("after 5 of 4 blocks"), "{message}");
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

    #[test]
    fn a_guess_is_judged_twice_too() {
        let (model, batch) = (model(), batch());
        let once = model.clone().without_condenser().trivial_loss(&batch).unwrap();
        let twice: f32 = model.trivial_loss(&batch).unwrap().into_scalar();
        assert!((twice - 2.0 * once.into_scalar::<f32>()).abs() < 1e-5);
    }
}
