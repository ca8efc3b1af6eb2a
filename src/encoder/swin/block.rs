//! Swin's block: pre-norm, a bias table.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{SwinConfig, WindowBlock};
use crate::grid::Grid;
use crate::nn::{
    Attention, DropPath, Dropped, InitialWeights, Mlp, Norm, QkvBias, RelativePositionBias, Windows,
};

/// Added to the score of two tokens that the shift alone brought together (official code).
const PENALTY: f64 = -100.0;

/// x + attention(norm(x)) within windows, then x + mlp(norm(x)) (arXiv 2103.14030 §3.2).
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Before the attention.
    pub norm1: Norm,
    /// Attention between the tokens of a window.
    pub attention: Attention,
    /// The bias of scores, by the relative position of two tokens.
    pub relative_positions: RelativePositionBias,
    /// Before the MLP.
    pub norm2: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// Drops branches while training.
    pub drop_path: DropPath,
}

impl SwinBlock {
    pub(super) fn new(
        config: &SwinConfig,
        stage: usize,
        block: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        let attention = config.attention(stage, QkvBias::All);
        let (width, init) = (attention.width, attention.init);
        let window = Grid::square(config.window);
        let heads = attention.heads;
        Self {
            norm1: weights.norm(width, config.norm_epsilon),
            attention: attention.init(weights),
            relative_positions: RelativePositionBias::new(window, false, heads, init, weights),
            norm2: weights.norm(width, config.norm_epsilon),
            mlp: Mlp::new(width, config.mlp_width(stage), [init; 2], weights),
            drop_path: DropPath::new(config.block_drop_path(stage, block)),
        }
    }
}

impl WindowBlock for SwinBlock {
    const TITLE: &'static str = "Swin";

    fn drop_path(&self) -> &DropPath {
        &self.drop_path
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Self { drop_path: self.drop_path.with_probability(probability), ..self }
    }

    fn compute(&self, tokens: Tensor<3>, windows: &Windows, dropped: &[Dropped; 2]) -> Tensor<3> {
        let bias = windows.with_mask(self.relative_positions.within(windows.window()), PENALTY);
        let within = windows.partition(self.norm1.forward(tokens.clone()));
        let attended = windows.merge(self.attention.forward(within, Some(bias)));
        let tokens = tokens + dropped[0].apply(attended);
        let transformed = self.mlp.forward(self.norm2.forward(tokens.clone()));
        tokens + dropped[1].apply(transformed)
    }
}
