//! MAE's decoder: a small transformer over visible features and mask tokens.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::PredictionHead;
use crate::encoder::{VisibleTokens, VitConfig};
use crate::error::Result;
use crate::mask::Mask;
use crate::nn::{Block, Init, LayerNorm, PositionTable, Positions, Weights, per_token};

/// Sizes of a [`Decoder`]; everything else is as in the encoder it decodes.
#[derive(Config, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Features per token. Default: 512, the paper's
    #[config(default = 512)]
    pub width: usize,
    /// Blocks. Default: 8, the paper's
    #[config(default = 8)]
    pub depth: usize,
    /// Attention heads. Default: 16, the paper's
    #[config(default = 16)]
    pub heads: usize,
    /// Width of the MLP between its layers, over `width`. Default: 4
    #[config(default = 4.0)]
    pub mlp_ratio: f64,
}

impl DecoderConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, encoder: &VitConfig) -> Result<()> {
        self.transformer(encoder).validate()
    }

    /// A decoder for `encoder` that predicts `target_width` values per hidden cell.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init(&self, encoder: &VitConfig, target_width: usize, weights: &mut Weights) -> Decoder {
        let config = self.transformer(encoder);
        config.validate().unwrap_or_else(|error| panic!("{error}"));
        let (width, class_token) = (self.width, encoder.class_token);
        let (sin_cos, grid) = (Positions::SinCos, encoder.grid());
        Decoder {
            embed: weights.linear(encoder.width, width, Init::XavierUniform),
            mask_token: weights.param([1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(sin_cos, grid, width, class_token, weights)
                .expect("sin-cos positions are positions"),
            blocks: (0..self.depth).map(|index| config.block(index).init(weights)).collect(),
            norm: weights.norm(width, encoder.norm_epsilon),
            projection: weights.linear(width, target_width, Init::XavierUniform),
        }
    }

    /// The decoder's blocks, as the transformer they are part of.
    pub(crate) fn transformer(&self, encoder: &VitConfig) -> VitConfig {
        VitConfig::new(encoder.image, encoder.patch, self.width, self.depth, self.heads)
            .with_mlp_ratio(self.mlp_ratio)
            .with_norm_epsilon(encoder.norm_epsilon)
            .with_qkv_bias(encoder.qkv_bias)
    }
}

/// Puts a mask token at every hidden cell, adds positions, and lets a transformer fill them in
/// (arXiv 2111.06377 §3). Only hidden cells leave it.
#[derive(Module, Debug)]
pub struct Decoder {
    /// Encoder width → decoder width.
    pub embed: Linear,
    /// What stands for a hidden cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// The transformer.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: LayerNorm,
    /// Decoder width → target width.
    pub projection: Linear,
}

impl PredictionHead<VisibleTokens> for Decoder {
    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, class_token, grid } = features;
        let mask = mask.at(grid);
        let cells = mask.fill_hidden(per_token(&self.embed, tokens), self.mask_token.val());
        let cells = cells + self.positions.cells(grid).unsqueeze();
        let first_cell = usize::from(class_token.is_some());
        let tokens = match class_token {
            Some(class_token) => {
                let class_token = self.embed.forward(class_token) + self.positions.class_token();
                Tensor::cat(vec![class_token.unsqueeze_dim(1), cells], 1)
            }
            None => cells,
        };
        let (last, blocks) = self.blocks.split_last().expect("a decoder has a block");
        let tokens = blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, None));
        let hidden = last.forward_some(tokens, None, |tokens| {
            mask.select_hidden(tokens.slice(s![.., first_cell.., ..]))
        });
        per_token(&self.projection, self.norm.forward(hidden))
    }
}
