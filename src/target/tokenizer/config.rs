//! A tokenizer by name: the run-time choice of recipes and command lines.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Dvae, DvaeConfig, Palette, PaletteConfig, Tokenizer, Vq, VqConfig, VqOutput};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::nn::InitialWeights;

/// The built-in tokenizers with their sizes, as in `{"tokenizer": "palette", ...}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tokenizer", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenizerConfig {
    /// Colors.
    Palette(PaletteConfig),
    /// Vector quantization.
    Vq(VqConfig),
    /// A discrete variational autoencoder.
    Dvae(DvaeConfig),
}

impl TokenizerConfig {
    /// The tokenizer's name, as in file names and command lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Palette(_) => "palette",
            Self::Vq(_) => "vq",
            Self::Dvae(_) => "dvae",
        }
    }

    /// The images it reads.
    pub fn image(&self) -> ImageShape {
        match self {
            Self::Palette(config) => config.image,
            Self::Vq(config) => config.encoder.image,
            Self::Dvae(config) => config.image,
        }
    }

    /// How many different tokens there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Palette(config) => config.vocabulary,
            Self::Vq(config) => config.vocabulary,
            Self::Dvae(config) => config.vocabulary,
        }
    }

    /// The grid of its tokens.
    ///
    /// # Errors
    ///
    /// When its cell does not divide its images.
    pub fn grid(&self) -> Result<Grid> {
        match self {
            Self::Palette(config) => config.image.grid(config.patch),
            Self::Vq(config) => config.encoder.image.grid(config.encoder.patch),
            Self::Dvae(config) => config.image.grid(config.patch),
        }
    }

    /// Whether its tokens can be decoded to pixels.
    pub fn decodes(&self) -> bool {
        match self {
            Self::Palette(_) => true,
            Self::Vq(config) => config.output == VqOutput::Pixels,
            Self::Dvae(config) => config.decoder,
        }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Palette(config) => config.validate(),
            Self::Vq(config) => config.validate(),
            Self::Dvae(config) => config.validate(),
        }
    }

    /// The tokenizer with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`TokenizerConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> AnyTokenizer {
        match self {
            Self::Palette(config) => AnyTokenizer::Palette(config.init(weights)),
            Self::Vq(config) => AnyTokenizer::Vq(config.init(weights)),
            Self::Dvae(config) => AnyTokenizer::Dvae(config.init(weights)),
        }
    }
}

/// One of the built-in tokenizers.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a module holds modules, and no box; a run has one")]
pub enum AnyTokenizer {
    /// Colors.
    Palette(Palette),
    /// Vector quantization.
    Vq(Vq),
    /// A discrete variational autoencoder.
    Dvae(Dvae),
}

impl Tokenizer for AnyTokenizer {
    fn vocabulary(&self) -> usize {
        match self {
            Self::Palette(tokenizer) => tokenizer.vocabulary(),
            Self::Vq(tokenizer) => tokenizer.vocabulary(),
            Self::Dvae(tokenizer) => tokenizer.vocabulary(),
        }
    }

    fn patch(&self) -> usize {
        match self {
            Self::Palette(tokenizer) => tokenizer.patch(),
            Self::Vq(tokenizer) => tokenizer.patch(),
            Self::Dvae(tokenizer) => tokenizer.patch(),
        }
    }

    fn tokenize(&self, images: Tensor<4>) -> Tensor<2, Int> {
        match self {
            Self::Palette(tokenizer) => tokenizer.tokenize(images),
            Self::Vq(tokenizer) => tokenizer.tokenize(images),
            Self::Dvae(tokenizer) => tokenizer.tokenize(images),
        }
    }

    fn decode(&self, ids: Tensor<2, Int>, grid: Grid) -> Option<Tensor<4>> {
        match self {
            Self::Palette(tokenizer) => tokenizer.decode(ids, grid),
            Self::Vq(tokenizer) => tokenizer.decode(ids, grid),
            Self::Dvae(tokenizer) => tokenizer.decode(ids, grid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn configs() -> [TokenizerConfig; 3] {
        let image = ImageShape::new(2, 8, 12);
        [
            TokenizerConfig::Palette(PaletteConfig::new(image).with_patch(4)),
            TokenizerConfig::Vq(VqConfig::small_images(image)),
            TokenizerConfig::Dvae(DvaeConfig::small_images(image)),
        ]
    }

    #[test]
    fn every_choice_survives_json_with_its_tag() {
        for config in configs() {
            let json = serde_json::to_string(&config).unwrap();
            assert!(json.contains(&format!(r#""tokenizer":"{}""#, config.name())), "{json}");
            assert_eq!(serde_json::from_str::<TokenizerConfig>(&json).unwrap(), config);
        }
    }

    #[test]
    fn every_choice_makes_the_tokenizer_it_describes() {
        for config in configs() {
            config.validate().unwrap();
            let tokenizer = config.init(&mut InitialWeights::new(0, &test_device()));
            let images = Tensor::ones([2, 2, 8, 12], &test_device());
            let ids = tokenizer.tokenize(images);
            assert_eq!(ids.dims(), [2, config.grid().unwrap().cells()]);
            assert_eq!((tokenizer.vocabulary(), tokenizer.patch()), (config.vocabulary(), 4));
            let decoded = tokenizer.decode(ids, config.grid().unwrap());
            assert_eq!(decoded.map(|images| images.dims()), Some([2, 2, 8, 12]));
        }
    }
}
