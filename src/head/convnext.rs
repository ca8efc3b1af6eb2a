//! FCMAE's decoder: ConvNeXt V2 blocks over visible features and mask tokens.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::PredictionHead;
use crate::config::config;
use crate::encoder::VisibleTokens;
use crate::encoder::convnext::ConvNextV2Block;
use crate::error::{Result, ensure};
use crate::limits;
use crate::mask::{Mask, Shown};
use crate::nn::{Init, InitialWeights, per_token};

config! {
    /// Sizes of a [`ConvNextDecoder`].
    #[derive(Debug, PartialEq)]
    pub struct ConvNextDecoderConfig {
        /// Features per cell. Default: 512, the paper's (arXiv 2301.00808 §3, Table 1)
        pub width: usize = 512,
        /// Blocks. Default: 1
        pub depth: usize = 1,
    }
}

impl ConvNextDecoderConfig {
    /// Checks every rule the sizes must keep, for an encoder of so many features.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, encoder_width: usize) -> Result<()> {
        let Self { width, depth } = *self;
        ensure!(width > 0, "a decoder needs features, got a width of 0");
        limits::at_most("the decoder's width", width, limits::WIDTH)?;
        limits::at_most("the decoder's depth", depth, limits::DEPTH)?;
        limits::parameters(limits::product(&[width, encoder_width]))?;
        limits::parameters(limits::product(&[depth, 8, width, width]))
    }

    /// A decoder for an encoder of `encoder_width` features that predicts `target_width` values per
    /// asked cell.
    ///
    /// # Panics
    ///
    /// With the message of [`ConvNextDecoderConfig::validate`] when that fails.
    pub fn init(
        &self,
        encoder_width: usize,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> ConvNextDecoder {
        self.validate(encoder_width).unwrap_or_else(|error| panic!("{error}"));
        let init = Init::Normal { std: 0.02 };
        ConvNextDecoder {
            embed: weights.linear(encoder_width, self.width, init),
            mask_token: weights.param([1, self.width], init),
            blocks: (0..self.depth)
                .map(|_| ConvNextV2Block::new(self.width, 0.0, weights))
                .collect(),
            projection: weights.linear(self.width, target_width, init),
        }
    }
}

/// Puts a mask token at every hidden cell, and lets blocks of convolutions over the whole grid fill
/// them in (arXiv 2301.00808 §3.1). Only asked cells leave it.
///
/// It has no positions: a hidden cell knows where it is by its neighbors, and by the border.
#[derive(Module, Debug)]
pub struct ConvNextDecoder {
    /// Encoder width → decoder width.
    pub embed: Linear,
    /// The mask token, which stands for a hidden cell, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Fill the hidden cells in.
    pub blocks: Vec<ConvNextV2Block>,
    /// Decoder width → target width.
    pub projection: Linear,
}

impl PredictionHead<VisibleTokens> for ConvNextDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, grid, .. } = features;
        let (mask, shown) = (mask.at(grid), Shown::all(grid));
        let cells = mask.visible.fill(per_token(&self.embed, tokens), self.mask_token.val());
        let cells = self.blocks.iter().fold(cells, |cells, block| block.forward(cells, &shown));
        per_token(&self.projection, mask.asked.select(cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::UnitMask;
    use crate::test_device;

    const GRID: Grid = Grid::new(1, 10);

    /// The predictions of the hidden cells 1 and 9, all others being visible.
    fn predicted(depth: usize, scale: f64) -> [Vec<f32>; 2] {
        let mut weights = InitialWeights::new(0, &test_device());
        let config = ConvNextDecoderConfig::new().with_width(4).with_depth(depth);
        let decoder = config.init(6, 3, &mut weights);
        let mask = UnitMask::from_indices(GRID, [1, 9]).unwrap();
        let tokens = weights.param([1, 8, 6], Init::Normal { std: 1.0 }).val();
        // The cell 0 alone is scaled.
        let first = tokens.clone().narrow(1, 0, 1) * scale;
        let tokens = Tensor::cat(vec![first, tokens.narrow(1, 1, 7)], 1);
        let features = VisibleTokens { tokens, class_token: None, grid: GRID };
        let mask = Mask::new([mask], &test_device()).unwrap();
        let predicted = decoder.predict(features, &mask);
        assert_eq!(predicted.dims(), [1, 2, 3]);
        let values: Vec<f32> = predicted.into_data().try_to_vec().unwrap();
        [values[..3].to_vec(), values[3..].to_vec()]
    }

    #[test]
    fn a_hidden_cell_sees_its_neighbors_and_no_further_but_for_the_response_norm() {
        let [[near, far], [near_other, far_other]] = [predicted(1, 1.0), predicted(1, 9.0)];
        assert_ne!(near, near_other);
        // γ starts at 0, so that the norm over all cells adds nothing yet.
        assert_eq!(far, far_other);
        assert_ne!(predicted(3, 1.0)[1], predicted(3, 9.0)[1]);
    }

    #[test]
    fn without_blocks_every_hidden_cell_has_the_same_prediction() {
        let [one, other] = predicted(0, 1.0);
        assert_eq!(one, other);
    }

    #[test]
    fn a_decoder_without_features_is_refused() {
        let refused = ConvNextDecoderConfig::new().with_width(0).validate(8).unwrap_err();
        assert!(refused.to_string().contains("a width of 0"));
    }
}
