//! VideoMAE's decoder: MAE's on the cells of a clip.

use super::Decoder;
use crate::config::config;
use crate::encoder::ClipVitConfig;
use crate::error::{Result, ensure};
use crate::limits;
use crate::nn::{Init, InitialWeights, PositionTable, TransformerConfig};

config! {
    /// Sizes of the decoder of clips; everything else is as in the encoder it decodes.
    #[derive(Debug, PartialEq)]
    pub struct ClipDecoderConfig {
        /// Features per token. Default: 384, the paper's for ViT-B
        pub width: usize = 384,
        /// Blocks. Default: 4, the paper's
        pub depth: usize = 4,
        /// Attention heads. Default: 6, the paper's for ViT-B
        pub heads: usize = 6,
        /// Width of the MLP between its layers, over `width`. Default: 4
        pub mlp_ratio: f64 = 4.0,
        /// Epsilon of the final norm; those of the blocks are the encoder's. Default: 1e-5,
        /// transformers' (the official code has 1e-6)
        pub final_norm_epsilon: f64 = 1e-5,
    }
}

impl ClipDecoderConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, encoder: &ClipVitConfig) -> Result<()> {
        let Self { width, mlp_ratio, final_norm_epsilon, .. } = *self;
        let transformer = self.transformer(encoder);
        ensure!(
            transformer.mlp_width > 0,
            "an mlp_ratio of {mlp_ratio:?} leaves no MLP for a width of {width}"
        );
        transformer.validate()?;
        TransformerConfig { norm_epsilon: final_norm_epsilon, ..transformer }.validate()?;
        let cells = encoder.clip.grid(encoder.tubelet, encoder.patch)?.cells();
        limits::parameters(limits::product(&[cells, width]))
    }

    /// A decoder for `encoder` that predicts `target_width` values per hidden cell: an embedding
    /// without bias, fixed positions of a sequence, blocks, a norm, a linear layer (arXiv 2203.12602
    /// §3.3). Its tokens are in the order of the grid; the official code has the visible ones first,
    /// which attention does not see.
    ///
    /// # Panics
    ///
    /// With the message of [`ClipDecoderConfig::validate`] when that fails.
    pub fn init(
        &self,
        encoder: &ClipVitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> Decoder {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let width = self.width;
        let embed = weights.linear_without_bias(encoder.width, width, Init::XavierUniform);
        let mask_token = weights.param([1, width], Init::Normal { std: 0.02 });
        let mut transformer = self.transformer(encoder).init(weights);
        transformer.norm = Some(weights.norm(width, self.final_norm_epsilon));
        Decoder {
            embed,
            mask_token,
            positions: PositionTable::sequence(encoder.grid().flat(), width, weights),
            transformer,
            projection: weights.linear(width, target_width, Init::XavierUniform),
        }
    }

    /// The decoder's blocks. Everything but their sizes is as in the encoder.
    pub(crate) fn transformer(&self, encoder: &ClipVitConfig) -> TransformerConfig {
        TransformerConfig {
            mlp_width: (self.width as f64 * self.mlp_ratio).round() as usize,
            activation: encoder.activation,
            norm_epsilon: encoder.norm_epsilon,
            qkv_bias: encoder.qkv_bias,
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{ClipVit, Encoder};
    use crate::grid::{ClipShape, Grid, ImageShape};
    use crate::head::PredictionHead;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;
    use burn::tensor::Tensor;

    fn sizes() -> ClipVitConfig {
        ClipVitConfig::new(ClipShape::new(ImageShape::new(1, 4, 4), 4), 2, 2, 6, 1, 2)
    }

    #[test]
    fn it_predicts_each_hidden_cell_of_each_step_from_its_place_and_the_visible_ones() {
        let mut weights = InitialWeights::new(0, &test_device());
        let encoder: ClipVit = sizes().init(&mut weights);
        let config = ClipDecoderConfig::new().with_width(9).with_depth(2).with_heads(3);
        let decoder = config.init(&sizes(), 5, &mut weights);
        assert!(decoder.embed.bias.is_none());
        let mask = UnitMask::from_indices(Grid::new(4, 2), [1, 5, 6]).unwrap();
        let mask = Mask::new([mask], &test_device()).unwrap();
        let predict = |clips| decoder.predict(encoder.encode(clips, &mask), &mask);
        let ones = Tensor::ones([1, 1, 4, 4, 4], &test_device());
        let predicted = predict(ones.clone());
        assert_eq!(predicted.dims(), [1, 3, 5]);
        let rows: Vec<f32> = predicted.into_data().try_to_vec().unwrap();
        assert!(rows[..5] != rows[5..10] && rows[5..10] != rows[10..]);
        let other: Vec<f32> = predict(ones * 2.0).into_data().try_to_vec().unwrap();
        assert!(rows.iter().zip(other).all(|(a, b)| *a != b));
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: ClipDecoderConfig| config.validate(&sizes()).unwrap_err().to_string();
        let base = ClipDecoderConfig::new;
        base().validate(&sizes()).unwrap();
        assert!(broken(base().with_heads(5)).contains("5 heads do not divide a width of 384"));
        assert!(broken(base().with_depth(0)).contains("at least one block"));
        assert!(broken(base().with_mlp_ratio(0.0)).contains("leaves no MLP"));
        assert!(broken(base().with_final_norm_epsilon(0.0)).contains("norm_epsilon"));
    }
}
