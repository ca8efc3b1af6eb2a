//! What predicts features of hidden patches in the encoder's own space, and tokens from these.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::encoder::{VisibleTokens, VitConfig};
use crate::head::PredictionHead;
use crate::kernel;
use crate::mask::{GridMask, Mask};
use crate::nn::{
    BlockConfig, DropPath, Init, InitialWeights, LayerScale, Mlp, Norm, PositionTable, Positions,
    QkvBias, Transformer, TransformerConfig, per_token, scaled, split_heads,
};

/// Latent contextual regressor, decoder and the layer that tells tokens: from the features of the
/// visible patches to those of the hidden ones, and from these alone to their tokens (CAE, Chen et al.
/// 2022, arXiv 2202.03026 §3.1).
#[derive(Module, Debug)]
pub struct CaeHead {
    /// The features of the hidden patches.
    pub regressor: LatentRegressor,
    /// Hidden patches look at each other.
    pub decoder: Transformer,
    /// Width → vocabulary.
    pub projection: Linear,
}

impl CaeHead {
    /// The features of the asked cells, and what their tokens are taken for.
    ///
    /// # Shapes
    ///
    /// - visible: the features of the visible cells; the class token is not looked at
    /// - output: `[batch, asked, width]` and `[batch, asked, vocabulary]`
    pub fn predict_both(&self, visible: VisibleTokens, mask: &GridMask) -> [Tensor<3>; 2] {
        let grid = visible.grid;
        let latents = self.regressor.forward(visible, mask);
        let places = mask.asked.select_from_table(self.regressor.positions.cells(grid));
        let decoded = self.decoder.forward(latents.clone() + places, grid);
        [latents, per_token(&self.projection, decoded)]
    }
}

impl PredictionHead<VisibleTokens> for CaeHead {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let mask = mask.at(features.grid);
        let [_, logits] = self.predict_both(features, &mask);
        logits
    }
}

/// Mask tokens become features of the asked cells: in every block they look at the features of the
/// visible cells, which do not change, and at each other (§3.1, "Latent contextual regressor").
#[derive(Module, Debug)]
pub struct LatentRegressor {
    /// What a cell starts as, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// Sin-cos positions of all cells, interpolated for another grid as the encoder's are.
    pub positions: PositionTable,
    /// From the mask tokens to all tokens.
    pub blocks: Vec<LatentBlock>,
    /// After the last block.
    pub norm: Norm,
}

impl LatentRegressor {
    pub(super) fn new(
        config: &TransformerConfig,
        encoder: &VitConfig,
        weights: &mut InitialWeights,
    ) -> Self {
        let (width, grid) = (encoder.width, encoder.grid());
        Self {
            mask_token: weights.param([1, width], encoder.token_init()),
            positions: PositionTable::new(Positions::SinCos, grid, width, false, weights)
                .expect("sin-cos positions are positions"),
            blocks: (0..config.depth)
                .map(|index| LatentBlock::new(&config.block(index), weights))
                .collect(),
            norm: weights.norm_of(config.norm, width, config.norm_epsilon),
        }
    }

    /// The features of the asked cells.
    ///
    /// # Shapes
    ///
    /// - visible: the features of the visible cells; the class token is not looked at
    /// - output: `[batch, asked, width]`
    pub fn forward(&self, visible: VisibleTokens, mask: &GridMask) -> Tensor<3> {
        let table = self.positions.cells(visible.grid);
        let asked = mask.asked.select_from_table(table.clone());
        let all = Tensor::cat(vec![mask.visible.select_from_table(table), asked.clone()], 1);
        let tokens = self.mask_token.val().unsqueeze::<3>().expand(asked.dims());
        let latents = self.blocks.iter().fold(tokens, |tokens, block| {
            block.forward(tokens, visible.tokens.clone(), [asked.clone(), all.clone()])
        });
        self.norm.forward(latents)
    }
}

/// y = norm(x + attention(norm(x + p), norm(m + q), norm(m))), then y + mlp(y), of tokens x at places p
/// that look at tokens m at places q, which are others and x itself (official code,
/// `RegressorBlock`).
#[derive(Module, Debug)]
pub struct LatentBlock {
    /// Of what looks.
    pub query_norm: Norm,
    /// Of what is looked at.
    pub key_norm: Norm,
    /// Of what is seen.
    pub value_norm: Norm,
    /// `width` → `width`.
    pub query: Linear,
    /// `width` → `width`.
    pub key: Linear,
    /// `width` → `width`.
    pub value: Linear,
    /// The projection after the heads are joined.
    pub out: Linear,
    /// Scale of the attention branch.
    pub scale1: Option<LayerScale>,
    /// Of the tokens before the MLP, which go on normalized.
    pub norm: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// Scale of the MLP branch.
    pub scale2: Option<LayerScale>,
    /// Drops branches while training.
    pub drop_path: DropPath,
    heads: usize,
}

impl LatentBlock {
    fn new(block: &BlockConfig, weights: &mut InitialWeights) -> Self {
        let attention = &block.attention;
        let (width, init) = (attention.width, attention.init);
        let norm =
            |weights: &mut InitialWeights| weights.norm_of(block.norm, width, block.norm_epsilon);
        let square = |bias: bool, init: Init, weights: &mut InitialWeights| match bias {
            true => weights.linear(width, width, init),
            false => weights.linear_without_bias(width, width, init),
        };
        let biased = attention.qkv_bias != QkvBias::None;
        let scale = |weights: &mut InitialWeights| {
            block.layer_scale.map(|value| LayerScale::new(width, value, weights))
        };
        Self {
            query_norm: norm(weights),
            key_norm: norm(weights),
            value_norm: norm(weights),
            query: square(biased, init, weights),
            key: square(attention.qkv_bias == QkvBias::All, init, weights),
            value: square(biased, init, weights),
            out: square(true, attention.output_init, weights),
            scale1: scale(weights),
            norm: norm(weights),
            mlp: block.mlp([init, attention.output_init], weights),
            scale2: scale(weights),
            drop_path: DropPath::new(block.drop_path),
            heads: attention.heads,
        }
    }

    /// The tokens after this block.
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - others: `[batch, others, width]`
    /// - places: `[batch, tokens, width]` of the tokens, and `[batch, others + tokens, width]` of all,
    ///   those of the others first
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        others: Tensor<3>,
        [own, all]: [Tensor<3>; 2],
    ) -> Tensor<3> {
        let dropped = self.drop_path.draw_two(&tokens);
        let seen = Tensor::cat(vec![others, tokens.clone()], 1);
        let attended = self.attend(
            self.query_norm.forward(tokens.clone() + own),
            self.key_norm.forward(seen.clone() + all),
            self.value_norm.forward(seen),
        );
        let tokens = self.norm.forward(tokens + dropped[0].apply(scaled(attended, &self.scale1)));
        let transformed = self.mlp.forward(tokens.clone());
        tokens + dropped[1].apply(scaled(transformed, &self.scale2))
    }

    fn attend(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let split = |layer: &Linear, tokens| split_heads(per_token(layer, tokens), self.heads);
        let scale = ((query.dims()[2] / self.heads) as f64).powf(-0.5);
        let [query, key] =
            [(&self.query, query), (&self.key, key)].map(|(layer, x)| split(layer, x));
        per_token(&self.out, kernel::attend(query, key, split(&self.value, value), scale, None))
    }
}
