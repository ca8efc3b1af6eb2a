//! Hiera's block: a transformer's, which may pool and widen.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::attention::pooled;
use super::{HieraConfig, UnitAttention};
use crate::nn::{DropPath, Dropped, Init, InitialWeights, Mlp, Norm, checkpointed, per_token};

/// x + attention(norm(x)), then x + mlp(norm(x)); the first block of a stage begins with the maximum
/// of projections of norm(x) in place of x (arXiv 2306.00989 §3.2).
#[derive(Module, Debug)]
pub struct HieraBlock {
    /// Before the attention.
    pub norm1: Norm,
    /// Attention within mask units or of all tokens.
    pub attention: UnitAttention,
    /// To the width of a new stage.
    pub projection: Option<Linear>,
    /// Before the MLP.
    pub norm2: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// Drops branches while training.
    pub drop_path: DropPath,
}

impl HieraBlock {
    pub(super) fn new(
        config: &HieraConfig,
        [stage, block]: [usize; 2],
        weights: &mut InitialWeights,
    ) -> Self {
        let (width, init) = (config.stage_width(stage), Init::XavierUniform);
        let widens = block == 0 && stage > 0;
        let input = if widens { config.stage_width(stage - 1) } else { width };
        let (heads, attends) = (config.heads[stage], config.attends(stage, block));
        let (before, all) =
            (config.depths[..stage].iter().sum::<usize>(), config.depths.iter().sum());
        Self {
            norm1: weights.norm(input, config.norm_epsilon),
            attention: UnitAttention::new([input, width], heads, attends, weights),
            projection: widens.then(|| weights.linear(input, width, init)),
            norm2: weights.norm(width, config.norm_epsilon),
            mlp: Mlp::new(width, config.mlp_width(stage), [init; 2], weights),
            drop_path: DropPath::new(DropPath::growing_to(config.drop_path, before + block, all)),
        }
    }

    /// The tokens after this block, [`checkpointed`].
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, groups · cells, input width]`
    /// - output: `[batch, groups · cells / pool, width]`
    pub fn forward(&self, tokens: Tensor<3>, groups: usize) -> Tensor<3> {
        let dropped = self.drop_path.draw_two(&tokens);
        checkpointed(self, tokens, None, move |block, tokens, _| {
            block.compute(tokens, groups, &dropped)
        })
    }

    fn compute(&self, tokens: Tensor<3>, groups: usize, dropped: &[Dropped; 2]) -> Tensor<3> {
        let normed = self.norm1.forward(tokens.clone());
        let tokens = match &self.projection {
            Some(projection) => {
                pooled(per_token(projection, normed.clone()), groups, self.attention.pool())
            }
            None => tokens,
        };
        let tokens = tokens + dropped[0].apply(self.attention.forward(normed, groups));
        let transformed = self.mlp.forward(self.norm2.forward(tokens.clone()));
        tokens + dropped[1].apply(transformed)
    }

    pub(super) fn with_drop_path(self, probability: f64) -> Self {
        Self { drop_path: self.drop_path.with_probability(probability), ..self }
    }
}
