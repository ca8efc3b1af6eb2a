//! BEiT v2 (Peng et al. 2022, arXiv 2208.06366).

#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

use super::{Beit, BeitConfig, token_head};
use crate::config::config;
use crate::encoder::{CondensedVit, CondensedVitConfig};
use crate::error::Result;
use crate::head::LinearHead;
use crate::nn::InitialWeights;
use crate::target::tokenizer::{AnyTokenizer, Tokenizer, TokenizerConfig, VqConfig};
use crate::target::{Both, TokenTarget};
use crate::task::{Mim, Network};

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

    /// ViT-L/16 on the tokens of the base model: the condenser comes after 21 blocks of 24 (official
    /// command).
    pub fn large_patch16(teacher_width: usize) -> Self {
        let Self { beit, .. } = Self::base_patch16(teacher_width);
        let encoder = BeitConfig::large_patch16().encoder;
        Self::new(BeitConfig { encoder, ..beit }).with_early_blocks(21)
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
        let network = Network::beit_v2(&self.encoder(), tokenizer.vocabulary(), weights);
        network.with_target(Both { target: TokenTarget::new(tokenizer, mean, std) })
    }
}

impl Network<CondensedVit, LinearHead> {
    /// A [`BeitV2`] of `vocabulary` tokens with fresh weights, without its tokenizer.
    ///
    /// # Panics
    ///
    /// With the message of [`CondensedVitConfig::validate`] when that fails, or when there are no
    /// tokens or too many.
    pub fn beit_v2(
        config: &CondensedVitConfig,
        vocabulary: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        let encoder = config.init(weights);
        Self { encoder, head: token_head(&config.encoder, vocabulary, weights) }
    }
}

/// BEiT with a condenser: one head predicts the hidden cells' tokens twice, from the encoder's
/// tokens and from the condenser's, and both losses are added (§3.3). What is kept is the encoder's
/// [`vit`](CondensedVit::vit).
///
/// Its tokenizer is a [`Vq`](crate::target::tokenizer::Vq), in the paper trained on a teacher's
/// features ([`TeacherObjective`](crate::method::TeacherObjective)).
pub type BeitV2<K = AnyTokenizer> = Mim<CondensedVit, LinearHead, Both<TokenTarget<K>>>;

impl<K: Tokenizer> BeitV2<K> {
    /// The model without its condenser.
    pub fn without_condenser(self) -> Beit<K> {
        Mim { encoder: self.encoder.vit, head: self.head, target: self.target.target }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::MimBatch;
    use crate::encoder::VitConfig;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::{Mask, MaskStrategy, UnitMask};
    use crate::target::tokenizer::PaletteConfig;
    use crate::task::PretextTask;
    use crate::test_device;
    use burn::tensor::{FloatDType, Tensor};

    fn model() -> BeitV2 {
        let (image, device) = (ImageShape::new(1, 8, 12), test_device());
        let palette = PaletteConfig::new(image).with_patch(4).with_vocabulary(5);
        let tokenizer = AnyTokenizer::Palette(palette.init(&mut InitialWeights::new(0, &device)));
        let config =
            CondensedVitConfig::new(VitConfig::new(image, 4, 8, 2, 2)).with_early_blocks(1);
        let weights = &mut InitialWeights::new(1, &device.autodiff());
        let target = Both { target: TokenTarget::new(tokenizer, &[0.5], &[0.5]) };
        Network::beit_v2(&config, 5, weights).with_target(target)
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
        let palette = PaletteConfig::new(ImageShape::new(1, 16, 20)).with_patch(4);
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
        assert!(encoder.vit.body.transformer.blocks[1].mlp.fc1.weight.grad(&gradients).is_some());
        assert!(encoder.vit.mask_token.grad(&gradients).is_some());
    }

    #[test]
    fn a_guess_is_judged_twice_too() {
        let (model, batch) = (model(), batch());
        let once = model.clone().without_condenser().trivial_loss(&batch).unwrap();
        let twice: f32 = model.trivial_loss(&batch).unwrap().into_scalar();
        assert!((twice - 2.0 * once.into_scalar::<f32>()).abs() < 1e-5);
    }

    #[test]
    fn it_computes_in_half_precision_and_is_judged_in_single() {
        let (model, batch) = (model(), batch());
        let whole: f32 = model.loss(batch.clone()).loss.into_scalar();
        let half = model.loss_in(batch, FloatDType::BF16).unwrap().loss;
        assert_eq!(half.dtype(), Tensor::<1>::zeros([1], &half.device()).dtype());
        let half: f32 = half.into_scalar();
        assert!(half != whole && (half - whole).abs() < 0.02 * whole, "{half} {whole}");
    }
}
