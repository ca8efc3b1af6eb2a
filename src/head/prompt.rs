//! MILAN's decoder: mask tokens are filled in, and the encoder's tokens stay as they are.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{DecoderConfig, PredictionHead};
use crate::encoder::{VisibleTokens, VitConfig};
use crate::mask::{GridMask, Mask};
use crate::nn::{
    CrossBlock, CrossBlockConfig, Init, InitialWeights, Norm, PositionTable, Positions, QkvBias,
    per_token,
};

/// Puts a mask token at every hidden cell, which looks at the encoder's tokens and at the other mask
/// tokens in every block; the encoder's tokens are embedded once and never changed (the prompting
/// decoder of MILAN, Hou et al. 2022, arXiv 2208.06049 §3.2).
#[derive(Module, Debug)]
pub struct PromptDecoder {
    /// Encoder width → decoder width.
    pub embed: Linear,
    /// The mask token, which stands for a hidden cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// From the mask tokens to all tokens.
    pub blocks: Vec<CrossBlock>,
    /// After the last block, and of the encoder's tokens.
    pub norm: Norm,
    /// Decoder width → target width.
    pub projection: Linear,
}

impl DecoderConfig {
    /// A prompting decoder for `encoder` that predicts `target_width` values per cell, whatever the
    /// configuration's own attention.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init_prompt(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> PromptDecoder {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let (width, init) = (self.width, Init::XavierUniform);
        let block = CrossBlockConfig {
            width,
            memory_width: width,
            heads: self.heads,
            mlp_width: self.transformer(encoder).mlp_width,
            norm_epsilon: encoder.norm_epsilon,
            bias: encoder.qkv_bias != QkvBias::None,
            init,
        };
        let (grid, class_token) = (encoder.grid(), encoder.class_token);
        PromptDecoder {
            embed: weights.linear(encoder.width, width, init),
            mask_token: weights.param([1, width], Init::Normal { std: 0.02 }),
            positions: PositionTable::new(Positions::SinCos, grid, width, class_token, weights)
                .expect("sin-cos positions are positions"),
            blocks: (0..self.depth).map(|_| block.init(weights)).collect(),
            norm: weights.norm(width, encoder.norm_epsilon),
            projection: weights.linear(width, target_width, init),
        }
    }
}

impl PromptDecoder {
    /// The predictions of the visible cells, which are read off the encoder's tokens, and of the asked
    /// ones, where a mask token is put: both `[batch, cells, target width]`.
    pub fn predict_both(&self, features: VisibleTokens, mask: &GridMask) -> [Tensor<3>; 2] {
        let VisibleTokens { tokens, class_token, grid } = features;
        let places = self.positions.cells(grid);
        let visible = per_token(&self.embed, tokens);
        let visible = visible + mask.visible.select_from_table(places.clone());
        let asked = mask.asked.select_from_table(places) + self.mask_token.val().unsqueeze::<3>();
        let memory = match class_token {
            Some(class_token) => {
                let class_token = self.embed.forward(class_token) + self.positions.class_tokens();
                Tensor::cat(vec![class_token.unsqueeze_dim(1), visible.clone()], 1)
            }
            None => visible.clone(),
        };
        let look = |asked, block: &CrossBlock| block.forward_among(asked, memory.clone());
        let asked = self.blocks.iter().fold(asked, look);
        [visible, asked].map(|tokens| per_token(&self.projection, self.norm.forward(tokens)))
    }
}

impl PredictionHead<VisibleTokens> for PromptDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let mask = mask.at(features.grid);
        let [_, asked] = self.predict_both(features, &mask);
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::UnitMask;
    use crate::test_device;

    const GRID: Grid = Grid::new(2, 3);

    fn decoder() -> PromptDecoder {
        let encoder = VitConfig::new(ImageShape::new(1, 4, 6), 2, 8, 1, 2);
        let config = DecoderConfig::new().with_width(12).with_depth(2).with_heads(3);
        config.init_prompt(&encoder, 5, &mut InitialWeights::new(0, &test_device()))
    }

    /// The predictions of the visible cells 0, 3 and 5 and of the hidden ones 1, 2 and 4.
    fn predicted(moved: Option<usize>, class_token: f32) -> [Vec<f32>; 2] {
        let hidden = UnitMask::from_indices(GRID, [1, 2, 4]).unwrap();
        let mask = Mask::new([hidden], &test_device()).unwrap().at(GRID);
        let tokens = InitialWeights::new(1, &test_device()).param([1, 3, 8], Init::XavierUniform);
        let tokens = moved.into_iter().fold(tokens.val(), |tokens, cell| {
            tokens.slice_fill([0..1, cell..cell + 1, 0..4], 3.0)
        });
        let class_token = Some(Tensor::full([1, 8], class_token, &test_device()));
        let features = VisibleTokens { tokens, class_token, grid: GRID };
        decoder().predict_both(features, &mask).map(|cells| {
            assert_eq!(cells.dims(), [1, 3, 5]);
            cells.into_data().try_to_vec().unwrap()
        })
    }

    #[test]
    fn a_visible_cell_is_predicted_from_its_own_token_and_a_hidden_one_from_all() {
        let [visible, hidden] = predicted(None, 1.0);
        let [other_visible, other_hidden] = predicted(Some(1), 1.0);
        for cell in 0..3 {
            let own = cell * 5..cell * 5 + 5;
            assert_eq!(visible[own.clone()] == other_visible[own.clone()], cell != 1, "{cell}");
            assert_ne!(hidden[own.clone()], other_hidden[own], "{cell}");
        }
        let [same, other] = predicted(None, -1.0);
        assert!(same == visible && other != hidden, "only mask tokens look at the class token");
    }

    #[test]
    fn mask_tokens_look_at_each_other() {
        let mask = |cells: &[usize]| UnitMask::from_indices(GRID, cells.to_vec()).unwrap();
        let first = |asked: &[usize]| {
            let hidden = Mask::new([mask(&[1, 2, 4])], &test_device()).unwrap();
            let tokens = Tensor::ones([1, 3, 8], &test_device());
            let features = VisibleTokens { tokens, class_token: None, grid: GRID };
            let mask = hidden.with_asked([mask(asked)]).unwrap();
            decoder().predict(features, &mask).narrow(1, 0, 1).into_data()
        };
        assert_ne!(first(&[1]), first(&[1, 2]));
    }
}
