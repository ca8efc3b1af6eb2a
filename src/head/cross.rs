//! CrossMAE's decoder: every hidden cell on its own looks at the encoder's tokens.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{DecoderConfig, PredictionHead};
use crate::encoder::{VisibleTokens, VitConfig};
use crate::mask::Mask;
use crate::nn::{
    CrossBlock, CrossBlockConfig, Init, InitialWeights, Norm, PositionTable, Positions, QkvBias,
    per_token,
};

/// Asks for each cell with a mask token at its position, which looks at the encoder's tokens in
/// every block and never at another cell that is asked for (CrossMAE, Fu et al. 2024, arXiv
/// 2401.14391 §3.2).
///
/// What is not asked for is not computed, and changes nothing: with
/// [`AskedConfig::Part`](crate::AskedConfig::Part) the decoder costs as much less as there are fewer
/// cells.
#[derive(Module, Debug)]
pub struct CrossDecoder {
    /// The mask token, which asks for a cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// From the mask tokens to the encoder's.
    pub blocks: Vec<CrossBlock>,
    /// After the last block.
    pub norm: Norm,
    /// Decoder width → target width.
    pub projection: Linear,
}

impl DecoderConfig {
    /// A decoder of cross-attention for `encoder` that predicts `target_width` values per asked
    /// cell, whatever the configuration's own attention.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init_cross(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> CrossDecoder {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let (width, init) = (self.width, Init::XavierUniform);
        let block = CrossBlockConfig {
            width,
            memory_width: encoder.width,
            heads: self.heads,
            mlp_width: self.transformer(encoder).mlp_width,
            norm_epsilon: encoder.norm_epsilon,
            bias: encoder.qkv_bias != QkvBias::None,
            init,
        };
        CrossDecoder {
            mask_token: weights.param([1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(Positions::SinCos, encoder.grid(), width, false, weights)
                .expect("sin-cos positions are positions"),
            blocks: (0..self.depth).map(|_| block.init(weights)).collect(),
            norm: weights.norm(width, encoder.norm_epsilon),
            projection: weights.linear(width, target_width, init),
        }
    }
}

impl PredictionHead<VisibleTokens> for CrossDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, class_token, grid } = features;
        let asked = mask.at(grid).asked.select_from_table(self.positions.cells(grid));
        let asked = asked + self.mask_token.val().unsqueeze::<3>();
        let memory = match class_token {
            Some(class_token) => Tensor::cat(vec![class_token.unsqueeze_dim(1), tokens], 1),
            None => tokens,
        };
        let asked =
            self.blocks.iter().fold(asked, |asked, block| block.forward(asked, memory.clone()));
        per_token(&self.projection, self.norm.forward(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::UnitMask;
    use crate::test_device;

    const GRID: Grid = Grid::new(2, 3);

    fn predicted(decoder: &CrossDecoder, class_token: f32, asked: &[usize]) -> Vec<f32> {
        let mask = |cells: &[usize]| UnitMask::from_indices(GRID, cells.to_vec()).unwrap();
        let asked =
            Mask::new([mask(&[1, 2, 4])], &test_device()).unwrap().with_asked([mask(asked)]);
        let tokens = InitialWeights::new(1, &test_device()).param([1, 3, 8], Init::XavierUniform);
        let class_token = Some(Tensor::full([1, 8], class_token, &test_device()));
        let features = VisibleTokens { tokens: tokens.val(), class_token, grid: GRID };
        decoder.predict(features, &asked.unwrap()).into_data().try_to_vec().unwrap()
    }

    fn decoder() -> CrossDecoder {
        let encoder = VitConfig::new(ImageShape::new(1, 4, 6), 2, 8, 1, 2);
        let config = DecoderConfig::new().with_width(12).with_depth(2).with_heads(3);
        config.init_cross(&encoder, 5, &mut InitialWeights::new(0, &test_device()))
    }

    #[test]
    fn a_cells_prediction_does_not_depend_on_what_else_is_asked_for() {
        let decoder = decoder();
        let all = predicted(&decoder, 1.0, &[1, 2, 4]);
        assert_eq!(all.len(), 3 * 5);
        for (at, cell) in [1, 2, 4].into_iter().enumerate() {
            let alone = predicted(&decoder, 1.0, &[cell]);
            assert!(all[at * 5..][..5].iter().zip(alone).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        assert!((all[0] - all[5]).abs() > 1e-4, "positions tell cells apart");
    }

    #[test]
    fn it_looks_at_the_class_token_too() {
        let decoder = decoder();
        assert_ne!(predicted(&decoder, 1.0, &[1]), predicted(&decoder, -1.0, &[1]));
    }
}
