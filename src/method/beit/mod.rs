//! BEiT (Bao et al. 2021, arXiv 2106.08254).

#[cfg(feature = "run")]
mod picture;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::config::config;
use crate::encoder::{Encoder, RelativePositions, Vit, VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::{LinearHead, PredictionHead};
use crate::limits;
use crate::mask::{BlockMask, Mask};
use crate::nn::{InitialWeights, Positions, QkvBias};
use crate::target::tokenizer::{AnyTokenizer, DvaeConfig, Tokenizer, TokenizerConfig};
use crate::target::{TokenTarget, check_width};
use crate::task::Mim;

#[cfg(feature = "run")]
pub use picture::{token_maps, token_sheet};

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
        /// The share of patches hidden. Default: 75 / 196, about 40 % (§2.3, Algorithm 1)
        pub mask_ratio: f64 = 75.0 / 196.0,
        /// Patches of the smallest block, or all that are hidden where those are fewer. Default: 16
        /// (Algorithm 1)
        pub min_block: usize = 16,
        /// A block's narrowest aspect ratio. Default: 0.3 (Algorithm 1)
        pub block_aspect: f64 = 0.3,
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

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, encoder 128 × 4 with sin-cos positions, blocks of at least 4 patches.
    pub fn small_images(tokenizer: TokenizerConfig) -> Self {
        let encoder = VitConfig::new(tokenizer.image(), 4, 128, 4, 4);
        Self::new(encoder, tokenizer).with_min_block(4)
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

    /// The paper's masks: random blocks.
    ///
    /// # Errors
    ///
    /// When the ratio hides nothing or everything, or a block does not fit.
    pub fn mask(&self) -> Result<BlockMask> {
        let grid = self.encoder.image.grid(self.encoder.patch)?;
        BlockMask::with_ratio(grid, self.mask_ratio, self.min_block, self.block_aspect)
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
        let vocabulary = tokenizer.vocabulary();
        let network = BeitNetworkConfig { encoder: self.encoder.clone(), vocabulary };
        network.init(weights).with_tokenizer(tokenizer, mean, std)
    }
}

config! {
    /// The sizes of a [`BeitNetwork`].
    #[derive(Debug, PartialEq)]
    pub struct BeitNetworkConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// Tokens.
        pub vocabulary: usize,
    }
}

impl BeitNetworkConfig {
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
    /// With the message of [`BeitNetworkConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> BeitNetwork {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        BeitNetwork {
            encoder: self.encoder.init(weights),
            head: LinearHead::with_init(
                self.encoder.width,
                self.vocabulary,
                self.encoder.token_init(),
                weights,
            ),
        }
    }
}

/// A [`Beit`] without its tokenizer: what published weights hold.
#[derive(Module, Debug)]
pub struct BeitNetwork {
    /// The encoder.
    pub encoder: Vit,
    /// Classifies its features.
    pub head: LinearHead,
}

impl BeitNetwork {
    /// How likely each token is for each hidden cell.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    /// - output: `[batch, hidden, vocabulary]`
    ///
    /// # Panics
    ///
    /// As [`Encoder::encode`].
    pub fn logits(&self, images: Tensor<4>, mask: &Mask) -> Tensor<3> {
        self.head.predict(self.encoder.encode(images, mask), mask)
    }

    /// The task of predicting the tokens of `tokenizer`, which is frozen; `mean` and `std` are those
    /// the encoder's images are normalized with.
    ///
    /// # Panics
    ///
    /// When the head does not tell as many tokens apart as the tokenizer has.
    pub fn with_tokenizer<K: Tokenizer>(self, tokenizer: K, mean: &[f32], std: &[f32]) -> Beit<K> {
        check_width(self.head.width(), tokenizer.vocabulary());
        let target = TokenTarget::new(tokenizer, mean, std);
        Mim { encoder: self.encoder, head: self.head, target }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskStrategy;
    use crate::target::tokenizer::PaletteConfig;

    fn palette(image: ImageShape, cell: usize) -> TokenizerConfig {
        TokenizerConfig::Palette(PaletteConfig::new(image).with_cell(cell))
    }

    #[test]
    fn the_base_model_hides_75_of_196_patches_for_tokens_of_half_the_size() {
        let config = BeitConfig::base_patch16();
        config.validate().unwrap();
        assert_eq!(config.mask().unwrap().hidden(), 75);
        assert_eq!(config.view(), ImageShape::square(3, 112));
    }

    #[test]
    #[should_panic(expected = "a head that predicts 9 numbers for each hidden cell does not go \
                               with a target of 5")]
    fn a_tokenizer_of_another_vocabulary_than_the_head_panics_with_both() {
        let image = ImageShape::new(3, 8, 8);
        let encoder = VitConfig::new(image, 4, 8, 1, 2);
        let weights = &mut InitialWeights::new(0, &crate::test_device());
        let network = BeitNetworkConfig { encoder, vocabulary: 9 }.init(weights);
        let tokenizer = PaletteConfig::new(image).with_cell(4).with_vocabulary(5).init(weights);
        network.with_tokenizer(tokenizer, &[0.5; 3], &[0.5; 3]);
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
