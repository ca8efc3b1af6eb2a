//! I-JEPA's predictor: a narrow transformer over what the encoder saw and what is asked for.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::{DecoderConfig, PredictionHead};
use crate::encoder::{VisibleTokens, VitConfig};
use crate::mask::Mask;
use crate::nn::{
    InitialWeights, PositionTable, Positions, Transformer, TransformerConfig, per_token,
};

/// Predicts the asked cells from the visible ones: a mask token with its position stands for each
/// asked cell, and a transformer lets all of these tokens look at each other (I-JEPA, Assran et al.
/// 2023, arXiv 2301.08243 §3 "Prediction").
///
/// A [`Decoder`](super::Decoder) has mask tokens for all hidden cells. Here cells that are neither
/// visible nor asked for are left out, and neither cost nor change anything; where all hidden cells
/// are asked for, both compute the same.
#[derive(Module, Debug)]
pub struct Predictor {
    /// Encoder width → predictor width.
    pub embed: Linear,
    /// The mask token, which asks for a cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// Fills the asked cells in.
    pub transformer: Transformer,
    /// Predictor width → target width.
    pub projection: Linear,
}

impl DecoderConfig {
    /// A predictor for `encoder` of `target_width` values per asked cell, whatever the
    /// configuration's own attention. Its weights start as the encoder's do.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init_predictor(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> Predictor {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let (width, init, grid) = (self.width, encoder.matrix_init(), encoder.grid());
        let transformer = TransformerConfig { init, ..self.transformer(encoder) };
        Predictor {
            embed: weights.linear(encoder.width, width, init),
            mask_token: weights.param([1, width], encoder.token_init()),
            positions: PositionTable::new(
                Positions::SinCos,
                grid,
                width,
                encoder.class_token,
                weights,
            )
            .expect("sin-cos positions are positions"),
            transformer: transformer.init(weights),
            projection: weights.linear(width, target_width, init),
        }
    }
}

impl PredictionHead<VisibleTokens> for Predictor {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, class_token, grid } = features;
        let (mask, table) = (mask.at(grid), self.positions.cells(grid));
        let asked = mask.asked.select_from_table(table.clone());
        let asked = asked + self.mask_token.val().unsqueeze::<3>();
        let visible = per_token(&self.embed, tokens) + mask.visible.select_from_table(table);
        let class_token = class_token.map(|token| {
            (self.embed.forward(token) + self.positions.class_tokens()).unsqueeze_dim(1)
        });
        let tokens: Vec<_> = class_token.into_iter().chain([visible, asked]).collect();
        let tokens = Tensor::cat(tokens, 1);
        let first = tokens.dims()[1] - mask.asked.count();
        let asked =
            self.transformer.forward_some(tokens, grid, |tokens| tokens.slice(s![.., first.., ..]));
        per_token(&self.projection, asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, ImageShape};
    use crate::head::Decoder;
    use crate::mask::UnitMask;
    use crate::nn::Init;
    use crate::test_device;
    use burn::tensor::Tolerance;

    const GRID: Grid = Grid::new(2, 3);

    fn predictor(class_token: bool) -> Predictor {
        let encoder =
            VitConfig::new(ImageShape::new(1, 4, 6), 2, 8, 1, 2).with_class_token(class_token);
        let config = DecoderConfig::new().with_width(12).with_depth(2).with_heads(3);
        config.init_predictor(&encoder, 5, &mut InitialWeights::new(0, &test_device()))
    }

    fn features(class_token: Option<f32>) -> VisibleTokens {
        let init = Init::Normal { std: 1.0 };
        let tokens = InitialWeights::new(1, &test_device()).param([1, 2, 8], init).val();
        let class_token = class_token.map(|value| Tensor::full([1, 8], value, &test_device()));
        VisibleTokens { tokens, class_token, grid: GRID }
    }

    /// Cells 0 and 5 are visible, of the others some are asked for.
    fn mask(asked: &[usize]) -> Mask {
        let mask = |cells: &[usize]| UnitMask::from_indices(GRID, cells.to_vec()).unwrap();
        let hidden = Mask::new([mask(&[1, 2, 3, 4])], &test_device()).unwrap();
        hidden.with_asked([mask(asked)]).unwrap()
    }

    fn values(prediction: Tensor<3>) -> Vec<f32> {
        prediction.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn of_all_hidden_cells_it_predicts_what_a_decoder_of_its_weights_does() {
        for class_token in [None, Some(0.5)] {
            let predictor = predictor(class_token.is_some());
            let Predictor { embed, mask_token, positions, transformer, projection } =
                predictor.clone();
            let decoder = Decoder { embed, mask_token, positions, transformer, projection };
            let all = mask(&[1, 2, 3, 4]);
            let expected = decoder.predict(features(class_token), &all).into_data();
            let got = predictor.predict(features(class_token), &all).into_data();
            got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn cells_that_are_not_asked_for_change_nothing_and_asked_ones_see_each_other() {
        let predictor = predictor(false);
        let decoder_sees_all = values(predictor.predict(features(None), &mask(&[1, 2, 3, 4])));
        let two = values(predictor.predict(features(None), &mask(&[1, 4])));
        assert_eq!(two.len(), 2 * 5);
        let far = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-5);
        assert!(far(&two[..5], &decoder_sees_all[..5]), "fewer are asked for");
        assert!(far(&two[..5], &two[5..]), "positions tell cells apart");
    }

    #[test]
    fn it_looks_at_the_class_token_too() {
        let predictor = predictor(true);
        let [one, other] =
            [1.0, -1.0].map(|token| values(predictor.predict(features(Some(token)), &mask(&[1]))));
        assert_ne!(one, other);
    }
}
