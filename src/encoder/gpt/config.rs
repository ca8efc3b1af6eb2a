//! The sizes and variants of Image GPT's transformer.

use super::Gpt;
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{
    BiasSource, Init, InitialWeights, MlpActivation, NormKind, PositionTable, Positions,
    ResidualInit, ScoreScale, TransformerConfig,
};

config! {
    /// A GPT-2 over the pixels of an image (Chen et al. 2020, "Generative Pretraining from
    /// Pixels"): sizes, and the variants that published weights need.
    #[derive(Debug, PartialEq)]
    pub struct GptConfig {
        /// The images it is made for; every pixel is a token.
        pub image: ImageShape,
        /// Features per token.
        pub width: usize,
        /// Blocks.
        pub depth: usize,
        /// Attention heads.
        pub heads: usize,
        /// Colors of the palette. Default: 512 (§3.2, "context reduction")
        pub colors: usize = 512,
        /// Features between the layers of the MLP; four times the width by default.
        pub mlp_width: Option<usize> = None,
        /// What comes between them. Default: quick GELU
        pub activation: MlpActivation = MlpActivation::QuickGelu,
        /// Epsilon of every norm. Default: 1e-5
        pub norm_epsilon: f64 = 1e-5,
        /// How attention scores are scaled. Default: by the width of a head alone
        pub score_scale: ScoreScale = ScoreScale { by_width: true, by_layer: false },
        /// Whether a pixel sees those before it alone: the autoregressive objective. Without, every
        /// pixel sees all: the BERT objective. Default: true
        pub causal: bool = true,
    }
}

impl GptConfig {
    /// iGPT-S: 512 features, 24 blocks, 8 heads, for 32 × 32 pixels (§3.3; 76 M parameters).
    pub fn small() -> Self {
        Self::new(ImageShape::square(3, 32), 512, 24, 8)
    }

    /// iGPT-M: 1024 features, 36 blocks, 8 heads, for 32 × 32 pixels (§3.3; 455 M parameters).
    pub fn medium() -> Self {
        Self::new(ImageShape::square(3, 32), 1024, 36, 8)
    }

    /// iGPT-L: 1536 features, 48 blocks, 16 heads, for 32 × 32 pixels (§3.3; 1.4 G parameters).
    pub fn large() -> Self {
        Self::new(ImageShape::square(3, 32), 1536, 48, 16)
    }

    /// The grid of pixels.
    pub fn grid(&self) -> Grid {
        Grid::new(self.image.height, self.image.width)
    }

    /// Features between the MLP's two layers.
    pub fn mlp_width(&self) -> usize {
        self.mlp_width.unwrap_or(self.width.saturating_mul(4))
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { image, colors, .. } = *self;
        limits::image(image)?;
        ensure!(colors > 1, "a palette needs at least 2 colors, got {colors}");
        limits::at_most("the number of pixels", self.grid().cells(), limits::TOKENS)?;
        limits::at_most("colors", colors, limits::VOCABULARY)?;
        let palette = limits::product(&[colors, image.channels]);
        limits::at_most("the values of a palette", palette, limits::IMAGE_VALUES)?;
        self.transformer().validate()
    }

    /// The network with fresh weights: GPT-2's, everything normal with σ = 0.02, and the matrices
    /// that write to the residual stream with 0.02 / √(2 · depth).
    ///
    /// # Panics
    ///
    /// With the message of [`GptConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Gpt {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (grid, width) = (self.grid(), self.width);
        Gpt {
            token_embed: weights.param([self.colors + 1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(Positions::Learned, grid, width, false, weights)
                .expect("learned positions are positions"),
            transformer: self.transformer().init(weights),
            config: self.clone(),
        }
    }

    /// The blocks and the final norm.
    pub fn transformer(&self) -> TransformerConfig {
        TransformerConfig {
            mlp_width: self.mlp_width(),
            activation: self.activation,
            norm: NormKind::RootMeanSquare,
            norm_epsilon: self.norm_epsilon,
            score_scale: self.score_scale,
            bias: if self.causal { BiasSource::Causal } else { BiasSource::None },
            init: Init::Normal { std: 0.02 },
            residual_init: ResidualInit::ByDepth,
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::module::Module;

    #[test]
    fn the_presets_have_the_papers_parameters() {
        for (config, millions) in
            [(GptConfig::small(), 76), (GptConfig::medium(), 455), (GptConfig::large(), 1362)]
        {
            config.validate().unwrap();
            let gpt = config.init(&mut InitialWeights::new(0, &test_device()));
            // The head is beside the encoder.
            let parameters = gpt.num_params() + config.colors * config.width;
            // The paper rounds, and does not say what it counts.
            assert!((parameters as f64 / 1e6 / f64::from(millions) - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let base = || GptConfig::new(ImageShape::new(1, 4, 6), 8, 1, 2);
        let broken = |config: GptConfig| config.validate().unwrap_err().to_string();
        assert!(broken(GptConfig { heads: 3, ..base() }).contains("3 heads do not divide"));
        assert!(broken(GptConfig { depth: 0, ..base() }).contains("at least one block"));
        assert!(broken(base().with_colors(1)).contains("2 colors, got 1"));
        assert!(broken(base().with_mlp_width(Some(0))).contains("at least one feature"));
    }

    #[test]
    fn a_config_survives_json() {
        let config = GptConfig::small().with_causal(false).with_mlp_width(Some(7));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<GptConfig>(&json).unwrap(), config);
    }
}
