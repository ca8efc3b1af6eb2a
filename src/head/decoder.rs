//! MAE's decoder: a small transformer over visible features and mask tokens.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, s};
use serde::{Deserialize, Serialize};

use super::PredictionHead;
use crate::config::config;
use crate::encoder::{VisibleTokens, VitConfig};
use crate::error::{Result, ensure};
use crate::limits;
use crate::mask::Mask;
use crate::nn::{
    Init, InitialWeights, PositionTable, Positions, Transformer, TransformerConfig, per_token,
};

/// What a decoder's tokens look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DecoderAttention {
    /// All cells at all cells: [`Decoder`] (MAE).
    Full,
    /// Each asked cell at the encoder's tokens alone: [`CrossDecoder`](super::CrossDecoder) (CrossMAE).
    Cross,
}

config! {
    /// Sizes of a [`Decoder`] or a [`CrossDecoder`](super::CrossDecoder); everything else is as in the encoder it decodes.
    #[derive(Debug, PartialEq)]
    pub struct DecoderConfig {
        /// Features per token. Default: 512, the paper's
        pub width: usize = 512,
        /// Blocks. Default: 8, the paper's
        pub depth: usize = 8,
        /// Attention heads. Default: 16, the paper's
        pub heads: usize = 16,
        /// Width of the MLP between its layers, over `width`. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// What its tokens look at. Default: all cells at all cells, the paper's
        pub attention: DecoderAttention = DecoderAttention::Full,
    }
}

impl DecoderConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, encoder: &VitConfig) -> Result<()> {
        let Self { width, mlp_ratio, .. } = *self;
        ensure!(
            width.is_multiple_of(4),
            "the decoder's sin-cos positions need a width divisible by 4, got {width}"
        );
        let transformer = self.transformer(encoder);
        ensure!(
            transformer.mlp_width > 0,
            "an mlp_ratio of {mlp_ratio:?} leaves no MLP for a width of {width}"
        );
        transformer.validate()?;
        limits::parameters(limits::product(&[encoder.image.grid(encoder.patch)?.cells(), width]))
    }

    /// A decoder of full attention for `encoder` that predicts `target_width` values per hidden
    /// cell, whatever the configuration's own attention.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> Decoder {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let (width, class_token) = (self.width, encoder.class_token);
        let (sin_cos, grid) = (Positions::SinCos, encoder.grid());
        Decoder {
            embed: weights.linear(encoder.width, width, Init::XavierUniform),
            mask_token: weights.param([1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(sin_cos, grid, width, class_token, weights)
                .expect("sin-cos positions are positions"),
            transformer: self.transformer(encoder).init(weights),
            projection: weights.linear(width, target_width, Init::XavierUniform),
        }
    }

    /// The decoder's blocks. Everything but their sizes is as in the encoder.
    pub(crate) fn transformer(&self, encoder: &VitConfig) -> TransformerConfig {
        TransformerConfig {
            mlp_width: (self.width as f64 * self.mlp_ratio).round() as usize,
            norm_epsilon: encoder.norm_epsilon,
            qkv_bias: encoder.qkv_bias,
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }
}

/// Puts a mask token at every hidden cell, adds positions, and lets a transformer fill them in
/// (arXiv 2111.06377 §3). Only hidden cells leave it.
#[derive(Module, Debug)]
pub struct Decoder {
    /// Encoder width → decoder width.
    pub embed: Linear,
    /// The mask token, which stands for a hidden cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// Fills the hidden cells in.
    pub transformer: Transformer,
    /// Decoder width → target width.
    pub projection: Linear,
}

impl PredictionHead<VisibleTokens> for Decoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, class_token, grid } = features;
        let mask = mask.at(grid);
        let cells = mask.visible.fill(per_token(&self.embed, tokens), self.mask_token.val());
        let cells = cells + self.positions.cells(grid).unsqueeze();
        let first_cell = usize::from(class_token.is_some());
        let tokens = match class_token {
            Some(class_token) => {
                let class_token = self.embed.forward(class_token) + self.positions.class_tokens();
                Tensor::cat(vec![class_token.unsqueeze_dim(1), cells], 1)
            }
            None => cells,
        };
        let hidden = self.transformer.forward_some(tokens, grid, |tokens| {
            mask.asked.select(tokens.slice(s![.., first_cell.., ..]))
        });
        per_token(&self.projection, hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::UnitMask;
    use crate::test_device;

    const GRID: Grid = Grid::new(2, 3);

    fn decoder() -> Decoder {
        let encoder =
            VitConfig::new(ImageShape::new(1, 4, 6), 2, 6, 1, 2).with_positions(Positions::None);
        let config = DecoderConfig::new().with_width(8).with_depth(2).with_heads(2);
        config.init(&encoder, 5, &mut InitialWeights::new(0, &test_device()))
    }

    /// Four visible cells of 6 features, and a class token.
    fn features() -> VisibleTokens {
        let mut weights = InitialWeights::new(1, &test_device());
        let init = Init::Normal { std: 1.0 };
        let class_token = Some(weights.param([1, 6], init).val());
        VisibleTokens { tokens: weights.param([1, 4, 6], init).val(), class_token, grid: GRID }
    }

    /// The predictions of the hidden cells 1 and 4.
    fn predicted(decoder: &Decoder, features: VisibleTokens) -> [Vec<f32>; 2] {
        let mask = UnitMask::from_indices(GRID, [1, 4]).unwrap();
        let predicted = decoder.predict(features, &Mask::new([mask], &test_device()).unwrap());
        assert_eq!(predicted.dims(), [1, 2, 5]);
        let values: Vec<f32> = predicted.into_data().try_to_vec().unwrap();
        [values[..5].to_vec(), values[5..].to_vec()]
    }

    #[test]
    fn hidden_cells_are_told_apart_by_their_positions_alone() {
        let mut decoder = decoder();
        let [first, second] = predicted(&decoder, features());
        let far =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far(&first, &second) > 1e-3);
        decoder.positions.table = decoder.positions.table.map(|table| table.zeros_like());
        let [first, second] = predicted(&decoder, features());
        assert!(far(&first, &second) < 1e-6);
    }

    #[test]
    fn every_hidden_cell_sees_the_visible_ones_and_the_class_token() {
        let decoder = decoder();
        let expected = predicted(&decoder, features());
        let VisibleTokens { tokens, class_token, grid } = features();
        let moved = tokens.clone().slice_fill(s![.., 3..4, ..], 2.0);
        let others = [
            VisibleTokens { tokens: moved, class_token: class_token.clone(), grid },
            VisibleTokens { tokens, class_token: class_token.map(|token| token * -2.0), grid },
        ];
        for other in others {
            let got = predicted(&decoder, other);
            assert!(got[0] != expected[0] && got[1] != expected[1]);
        }
    }

    #[test]
    fn a_part_of_the_hidden_cells_may_be_asked_for() {
        let (decoder, mask) = (decoder(), |cells: &[usize]| {
            UnitMask::from_indices(GRID, cells.iter().copied()).unwrap()
        });
        let [_, second] = predicted(&decoder, features());
        let asked = Mask::new([mask(&[1, 4])], &test_device()).unwrap();
        let asked = asked.with_asked([mask(&[4])]).unwrap();
        let got = decoder.predict(features(), &asked);
        assert_eq!(got.dims(), [1, 1, 5]);
        let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
        assert!(got.iter().zip(second).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
