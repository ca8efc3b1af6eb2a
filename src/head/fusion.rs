//! The decoder of a masked Hiera: the features of all stages at once, decoded as MAE's.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{DecoderAttention, DecoderConfig, PredictionHead};
use crate::encoder::hiera::{in_rows, in_units};
use crate::encoder::{HieraConfig, StageTokens};
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::limits;
use crate::mask::Mask;
use crate::nn::{
    Init, InitialWeights, Norm, PositionTable, Positions, Transformer, TransformerConfig, per_token,
};

/// Adds up what the stages say of each cell, puts a mask token at every hidden cell, adds positions,
/// and lets a transformer fill them in (arXiv 2306.00989 §4.1, Table 3a; the official code). Only
/// asked cells leave it.
#[derive(Module, Debug)]
pub struct FusionDecoder {
    /// For each stage before the last of pooled tokens, a convolution over the tokens that later become
    /// one cell: their values (channel, row, column) → the last stage's width.
    pub fusion: Vec<Linear>,
    /// Of the sum over the stages.
    pub fusion_norm: Norm,
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
    query_stride: [usize; 2],
}

impl DecoderConfig {
    /// Checks every rule that the sizes of a [`FusionDecoder`] must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate_fusion(&self, encoder: &HieraConfig) -> Result<()> {
        let Self { width, mlp_ratio, .. } = *self;
        ensure!(
            self.attention == DecoderAttention::Full,
            "the decoder of a Hiera has full attention, not cross-attention"
        );
        let transformer = self.fusion_transformer(encoder);
        ensure!(
            transformer.mlp_width > 0,
            "an mlp_ratio of {mlp_ratio:?} leaves no MLP for a width of {width}"
        );
        transformer.validate()?;
        let cells = encoder.stage_grid(encoder.pools).cells();
        limits::parameters(limits::product(&[cells, width]))?;
        let [first, ..] = self.fused(encoder)[..] else { return Ok(()) };
        limits::parameters(limits::product(&[first, encoder.output_width()]))
    }

    /// A decoder for `encoder` that predicts `target_width` values per asked cell.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate_fusion`] when that fails.
    pub fn init_fusion(
        &self,
        encoder: &HieraConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> FusionDecoder {
        self.validate_fusion(encoder).unwrap_or_else(|error| panic!("{error}"));
        let (width, input, init) = (self.width, encoder.output_width(), Init::XavierUniform);
        let (grid, learned) = (encoder.stage_grid(encoder.pools), Positions::Learned);
        // The variance of PyTorch's start of a convolution, which the official code leaves as it is.
        let fused = self.fused(encoder).into_iter();
        let fusion = fused
            .map(|values| weights.linear(values, input, Init::of_fan_in(values, 1.0 / 3.0)))
            .collect();
        FusionDecoder {
            fusion,
            fusion_norm: weights.norm(input, encoder.norm_epsilon),
            embed: weights.linear(input, width, init),
            mask_token: weights.param([1, width], Init::TruncatedNormal { std: 0.02, bound: 2.0 }),
            positions: PositionTable::new(learned, grid, width, 0usize, weights)
                .expect("learned positions are positions"),
            transformer: self.fusion_transformer(encoder).init(weights),
            projection: weights.linear(width, target_width, init),
            query_stride: encoder.query_stride,
        }
    }

    /// The values that each stage before the last of pooled tokens has for a cell.
    fn fused(&self, encoder: &HieraConfig) -> Vec<usize> {
        let last = encoder.stage_grid(encoder.pools).cells().max(1);
        let values = |stage| {
            encoder.stage_width(stage).saturating_mul(encoder.stage_grid(stage).cells() / last)
        };
        (0..encoder.pools).map(values).collect()
    }

    /// The blocks of a [`FusionDecoder`].
    pub(crate) fn fusion_transformer(&self, encoder: &HieraConfig) -> TransformerConfig {
        TransformerConfig {
            mlp_width: (self.width as f64 * self.mlp_ratio) as usize,
            norm_epsilon: encoder.norm_epsilon,
            ..TransformerConfig::new(self.width, self.depth, self.heads)
        }
    }
}

impl FusionDecoder {
    /// What is predicted of every cell, the visible ones included.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, cells, target width]`
    ///
    /// # Panics
    ///
    /// When the mask is of another grid or batch than the features.
    pub fn predict_all(&self, features: StageTokens, mask: &Mask) -> Tensor<3> {
        let (cells, grid) = self.cells(features, mask);
        per_token(&self.projection, self.transformer.forward(cells, grid))
    }

    /// The cells that the transformer reads, row by row, and their grid.
    fn cells(&self, features: StageTokens, mask: &Mask) -> (Tensor<3>, Grid) {
        let units = features.units;
        let fused = per_token(&self.embed, self.fusion_norm.forward(self.fused(features)));
        let mask = mask.at(units);
        let ([batch, count, width], seen) = (fused.dims(), mask.visible.count());
        let of_unit = count / seen;
        let fused = fused.reshape([batch, seen, of_unit * width]);
        let token = self.mask_token.val().repeat_dim(1, of_unit);
        let cells = mask.visible.fill(fused, token);
        let cells = cells.reshape([batch, units.cells(), of_unit, width]);
        let map = in_rows(cells, [units.rows, units.cols], self.query_stride);
        let [_, rows, cols, _] = map.dims();
        let grid = Grid::new(rows, cols);
        let positions = self.positions.cells(grid).unsqueeze();
        (map.reshape([batch, grid.cells(), width]) + positions, grid)
    }

    /// The sum of what the stages say of each visible cell, `[batch, visible units · cells, width]`.
    pub(crate) fn fused(&self, features: StageTokens) -> Tensor<3> {
        let last = features.stages.last().expect("a hierarchy has stages").clone();
        let [batch, seen, of_unit, width] = last.dims();
        let last = last.reshape([batch, seen * of_unit, width]);
        self.fusion.iter().zip(features.stages).enumerate().fold(
            last,
            |sum, (stage, (layer, from))| {
                let [.., tokens, width] = from.dims();
                let (parts, levels) = (tokens / of_unit, self.fusion.len() - stage);
                // The places within a cell come before the cells.
                let from = from.reshape([batch * seen, parts, of_unit, width]).swap_dims(1, 2);
                let from = from.reshape([batch, seen * of_unit, parts * width]);
                let bias = layer.bias.as_ref().map(|bias| bias.val());
                sum + crate::kernel::linear(from, self.by_places(layer, width, levels), bias)
            },
        )
    }

    /// The weights of a convolution for values in the order of (place, channel).
    fn by_places(&self, layer: &Linear, channels: usize, levels: usize) -> Tensor<2> {
        let [values, outputs] = layer.weight.dims();
        let [down, right] = self.query_stride.map(|stride| stride.pow(levels as u32));
        let kernel = layer.weight.val().reshape([channels, down, right, outputs]);
        let places = in_units(kernel, self.query_stride, levels);
        places.permute([1, 2, 0, 3]).reshape([values, outputs])
    }
}

impl PredictionHead<StageTokens> for FusionDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: StageTokens, mask: &Mask) -> Tensor<3> {
        let (cells, grid) = self.cells(features, mask);
        let asked = mask.at(grid).asked;
        let asked = self.transformer.forward_some(cells, grid, |tokens| asked.select(tokens));
        per_token(&self.projection, asked)
    }
}
