//! BEiT (Bao et al. 2021, arXiv 2106.08254).

mod cae;
#[cfg(feature = "run")]
mod picture;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod v2;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::config;
use crate::encoder::{RelativePositions, Vit, VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Positions, QkvBias};
use crate::target::TokenTarget;
use crate::target::tokenizer::{AnyTokenizer, DvaeConfig, Tokenizer, TokenizerConfig};
use crate::task::{Mim, Network};

pub use cae::{Cae, CaeConfig, CaeHead, LatentBlock, LatentRegressor};
#[cfg(feature = "run")]
pub use picture::{token_maps, token_sheet};
pub use v2::{BeitV2, BeitV2Config};

/// BEiT: encode all patches, the hidden ones as a mask token, and classify the hidden ones into the
/// tokens of a frozen tokenizer.
pub type Beit<K = AnyTokenizer> = Mim<Vit, LinearHead, TokenTarget<K>>;

config! {
    /// The parts of a [`Beit`], with the paper's defaults.
    #[derive(Debug, PartialEq)]
    pub struct BeitConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// What gives the tokens; its grid is the encoder's.
        pub tokenizer: TokenizerConfig,
        /// What is hidden. Default: 75 of 196 patches, in blocks of at least 16, or of all that are
        /// hidden where those are fewer (§2.3, Algorithm 1)
        pub mask: MaskConfig = MaskConfig::blocks(75.0 / 196.0, 16),
        /// The folder of the tokenizer, which must have the sizes above. Default: none, so that a
        /// run trains one first
        pub tokenizer_folder: Option<PathBuf> = None,
    }
}

impl BeitConfig {
    /// ViT-B/16 as BEiT trains it, on the tokens of DALL·E's encoder: shared relative positions
    /// alone, bias on query and value, layer scale 0.1, drop path 0.1 (§3.1, appendix G, and the
    /// official code).
    pub fn base_patch16() -> Self {
        let encoder = VitConfig::base_patch16()
            .with_positions(Positions::None)
            .with_relative_positions(RelativePositions::Shared)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_layer_scale(Some(0.1))
            .with_drop_path(0.1)
            .with_init(VitInit::Beit);
        Self::new(encoder, TokenizerConfig::Dvae(DvaeConfig::dalle_encoder()))
    }

    /// ViT-L/16 as BEiT trains it: as the base model, with layer scale 1e-5 (appendix G, Table 12).
    pub fn large_patch16() -> Self {
        let VitConfig { width, depth, heads, .. } = VitConfig::large_patch16();
        let base = Self::base_patch16();
        let encoder = VitConfig { width, depth, heads, ..base.encoder };
        Self { encoder: encoder.with_layer_scale(Some(1e-5)), ..base }
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, encoder 128 × 4 with sin-cos positions, blocks of at least 4 patches.
    pub fn small_images(tokenizer: TokenizerConfig) -> Self {
        let encoder = VitConfig::new(tokenizer.image(), 4, 128, 4, 4);
        Self::new(encoder, tokenizer).with_mask(MaskConfig::blocks(75.0 / 196.0, 4))
    }

    /// The images the tokenizer reads: the batches' second view.
    pub fn view(&self) -> ImageShape {
        self.tokenizer.image()
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.tokenizer.validate()?;
        let (patches, tokens) = (self.encoder.grid(), self.tokenizer.grid()?);
        ensure!(
            patches == tokens,
            "a token for each patch: the encoder has {patches} patches, the tokenizer {tokens}"
        );
        let (own, view) = (self.encoder.image.channels, self.view().channels);
        ensure!(own == view, "the encoder reads {own} channels, its tokenizer {view}");
        self.mask().map(|_| ())
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    /// The model with fresh weights around `tokenizer`, which is frozen. `mean` and `std` are those
    /// the encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// With the message of [`BeitConfig::validate`] when that fails.
    pub fn init<K: Tokenizer>(
        &self,
        tokenizer: K,
        mean: &[f32],
        std: &[f32],
        weights: &mut InitialWeights,
    ) -> Beit<K> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let network = Network::beit(&self.encoder, tokenizer.vocabulary(), weights);
        network.with_target(TokenTarget::new(tokenizer, mean, std))
    }
}

impl Network<Vit, LinearHead> {
    /// A [`Beit`] of `vocabulary` tokens with fresh weights, without its tokenizer.
    ///
    /// # Panics
    ///
    /// With the message of [`VitConfig::validate`] when that fails, or when there are no tokens or too
    /// many.
    pub fn beit(encoder: &VitConfig, vocabulary: usize, weights: &mut InitialWeights) -> Self {
        let (vit, head) = (encoder.init(weights), token_head(encoder, vocabulary, weights));
        Self { encoder: vit, head }
    }
}

/// The head that tells the tokens of a BEiT of either version apart.
pub(super) fn token_head(
    encoder: &VitConfig,
    vocabulary: usize,
    weights: &mut InitialWeights,
) -> LinearHead {
    check_vocabulary(vocabulary).unwrap_or_else(|error| panic!("{error}"));
    LinearHead::with_init(encoder.width, vocabulary, encoder.token_init(), weights)
}

/// Refuses a head of no tokens, or of more than memory is for.
///
/// # Errors
///
/// Names the count.
pub(crate) fn check_vocabulary(vocabulary: usize) -> Result<()> {
    ensure!(vocabulary > 0, "a head needs a vocabulary of at least 1 token, got 0");
    limits::at_most("vocabulary", vocabulary, limits::VOCABULARY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskStrategy;
    use crate::target::tokenizer::PaletteConfig;

    fn palette(image: ImageShape, cell: usize) -> TokenizerConfig {
        TokenizerConfig::Palette(PaletteConfig::new(image).with_patch(cell))
    }

    #[test]
    fn the_base_model_hides_75_of_196_patches_for_tokens_of_half_the_size() {
        let config = BeitConfig::base_patch16();
        config.validate().unwrap();
        assert_eq!(config.mask().unwrap().hidden(), 75);
        assert_eq!(config.view(), ImageShape::square(3, 112));
    }

    #[test]
    fn a_tokenizer_of_another_grid_or_other_channels_is_refused() {
        let image = ImageShape::new(3, 32, 48);
        let config = BeitConfig::small_images(palette(image, 4));
        config.validate().unwrap();
        let message = |tokenizer| {
            BeitConfig { tokenizer, ..config.clone() }.validate().unwrap_err().to_string()
        };
        let other = message(palette(image, 8));
        assert!(other.contains("8×12 patches, the tokenizer 4×6"), "{other}");
        let other = message(palette(ImageShape::new(1, 32, 48), 4));
        assert!(other.contains("3 channels, its tokenizer 1"), "{other}");
    }
}
