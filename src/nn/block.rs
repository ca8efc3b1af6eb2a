//! The pre-norm transformer block.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Attention, AttentionConfig, DropPath, LayerNorm, LayerScale, Mlp, Weights};

/// What a [`Block`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct BlockConfig {
    /// The attention layer; its width and initialisation are the block's.
    pub attention: AttentionConfig,
    /// Features between the two linear layers of the MLP.
    pub mlp_width: usize,
    /// Epsilon of both layer norms.
    pub norm_epsilon: f64,
    /// Where the layer scales start; `None` for a block without.
    pub layer_scale: Option<f64>,
    /// Probability to drop each residual branch.
    pub drop_path: f64,
}

impl BlockConfig {
    /// The block with fresh weights.
    pub fn init(&self, weights: &mut Weights) -> Block {
        let AttentionConfig { width, init, output_init, .. } = self.attention;
        let scale = |weights: &mut Weights| {
            self.layer_scale.map(|value| LayerScale::new(width, value, weights))
        };
        Block {
            norm1: weights.norm(width, self.norm_epsilon),
            attention: self.attention.init(weights),
            scale1: scale(weights),
            norm2: weights.norm(width, self.norm_epsilon),
            mlp: Mlp::new(width, self.mlp_width, [init, output_init], weights),
            scale2: scale(weights),
            drop_path: DropPath::new(self.drop_path),
        }
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Tokens look at each other.
    pub attention: Attention,
    /// Scale of the attention branch.
    pub scale1: Option<LayerScale>,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// Scale of the MLP branch.
    pub scale2: Option<LayerScale>,
    /// Drops branches while training.
    pub drop_path: DropPath,
}

impl Block {
    /// The tokens after this block.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias: `[1, heads, tokens, tokens]`
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, tokens: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let attended = self.attention.forward(self.norm1.forward(tokens.clone()), bias);
        let tokens = tokens + self.branch(attended, &self.scale1);
        let transformed = self.mlp.forward(self.norm2.forward(tokens.clone()));
        tokens + self.branch(transformed, &self.scale2)
    }

    fn branch(&self, output: Tensor<3>, scale: &Option<LayerScale>) -> Tensor<3> {
        let output = match scale {
            Some(scale) => scale.forward(output),
            None => output,
        };
        self.drop_path.forward(output)
    }
}
