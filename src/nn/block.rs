//! The transformer block.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{
    Attention, AttentionConfig, DropPath, Dropped, Init, InitialWeights, KeysValues, LayerScale,
    Mlp, MlpActivation, Norm, NormKind, Rotations, checkpointed, per_token,
};

/// What a [`Block`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct BlockConfig {
    /// The attention layer; its width and initialization are the block's.
    pub attention: AttentionConfig,
    /// Features between the two linear layers of the MLP.
    pub mlp_width: usize,
    /// What comes between them.
    pub activation: MlpActivation,
    /// Whether the activation of as many other features scales them.
    pub gated: bool,
    /// What both norms do.
    pub norm: NormKind,
    /// Epsilon of both norms.
    pub norm_epsilon: f64,
    /// Whether a norm follows each branch, once it is added, in place of going before it.
    pub post_norm: bool,
    /// Where the layer scales start; `None` for a block without.
    pub layer_scale: Option<f64>,
    /// Probability to drop each residual branch.
    pub drop_path: f64,
}

impl BlockConfig {
    /// The block with fresh weights.
    pub fn init(&self, weights: &mut InitialWeights) -> Block {
        let AttentionConfig { width, init, output_init, .. } = self.attention;
        let scale = |weights: &mut InitialWeights| {
            self.layer_scale.map(|value| LayerScale::new(width, value, weights))
        };
        Block {
            norm1: weights.norm_of(self.norm, width, self.norm_epsilon),
            attention: self.attention.init(weights),
            scale1: scale(weights),
            norm2: weights.norm_of(self.norm, width, self.norm_epsilon),
            mlp: self.mlp([init, output_init], weights),
            scale2: scale(weights),
            drop_path: DropPath::new(self.drop_path),
            post_norm: self.post_norm,
        }
    }

    /// The MLP alone, its two matrices starting as `inits`.
    pub(crate) fn mlp(&self, inits: [Init; 2], weights: &mut InitialWeights) -> Mlp {
        let (width, hidden) = (self.attention.width, self.mlp_width);
        if self.gated {
            return Mlp::gated(width, hidden, self.activation, inits, weights);
        }
        Mlp::new(width, hidden, inits, weights).with_activation(self.activation)
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)); with its norms after the branches norm(x +
/// attention(x)), then norm(x + mlp(x)).
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention, or after it.
    pub norm1: Norm,
    /// Tokens look at each other.
    pub attention: Attention,
    /// Scale of the attention branch.
    pub scale1: Option<LayerScale>,
    /// Before the MLP, or after it.
    pub norm2: Norm,
    /// Tokens on their own.
    pub mlp: Mlp,
    /// Scale of the MLP branch.
    pub scale2: Option<LayerScale>,
    /// Drops branches while training.
    pub drop_path: DropPath,
    post_norm: bool,
}

impl Block {
    /// The same weights with another probability to drop each residual branch.
    ///
    /// # Panics
    ///
    /// When the probability is not in [0, 1).
    pub fn with_drop_path(self, probability: f64) -> Self {
        Self { drop_path: self.drop_path.with_probability(probability), ..self }
    }

    /// The tokens after this block, [`checkpointed`].
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias: `[groups, heads, tokens, tokens]`, as [`Attention::forward`] takes it
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, tokens: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        self.forward_turned(tokens, bias, None)
    }

    /// As [`Block::forward`], with queries and keys turned by `rotations`.
    pub fn forward_turned(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<Rotations>,
    ) -> Tensor<3> {
        let dropped = self.drop_path.draw_two(&tokens);
        checkpointed(self, tokens, bias, move |block, tokens, bias| {
            block.compute(tokens, (bias, rotations.as_ref()), &dropped, |tokens| tokens)
        })
    }

    /// Computes only the tokens after this block that `select` picks. The result is the same as
    /// picking them afterwards, but the other tokens are computed only as far as attention to them
    /// needs.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias, rotations: as in [`Block::forward_turned`]
    /// - output: what `select` makes of `[batch, tokens, width]`
    pub fn forward_some(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<&Rotations>,
        select: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let dropped = self.drop_path.draw_two(&tokens);
        self.compute(tokens, (bias, rotations), &dropped, select)
    }

    /// How much of its attention the first token pays to each token, `[batch, tokens]`, the mean over
    /// the heads; shapes as in [`Block::forward_turned`], with a bias of one group.
    pub fn first_attention(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<&Rotations>,
    ) -> Tensor<2> {
        self.attention.first(self.before(&self.norm1, tokens), bias, rotations)
    }

    /// The tokens after this block, and what its MLP computed of them, before that was scaled and
    /// added; nothing is dropped.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, tokens, width]`
    /// - bias, rotations: as in [`Block::forward_turned`]
    /// - output: two of `[batch, tokens, width]`
    pub fn forward_with_mlp(
        &self,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
        rotations: Option<&Rotations>,
    ) -> [Tensor<3>; 2] {
        let mixed = self.attention.mix(self.before(&self.norm1, tokens.clone()), bias, rotations);
        let attended = per_token(&self.attention.out, mixed);
        let tokens = self.after(&self.norm1, tokens + scaled(attended, &self.scale1));
        let transformed = self.mlp.forward(self.before(&self.norm2, tokens.clone()));
        let sum = tokens + scaled(transformed.clone(), &self.scale2);
        [self.after(&self.norm2, sum), transformed]
    }

    /// The tokens after this block. They attend to the tokens in `past` too, and are added to it;
    /// nothing is dropped.
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - bias: `[groups, heads or 1, tokens, past + tokens]`
    pub fn forward_after(
        &self,
        past: &mut Option<KeysValues>,
        tokens: Tensor<3>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let normed = self.before(&self.norm1, tokens.clone());
        let attended = self.attention.forward_after(past, normed, bias);
        let tokens = self.after(&self.norm1, tokens + scaled(attended, &self.scale1));
        let transformed = self.mlp.forward(self.before(&self.norm2, tokens.clone()));
        self.after(&self.norm2, tokens + scaled(transformed, &self.scale2))
    }

    /// What a branch reads.
    fn before(&self, norm: &Norm, tokens: Tensor<3>) -> Tensor<3> {
        if self.post_norm { tokens } else { norm.forward(tokens) }
    }

    /// What comes of the tokens a branch is added to.
    fn after(&self, norm: &Norm, tokens: Tensor<3>) -> Tensor<3> {
        if self.post_norm { norm.forward(tokens) } else { tokens }
    }

    fn compute(
        &self,
        tokens: Tensor<3>,
        (bias, rotations): (Option<Tensor<4>>, Option<&Rotations>),
        dropped: &[Dropped; 2],
        select: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mixed = self.attention.mix(self.before(&self.norm1, tokens.clone()), bias, rotations);
        let attended = per_token(&self.attention.out, select(mixed));
        let tokens = select(tokens) + dropped[0].apply(scaled(attended, &self.scale1));
        let tokens = self.after(&self.norm1, tokens);
        let transformed = self.mlp.forward(self.before(&self.norm2, tokens.clone()));
        self.after(&self.norm2, tokens + dropped[1].apply(scaled(transformed, &self.scale2)))
    }
}

/// A branch, scaled where it has a scale.
pub(crate) fn scaled(output: Tensor<3>, scale: &Option<LayerScale>) -> Tensor<3> {
    match scale {
        Some(scale) => scale.forward(output),
        None => output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Tolerance, s};

    #[test]
    fn some_tokens_are_those_of_all_with_the_same_gradients() {
        for post_norm in [false, true] {
            some_are_those_of_all(post_norm);
        }
    }

    fn config(post_norm: bool) -> BlockConfig {
        let init = Init::Normal { std: 0.3 };
        BlockConfig {
            attention: AttentionConfig::new(8, 2, init),
            mlp_width: 12,
            activation: MlpActivation::Gelu,
            gated: false,
            norm: NormKind::Layer,
            norm_epsilon: 1e-6,
            post_norm,
            layer_scale: Some(0.5),
            drop_path: 0.0,
        }
    }

    #[test]
    fn norms_after_the_branches_are_of_what_the_branches_are_added_to() {
        let mut weights = InitialWeights::new(0, &test_device());
        let block = config(true).init(&mut weights);
        let tokens = weights.param([2, 5, 8], Init::Normal { std: 1.0 }).val();
        let attended = block.attention.forward(tokens.clone(), None) * 0.5;
        let middle = block.norm1.forward(tokens.clone() + attended);
        let whole = block.norm2.forward(middle.clone() + block.mlp.forward(middle) * 0.5);
        let [got, _] = block.forward_with_mlp(tokens.clone(), None, None);
        let tolerance = Tolerance::absolute(1e-5);
        got.to_data().assert_approx_eq::<f32>(&whole.into_data(), tolerance);
        let got = got.into_data();
        block.forward(tokens.clone(), None).into_data().assert_approx_eq::<f32>(&got, tolerance);
        let after = block.forward_after(&mut None, tokens, None).into_data();
        after.assert_approx_eq::<f32>(&got, tolerance);
    }

    fn some_are_those_of_all(post_norm: bool) {
        let mut weights = InitialWeights::new(0, &test_device().autodiff());
        let block = config(post_norm).init(&mut weights);
        let tokens = weights.param([2, 5, 8], Init::Normal { std: 1.0 }).val();
        let select = |tokens: Tensor<3>| tokens.slice(s![.., 1..4, ..]);
        let run = |output: Tensor<3>| {
            let gradients = output.clone().square().sum().backward();
            let weight = |weight: &Tensor<2>| weight.grad(&gradients).unwrap().into_data();
            let weights = [&block.attention.qkv, &block.attention.out, &block.mlp.fc1];
            let weights = weights.map(|layer| weight(&layer.weight.val()));
            (output.into_data(), weights, tokens.grad(&gradients).unwrap().into_data())
        };
        let some = run(block.forward_some(tokens.clone(), None, None, select));
        let all = run(select(block.forward(tokens.clone(), None)));
        some.0.assert_approx_eq::<f32>(&all.0, Tolerance::default());
        some.2.assert_approx_eq::<f32>(&all.2, Tolerance::default());
        for (some, all) in some.1.iter().zip(&all.1) {
            some.assert_approx_eq::<f32>(all, Tolerance::default());
        }
    }
}
