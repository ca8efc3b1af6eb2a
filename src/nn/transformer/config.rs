//! What a transformer is made of.

use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::limits;
use crate::nn::{
    AttentionConfig, BlockConfig, DropPath, Init, MlpActivation, NormKind, QkvBias, TableResize,
    check_norm_epsilon,
};

/// What decides how large attention scores are before the softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreScale {
    /// Divided by the root of a head's features.
    pub by_width: bool,
    /// Divided by the block's number from 1.
    pub by_layer: bool,
}

/// How the two matrices of a block that write to the residual stream start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResidualInit {
    /// As all matrices do.
    Same,
    /// With a deviation divided by √(2 · the block's number from 1).
    ByNumber,
    /// With a deviation divided by √(2 · the number of blocks).
    ByDepth,
}

/// What is added to attention scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BiasSource {
    /// Nothing: every token may look at every token.
    None,
    /// −∞ where a token would look at one after it.
    Causal,
    /// One table of relative positions for all blocks.
    Shared(TokenGrid),
    /// A table of relative positions for each block.
    PerBlock(TokenGrid),
}

/// The tokens that a table of relative positions is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenGrid {
    /// The cells.
    pub grid: Grid,
    /// Whether a class token goes before them.
    pub class_token: bool,
}

/// What a [`Transformer`](super::Transformer) is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerConfig {
    /// Features per token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Features between the two layers of an MLP.
    pub mlp_width: usize,
    /// What comes between them.
    pub activation: MlpActivation,
    /// Whether the activation of as many other features scales them: SwiGLU with
    /// [`MlpActivation::Silu`].
    pub gated: bool,
    /// Whether queries and keys are normalized, head by head.
    pub query_key_norm: bool,
    /// The base of rotary positions, where there are any: see [`Rotations`](crate::nn::Rotations).
    pub rotary: Option<f64>,
    /// What every norm does.
    pub norm: NormKind,
    /// Epsilon of every norm.
    pub norm_epsilon: f64,
    /// Whether a block's norms follow its branches, once they are added, in place of going before
    /// them.
    pub post_norm: bool,
    /// Which of query, key and value have a bias.
    pub qkv_bias: QkvBias,
    /// How attention scores are scaled.
    pub score_scale: ScoreScale,
    /// What is added to them.
    pub bias: BiasSource,
    /// How tables of relative positions are read on another grid.
    pub relative_resize: TableResize,
    /// Where the layer scales start; `None` for blocks without.
    pub layer_scale: Option<f64>,
    /// Drop-path probability of the last block, growing linearly from 0 at the first.
    pub drop_path: f64,
    /// How matrices start.
    pub init: Init,
    /// How the matrices start that write to the residual stream.
    pub residual_init: ResidualInit,
}

impl TransformerConfig {
    /// Blocks of `width` features with an MLP of four times as many, everything else as in the
    /// vision transformer with MAE's start.
    pub fn new(width: usize, depth: usize, heads: usize) -> Self {
        Self {
            width,
            depth,
            heads,
            mlp_width: width.saturating_mul(4),
            activation: MlpActivation::Gelu,
            gated: false,
            query_key_norm: false,
            rotary: None,
            norm: NormKind::Layer,
            norm_epsilon: 1e-6,
            post_norm: false,
            qkv_bias: QkvBias::All,
            score_scale: ScoreScale { by_width: true, by_layer: false },
            bias: BiasSource::None,
            relative_resize: TableResize::Bicubic,
            layer_scale: None,
            drop_path: 0.0,
            init: Init::XavierUniform,
            residual_init: ResidualInit::Same,
        }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let Self { width, depth, heads, mlp_width, drop_path, .. } = *self;
        ensure!(depth > 0, "a transformer needs at least one block");
        ensure!(
            heads > 0 && width > 0 && width.is_multiple_of(heads),
            "{heads} heads do not divide a width of {width}"
        );
        ensure!(mlp_width > 0, "an MLP needs at least one feature, got 0");
        ensure!(
            (0.0..1.0).contains(&(drop_path as f32)),
            "drop_path must be in [0, 1), got {drop_path:?}"
        );
        check_norm_epsilon(self.norm_epsilon)?;
        if let Some(scale) = self.layer_scale {
            ensure!((scale as f32).is_finite(), "layer_scale must be finite, got {scale:?}");
        }
        if let Some(base) = self.rotary {
            ensure!(
                (width / heads).is_multiple_of(4),
                "rotary positions need heads of a multiple of 4 features, got {}",
                width / heads
            );
            ensure!(
                base.is_finite() && base > 0.0,
                "the base of rotary positions must be finite and above 0, got {base:?}"
            );
            ensure!(self.bias != BiasSource::Causal, "a sequence has no rotary positions of cells");
        }
        // A gate is half as many parameters again.
        let gate = if self.gated { mlp_width / 2 } else { 0 };
        limits::blocks(depth, width, mlp_width.saturating_add(gate))
    }

    /// The block at `index`, counted from 0.
    pub fn block(&self, index: usize) -> BlockConfig {
        let residual = match self.residual_init {
            ResidualInit::Same => self.init,
            ResidualInit::ByNumber => self.init.divided_by((2.0 * (index + 1) as f32).sqrt()),
            ResidualInit::ByDepth => self.init.divided_by((2.0 * self.depth as f32).sqrt()),
        };
        BlockConfig {
            attention: AttentionConfig {
                qkv_bias: self.qkv_bias,
                scale: Some(self.scale(index)),
                query_key_norm: self.query_key_norm.then_some((self.norm, self.norm_epsilon)),
                output_init: residual,
                ..AttentionConfig::new(self.width, self.heads, self.init)
            },
            mlp_width: self.mlp_width,
            activation: self.activation,
            gated: self.gated,
            norm: self.norm,
            norm_epsilon: self.norm_epsilon,
            post_norm: self.post_norm,
            layer_scale: self.layer_scale,
            drop_path: DropPath::growing_to(self.drop_path, index, self.depth),
        }
    }

    /// What the products of queries and keys of the block at `index` are multiplied by.
    fn scale(&self, index: usize) -> f64 {
        let ScoreScale { by_width, by_layer } = self.score_scale;
        let width = if by_width { (self.width / self.heads) as f64 } else { 1.0 };
        let layer = if by_layer { (index + 1) as f64 } else { 1.0 };
        1.0 / (width.sqrt() * layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_path_grows_linearly_to_the_last_block() {
        let config = TransformerConfig { drop_path: 0.2, ..TransformerConfig::new(8, 5, 2) };
        let rates: Vec<_> = (0..5).map(|index| config.block(index).drop_path).collect();
        let expected = [0.0, 0.05, 0.1, 0.15, 0.2];
        assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn matrices_that_write_to_the_residual_stream_start_smaller() {
        let config = |residual_init| TransformerConfig {
            init: Init::Normal { std: 0.02 },
            residual_init,
            ..TransformerConfig::new(8, 8, 2)
        };
        let of = |residual, index| config(residual).block(index).attention.output_init;
        assert_eq!(of(ResidualInit::Same, 1), Init::Normal { std: 0.02 });
        assert_eq!(of(ResidualInit::ByNumber, 1), Init::Normal { std: 0.01 });
        assert_eq!(of(ResidualInit::ByDepth, 1), Init::Normal { std: 0.005 });
    }

    #[test]
    fn scores_are_scaled_by_the_width_of_a_head_and_the_blocks_number() {
        let scale = |by_width, by_layer| {
            let score_scale = ScoreScale { by_width, by_layer };
            let config = TransformerConfig { score_scale, ..TransformerConfig::new(8, 3, 2) };
            config.block(2).attention.scale.unwrap()
        };
        assert_eq!(scale(true, false), 0.5);
        assert_eq!(scale(false, false), 1.0);
        assert!((scale(true, true) - 0.5 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let base = || TransformerConfig::new(8, 1, 2);
        let broken = |config: TransformerConfig| config.validate().unwrap_err().to_string();
        assert!(base().validate().is_ok());
        assert!(broken(TransformerConfig { heads: 3, ..base() }).contains("3 heads do not divide"));
        assert!(broken(TransformerConfig { depth: 0, ..base() }).contains("at least one block"));
        assert!(broken(TransformerConfig { mlp_width: 0, ..base() }).contains("one feature"));
        assert!(broken(TransformerConfig { drop_path: 1.0, ..base() }).contains("[0, 1), got 1"));
    }
}
