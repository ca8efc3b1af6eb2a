//! Context autoencoders (CAE, Chen et al. 2022, arXiv 2202.03026).

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod regressor;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;

pub use regressor::{CaeHead, LatentBlock, LatentRegressor};
pub use task::Cae;

use super::{BeitConfig, check_vocabulary};
use crate::config::config;
use crate::encoder::{RelativePositions, VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::limits;
use crate::mask::MaskConfig;
use crate::nn::{InitialWeights, Positions, TransformerConfig};
use crate::target::TokenTarget;
use crate::target::tokenizer::{Tokenizer, TokenizerConfig};
use crate::task::Mim;

config! {
    /// The parts of a [`Cae`], with the paper's numbers.
    #[derive(Debug, PartialEq)]
    pub struct CaeConfig {
        /// Encoder, tokenizer and masks, in the words of BEiT. The encoder sees the visible patches
        /// alone, so it has no relative positions.
        pub beit: BeitConfig,
        /// Blocks of the latent contextual regressor. Default: 4 (§4.1)
        pub regressor_depth: usize = 4,
        /// Blocks of the decoder. Default: 4 (§4.1)
        pub decoder_depth: usize = 4,
        /// The weight of the alignment beside the tokens' loss. Default: 2 (§3.2)
        pub alignment: f64 = 2.0,
    }
}

/// Half of the patches, in blocks of at least 16 (§4.1).
const MASK: MaskConfig = MaskConfig::blocks(0.5, 16);

impl CaeConfig {
    /// ViT-B/16 on the tokens of DALL·E's encoder: sin-cos positions, layer scale 0.1, drop path 0.1
    /// (§4.1, official command).
    pub fn base_patch16() -> Self {
        Self::of(BeitConfig::base_patch16())
    }

    /// ViT-L/16: as the base model, with layer scale 1e-5 and the start of BEiT's weights (official
    /// command).
    pub fn large_patch16() -> Self {
        let mut large = Self::of(BeitConfig::large_patch16());
        large.beit.encoder.init = VitInit::Beit;
        large
    }

    fn of(beit: BeitConfig) -> Self {
        let encoder = VitConfig {
            positions: Positions::SinCos,
            relative_positions: RelativePositions::None,
            init: VitInit::Mae,
            ..beit.encoder
        };
        Self::new(BeitConfig { encoder, mask: MASK, ..beit })
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: BEiT's
    /// small encoder, half of its patches in blocks of at least 4, and two blocks each for regressor
    /// and decoder.
    pub fn small_images(tokenizer: TokenizerConfig) -> Self {
        let beit = BeitConfig::small_images(tokenizer).with_mask(MaskConfig::blocks(0.5, 4));
        Self::new(beit).with_regressor_depth(2).with_decoder_depth(2)
    }

    /// The blocks of the regressor and of the decoder, which are as the encoder's.
    fn blocks(&self, depth: usize) -> TransformerConfig {
        TransformerConfig { depth, ..self.beit.encoder.transformer() }
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.beit.validate()?;
        self.beit.encoder.check_absolute()?;
        self.beit.encoder.check_without_stem("CAE")?;
        let VitConfig { width, rotary, .. } = self.beit.encoder;
        ensure!(
            width.is_multiple_of(4),
            "sin-cos positions need a width divisible by 4, got {width}"
        );
        ensure!(
            rotary.is_none(),
            "a regressor reads the positions of cells as vectors, not as rotations: rotary must be null"
        );
        let depths = [self.regressor_depth, self.decoder_depth];
        for (name, depth) in ["regressor_depth", "decoder_depth"].into_iter().zip(depths) {
            limits::counts(name, depth, limits::DEPTH)?;
            self.blocks(depth).validate()?;
        }
        let alignment = self.alignment;
        ensure!(
            alignment.is_finite() && alignment >= 0.0,
            "alignment must be a finite weight of at least 0, got {alignment:?}"
        );
        Ok(())
    }

    /// The task with fresh weights around `tokenizer`, which is frozen. `mean` and `std` are those the
    /// encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// With the message of [`CaeConfig::validate`] when that fails, or when the tokenizer has no tokens.
    pub fn init<K: Tokenizer>(
        &self,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
        weights: &mut InitialWeights,
    ) -> Cae<K> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let vocabulary = tokenizer.vocabulary();
        check_vocabulary(vocabulary).unwrap_or_else(|error| panic!("{error}"));
        let vit = &self.beit.encoder;
        let encoder = vit.init_visible(weights);
        let regressor = LatentRegressor::new(&self.blocks(self.regressor_depth), vit, weights);
        let head = CaeHead {
            regressor,
            decoder: self.blocks(self.decoder_depth).init(weights),
            projection: weights.linear(vit.width, vocabulary, vit.matrix_init()),
        };
        let target = TokenTarget::new(tokenizer, mean, std);
        Cae { mim: Mim { encoder, head, target }, alignment: self.alignment }
    }
}
