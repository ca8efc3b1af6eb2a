//! Swin-v2's block: norms after the branches, cosine attention, a continuous position bias.

use burn::module::Module;
use burn::tensor::Tensor;

use super::SwinV2Config;
use crate::encoder::swin::WindowBlock;
use crate::grid::Grid;
use crate::nn::{
    ContinuousPositionBias, CosineAttention, DropPath, Dropped, Init, InitialWeights, Mlp, Norm,
    QkvBias, Windows,
};

/// Added to the score of two tokens that the shift alone brought together: transformers adds its
/// −100 twice. Once would not always do, since scaled cosines are themselves up to 100.
const PENALTY: f64 = -200.0;

/// x + norm(attention(x)) within windows, then x + norm(mlp(x)) (arXiv 2111.09883 §3.2).
#[derive(Module, Debug)]
pub struct SwinV2Block {
    /// Attention between the tokens of a window.
    pub attention: CosineAttention,
    /// The bias of scores, by the relative position of two tokens.
    pub position_bias: ContinuousPositionBias,
    /// After the attention.
    pub norm1: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// After the MLP.
    pub norm2: Norm,
    /// After both branches, in some blocks of the largest sizes.
    pub extra_norm: Option<Norm>,
    /// Drops branches while training.
    pub drop_path: DropPath,
}

impl SwinV2Block {
    pub(super) fn new(
        config: &SwinV2Config,
        stage: usize,
        block: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        let sizes = &config.sizes;
        let attention = sizes.attention(stage, QkvBias::QueryValue);
        let (width, heads, init) = (attention.width, attention.heads, attention.init);
        let window = Grid::square(config.window(stage).0);
        let pretrained = Grid::square(config.pretrained_window(stage));
        let branch_norm = |weights: &mut InitialWeights| {
            let mut norm = weights.norm(width, sizes.norm_epsilon);
            norm.gamma = weights.param([width], Init::Constant(config.branch_norm as f32));
            norm
        };
        Self {
            attention: CosineAttention::new(&attention, weights),
            position_bias: ContinuousPositionBias::new(window, pretrained, heads, weights),
            norm1: branch_norm(weights),
            mlp: Mlp::new(width, sizes.mlp_width(stage), [init; 2], weights),
            norm2: branch_norm(weights),
            extra_norm: config
                .has_extra_norm(block)
                .then(|| weights.norm(width, sizes.norm_epsilon)),
            drop_path: DropPath::new(sizes.block_drop_path(stage, block)),
        }
    }
}

impl WindowBlock for SwinV2Block {
    const TITLE: &'static str = "Swin-v2";

    fn drop_path(&self) -> &DropPath {
        &self.drop_path
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Self { drop_path: self.drop_path.with_probability(probability), ..self }
    }

    fn compute(&self, tokens: Tensor<3>, windows: &Windows, dropped: &[Dropped; 2]) -> Tensor<3> {
        let bias = windows.with_mask(self.position_bias.bias(), PENALTY);
        let within = windows.partition(tokens.clone());
        let attended = windows.merge(self.attention.forward(within, Some(bias)));
        let tokens = tokens + dropped[0].apply(self.norm1.forward(attended));
        let transformed = self.norm2.forward(self.mlp.forward(tokens.clone()));
        let tokens = tokens + dropped[1].apply(transformed);
        match &self.extra_norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }
}
