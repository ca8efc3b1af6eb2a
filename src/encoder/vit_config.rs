//! The vision transformer's sizes and variants.

use serde::{Deserialize, Serialize};

use super::ConvStemConfig;
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::limits;
use crate::nn::{
    BiasSource, Init, MlpActivation, NormKind, PositionResize, Positions, QkvBias, ResidualInit,
    TableResize, TokenGrid, TransformerConfig,
};

/// Whether attention scores depend on the relative position of two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelativePositions {
    /// Scores do not depend on it.
    None,
    /// Every block has its own bias table (BEiT, fine-tuned).
    PerBlock,
    /// All blocks share one bias table (BEiT and SimMIM, pre-training).
    Shared,
}

/// How weights start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VitInit {
    /// Xavier-uniform matrices (MAE, official code).
    Mae,
    /// Normal with σ = 0.02 truncated at ±σ, each block's two output matrices divided by
    /// √(2 · its number from 1) (BEiT and SimMIM, official code).
    Beit,
    /// Normal with σ = 0.02 (MaskFeat, official code).
    Normal,
    /// Normal with σ = 0.02, each block's two output matrices divided by √(2 · its number from 1)
    /// (BEiT v2's tokenizer, official code).
    NormalByDepth,
}

config! {
    /// A vision transformer (arXiv 2010.11929): sizes, and the variants MAE, SimMIM and BEiT need.
    #[derive(Debug, PartialEq)]
    pub struct VitConfig {
        /// The images it is made for; others of the same channels are read by interpolating
        /// positions.
        pub image: ImageShape,
        /// Side of a patch in pixels.
        pub patch: usize,
        /// Features per token.
        pub width: usize,
        /// Blocks.
        pub depth: usize,
        /// Attention heads.
        pub heads: usize,
        /// Width of the MLP between its layers, over `width`. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// Epsilon of every layer norm. Default: 1e-6
        pub norm_epsilon: f64 = 1e-6,
        /// Whether a class token goes before the cells. Default: true
        pub class_token: bool = true,
        /// Absolute positions. Default: sin-cos
        pub positions: Positions = Positions::SinCos,
        /// Relative positions. Default: none
        pub relative_positions: RelativePositions = RelativePositions::None,
        /// Which of query, key and value have a bias. Default: all
        pub qkv_bias: QkvBias = QkvBias::All,
        /// Where the layer scales start; none by default.
        pub layer_scale: Option<f64> = None,
        /// Drop-path probability of the last block, growing linearly from 0 at the first. Default:
        /// 0
        pub drop_path: f64 = 0.0,
        /// How weights start. Default: MAE's
        pub init: VitInit = VitInit::Mae,
        /// Tokens without a place and a position, between the class token and the cells, for the
        /// transformer to write in (arXiv 2309.16588). Default: 0
        pub registers: usize = 0,
        /// Class tokens after the first, each with a position of its own, such as DeiT's
        /// distillation token (arXiv 2012.12877); what comes out as the class token is the mean of
        /// all. Default: 0
        pub more_class_tokens: usize = 0,
        /// The base of rotary positions, DINOv3's formula ([`Rotations`](crate::nn::Rotations)); 100
        /// there. Default: none
        pub rotary: Option<f64> = None,
        /// Whether queries and keys are normalized, head by head, by a norm of the same kind as all
        /// others (arXiv 2302.05442). Default: no
        pub query_key_norm: bool = false,
        /// What every norm does. Default: layer normalization
        pub norm: NormKind = NormKind::Layer,
        /// Whether the MLPs are gated: SwiGLU (arXiv 2002.05202), silu(x W) ∘ (x V) before the last
        /// layer, with `mlp_ratio` · `width` features in each. Default: no
        pub swiglu: bool = false,
        /// What comes between the layers of an MLP that is not gated. Default: the exact GELU
        pub activation: MlpActivation = MlpActivation::Gelu,
        /// Whether all tokens are normalized before the first block (CLIP, arXiv 2103.00020).
        /// Default: no
        pub pre_norm: bool = false,
        /// Whether a block's norms follow its branches, once they are added, as in the first
        /// transformer (data2vec 2.0, arXiv 2212.07525). The last block is then followed by no other
        /// norm. Default: no
        pub post_norm: bool = false,
        /// Convolutions that read the images before they are cut into patches. Default: none
        pub stem: Option<ConvStemConfig> = None,
        /// Whether the embedding of patches has a bias. Default: yes
        pub patch_bias: bool = true,
        /// How absolute positions are read on another grid. Default: bicubically
        pub position_resize: PositionResize = PositionResize::Bicubic,
        /// How relative positions are read on another grid. Default: bicubically
        pub relative_resize: TableResize = TableResize::Bicubic,
    }
}

impl VitConfig {
    /// The grid of patches.
    ///
    /// # Panics
    ///
    /// When the patch does not divide the image; [`VitConfig::validate`] says so as an error.
    pub fn grid(&self) -> Grid {
        self.image.grid(self.patch).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        limits::image(self.image)?;
        let grid = self.image.grid(self.patch)?;
        let width = self.width;
        ensure!(
            self.positions != Positions::SinCos || width.is_multiple_of(4),
            "sin-cos positions need a width divisible by 4, got {width}"
        );
        ensure!(
            self.mlp_width() > 0,
            "an mlp_ratio of {:?} leaves no MLP for a width of {width}",
            self.mlp_ratio
        );
        ensure!(
            self.registers == 0 || self.relative_positions == RelativePositions::None,
            "{} registers have no relative positions ({:?})",
            self.registers,
            self.relative_positions
        );
        let more = self.more_class_tokens;
        ensure!(
            more == 0 || self.class_token && self.relative_positions == RelativePositions::None,
            "{more} more class tokens need a first one, and no relative positions"
        );
        ensure!(
            !self.swiglu || self.activation == MlpActivation::Gelu,
            "SwiGLU has an activation of its own, and no {:?}",
            self.activation
        );
        let first = self.registers.saturating_add(more);
        limits::at_most("registers and class tokens", first, limits::TOKENS)?;
        if let Some(stem) = &self.stem {
            stem.validate(self.image.channels, self.patch)?;
        }
        self.transformer().validate()?;
        self.check_sizes(grid)
    }

    /// The limits of memory.
    fn check_sizes(&self, grid: Grid) -> Result<()> {
        let tokens = grid.cells();
        limits::at_most("the number of patches", tokens, limits::TOKENS)?;
        limits::parameters(limits::product(&[tokens, self.width]))?;
        limits::parameters(limits::product(&[self.embedded_values(), self.width]))?;
        let tables = match self.relative_positions {
            RelativePositions::None => 0,
            RelativePositions::Shared => 1,
            RelativePositions::PerBlock => self.depth,
        };
        let pairs = limits::product(&[tables, tokens, tokens]);
        limits::at_most("the pairs of patches with relative positions", pairs, limits::PAIRS)
    }

    /// Checks that there are no relative positions: an encoder of visible tokens would need another
    /// bias for every sample.
    pub(crate) fn check_absolute(&self) -> Result<()> {
        ensure!(
            self.relative_positions == RelativePositions::None,
            "an encoder that drops hidden patches needs absolute positions, not relative ones \
             ({:?})",
            self.relative_positions
        );
        Ok(())
    }

    /// Checks that there is no convolutional stem, whose norms learn nothing in a task that does not hand
    /// what they saw to [`Encoder::follow`](crate::Encoder::follow).
    pub(crate) fn check_without_stem(&self, method: &str) -> Result<()> {
        ensure!(
            self.stem.is_none(),
            "{method} does not train a convolutional stem: leave encoder.stem out"
        );
        Ok(())
    }

    /// Features between the MLP's two layers.
    pub fn mlp_width(&self) -> usize {
        (self.width as f64 * self.mlp_ratio).round() as usize
    }

    /// The name of a part that the first vision transformer has not, if there is any: what most
    /// published layouts have no place for.
    pub(crate) fn newer_part(&self) -> Option<&'static str> {
        [
            (self.registers > 0, "registers"),
            (self.more_class_tokens > 0, "second class token"),
            (self.rotary.is_some(), "rotary positions"),
            (self.query_key_norm, "query-key norm"),
            (self.norm != NormKind::Layer, "root-mean-square norm"),
            (self.swiglu, "SwiGLU"),
            (self.activation != MlpActivation::Gelu, "activation but the exact GELU"),
            (self.pre_norm, "norm before the first block"),
            (self.post_norm, "norms after the branches"),
            (self.stem.is_some(), "convolutional stem"),
            (!self.patch_bias, "embedding of patches without bias"),
        ]
        .into_iter()
        .find_map(|(has, name)| has.then_some(name))
    }

    /// Tokens before those of the cells.
    pub fn first_cell(&self) -> usize {
        self.class_tokens() + self.registers
    }

    /// How many class tokens there are.
    pub fn class_tokens(&self) -> usize {
        if self.class_token { 1 + self.more_class_tokens } else { 0 }
    }

    /// Values in one patch of pixels.
    pub fn patch_values(&self) -> usize {
        self.image.channels * self.patch * self.patch
    }

    /// Values of one patch that become its token: its pixels, or what a stem makes of them.
    pub fn embedded_values(&self) -> usize {
        match &self.stem {
            Some(stem) => stem.values(self.patch),
            None => self.patch_values(),
        }
    }

    /// The configuration of the blocks, the bias of attention scores, and the final norm.
    ///
    /// # Panics
    ///
    /// When the patch does not divide the image; [`VitConfig::validate`] says so as an error.
    pub fn transformer(&self) -> TransformerConfig {
        let tokens = TokenGrid { grid: self.grid(), class_token: self.class_token };
        TransformerConfig {
            mlp_width: self.mlp_width(),
            activation: if self.swiglu { MlpActivation::Silu } else { self.activation },
            gated: self.swiglu,
            query_key_norm: self.query_key_norm,
            rotary: self.rotary,
            norm: self.norm,
            norm_epsilon: self.norm_epsilon,
            post_norm: self.post_norm,
            relative_resize: self.relative_resize,
            qkv_bias: self.qkv_bias,
            bias: match self.relative_positions {
                RelativePositions::None => BiasSource::None,
                RelativePositions::Shared => BiasSource::Shared(tokens),
                RelativePositions::PerBlock => BiasSource::PerBlock(tokens),
            },
            layer_scale: self.layer_scale,
            drop_path: self.drop_path,
            init: self.matrix_init(),
            residual_init: match self.init {
                VitInit::Mae | VitInit::Normal => ResidualInit::Same,
                VitInit::Beit | VitInit::NormalByDepth => ResidualInit::ByNumber,
            },
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }

    /// How matrices start.
    pub(crate) fn matrix_init(&self) -> Init {
        match self.init {
            VitInit::Mae => Init::XavierUniform,
            _ => self.token_init(),
        }
    }

    /// How tokens start, and the head that reads token ids.
    pub(crate) fn token_init(&self) -> Init {
        match self.init {
            VitInit::Beit => Init::TruncatedNormal { std: 0.02, bound: 0.02 },
            _ => Init::Normal { std: 0.02 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_have_the_papers_grids() {
        for (config, grid, head) in [
            (VitConfig::tiny_patch16(), 14, 64),
            (VitConfig::small_patch16(), 14, 64),
            (VitConfig::base_patch16(), 14, 64),
            (VitConfig::large_patch16(), 14, 64),
            (VitConfig::huge_patch14(), 16, 80),
        ] {
            config.validate().unwrap();
            assert_eq!(config.grid(), Grid::square(grid));
            assert_eq!(config.width / config.heads, head);
        }
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let base = VitConfig::base_patch16;
        let broken = |config: VitConfig| config.validate().unwrap_err().to_string();
        let image = |config: VitConfig| VitConfig { image: ImageShape::new(3, 30, 32), ..config };
        assert!(broken(image(base())).contains("30×32 pixels cannot be cut into squares of 16"));
        let heads = VitConfig { heads: 5, ..base() };
        assert!(broken(heads).contains("5 heads do not divide a width of 768"));
        let width = VitConfig { width: 6, heads: 2, ..base() };
        assert!(broken(width).contains("divisible by 4, got 6"));
        assert!(broken(base().with_drop_path(1.0)).contains("[0, 1), got 1"));
        assert!(broken(base().with_mlp_ratio(0.0)).contains("mlp_ratio of 0"));
        assert!(broken(VitConfig { depth: 0, ..base() }).contains("at least one block"));
    }

    #[test]
    fn a_config_survives_json() {
        let config = VitConfig::base_patch16().with_layer_scale(Some(0.1));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<VitConfig>(&json).unwrap(), config);
    }
}
