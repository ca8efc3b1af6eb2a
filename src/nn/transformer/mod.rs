//! Blocks one after the other, with all that they share: the transformer of every network here that
//! has one.

mod cache;
mod config;
mod places;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

pub use cache::TransformerCache;
pub use config::{BiasSource, ResidualInit, ScoreScale, TokenGrid, TransformerConfig};
pub use places::Places;

use super::{Block, DropPath, Init, InitialWeights, Norm, RelativePositionBias};
use crate::grid::Grid;

/// Blocks and a final norm, with what is added to their attention scores.
#[derive(Module, Debug)]
pub struct Transformer {
    /// No table of relative positions, one for all blocks, or one for each block.
    pub relative_positions: Vec<RelativePositionBias>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// After the last block; none where blocks end with a norm of their own.
    pub norm: Option<Norm>,
    #[module(skip)]
    bias: BiasSource,
    #[module(skip)]
    rotary: Option<f64>,
}

impl TransformerConfig {
    /// The transformer with fresh weights; relative positions start at 0.
    ///
    /// # Panics
    ///
    /// With the message of [`TransformerConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Transformer {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (count, TokenGrid { grid, class_token }) = match self.bias {
            BiasSource::Shared(tokens) => (1, tokens),
            BiasSource::PerBlock(tokens) => (self.depth, tokens),
            BiasSource::None | BiasSource::Causal => {
                (0, TokenGrid { grid: Grid::square(1), class_token: false })
            }
        };
        let zero = Init::Constant(0.0);
        let mut table = |_| {
            RelativePositionBias::new(grid, class_token, self.heads, zero, weights)
                .with_resize(self.relative_resize)
        };
        Transformer {
            relative_positions: (0..count).map(&mut table).collect(),
            blocks: self.init_blocks(0..self.depth, weights),
            norm: (!self.post_norm)
                .then(|| weights.norm_of(self.norm, self.width, self.norm_epsilon)),
            bias: self.bias,
            rotary: self.rotary,
        }
    }

    /// Some of the blocks alone; they may be more than `depth`.
    pub fn init_blocks(&self, blocks: Range<usize>, weights: &mut InitialWeights) -> Vec<Block> {
        blocks.map(|index| self.block(index).init(weights)).collect()
    }
}

impl Transformer {
    /// The tokens after all blocks and the final norm.
    ///
    /// # Shapes
    ///
    /// - tokens, output: `[batch, tokens, width]`
    /// - places: where the tokens are, a grid or [`Transformer::places`]; looked at where positions
    ///   are relative or rotary
    pub fn forward(&self, tokens: Tensor<3>, places: impl Into<Places>) -> Tensor<3> {
        self.finish(self.run(tokens, places, 0..self.blocks.len()))
    }

    /// As [`Transformer::forward`], of the tokens that `select` picks alone: the last block computes
    /// the others no further than attention to them needs.
    pub fn forward_some(
        &self,
        tokens: Tensor<3>,
        places: impl Into<Places>,
        select: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let (places, last) = (places.into(), self.blocks.len() - 1);
        let (tokens, grid) = (self.run(tokens, places.clone(), 0..last), places.grid);
        let bias = self.own_bias(last, grid).or_else(|| self.shared_bias(&tokens, grid));
        let rotations = places.rotations.as_ref();
        self.finish(self.blocks[last].forward_some(tokens, bias, rotations, select))
    }

    /// As [`Transformer::forward`], and how much of its attention the first token pays to each token in
    /// the last block, `[batch, tokens]`, the mean over the heads.
    pub fn forward_attended(
        &self,
        tokens: Tensor<3>,
        places: impl Into<Places>,
    ) -> (Tensor<3>, Tensor<2>) {
        let (places, last) = (places.into(), self.blocks.len() - 1);
        let (tokens, grid) = (self.run(tokens, places.clone(), 0..last), places.grid);
        let bias = self.own_bias(last, grid).or_else(|| self.shared_bias(&tokens, grid));
        let (block, rotations) = (&self.blocks[last], places.rotations);
        let paid = block.first_attention(tokens.clone(), bias.clone(), rotations.as_ref());
        (self.finish(block.forward_turned(tokens, bias, rotations)), paid)
    }

    /// The tokens after each of these numbers of blocks, without the final norm; 0 for what goes
    /// in.
    ///
    /// # Panics
    ///
    /// When there are fewer blocks.
    pub fn layers(
        &self,
        tokens: Tensor<3>,
        places: impl Into<Places>,
        layers: &[usize],
    ) -> Vec<Tensor<3>> {
        let places = places.into();
        let most = layers.iter().copied().max().unwrap_or(0);
        let mut all = vec![tokens];
        for index in 0..most {
            let next = self.run(all[index].clone(), places.clone(), index..index + 1);
            all.push(next);
        }
        layers.iter().map(|&layer| all[layer].clone()).collect()
    }

    /// What the MLP of each of these blocks, counted from 1, computes, before it is scaled and added.
    ///
    /// # Panics
    ///
    /// When there is no such block.
    pub fn mlps(
        &self,
        mut tokens: Tensor<3>,
        places: impl Into<Places>,
        layers: &[usize],
    ) -> Vec<Tensor<3>> {
        let Places { grid, rotations } = places.into();
        let (depth, most) = (self.blocks.len(), layers.iter().copied().max().unwrap_or(0));
        let least = layers.iter().copied().min().unwrap_or(1);
        assert!(
            least > 0 && most <= depth,
            "a transformer of {depth} blocks has MLPs 1 to {depth}, asked for those of {layers:?}"
        );
        let shared = self.shared_bias(&tokens, grid);
        let mut all = Vec::with_capacity(most);
        for (index, block) in self.blocks[..most].iter().enumerate() {
            let bias = self.own_bias(index, grid).or_else(|| shared.clone());
            let [next, mlp] = block.forward_with_mlp(tokens, bias, rotations.as_ref());
            tokens = next;
            all.push(mlp);
        }
        layers.iter().map(|&layer| all[layer - 1].clone()).collect()
    }

    /// The tokens after some of the blocks, without the final norm.
    ///
    /// # Panics
    ///
    /// When there are fewer blocks.
    pub fn run(
        &self,
        tokens: Tensor<3>,
        places: impl Into<Places>,
        blocks: Range<usize>,
    ) -> Tensor<3> {
        let Places { grid, rotations } = places.into();
        let (depth, end) = (self.blocks.len(), blocks.end);
        assert!(end <= depth, "a transformer of {depth} blocks has no features {end}");
        let shared = self.shared_bias(&tokens, grid);
        blocks.fold(tokens, |tokens, index| {
            let bias = self.own_bias(index, grid).or_else(|| shared.clone());
            self.blocks[index].forward_turned(tokens, bias, rotations.clone())
        })
    }

    /// Tokens after the last block, after the final norm where there is one.
    pub fn finish<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }

    /// What all blocks add to the scores of `tokens`, where they share it.
    ///
    /// # Shapes
    ///
    /// - output: `[1, heads or 1, tokens, tokens]`
    pub fn shared_bias(&self, tokens: &Tensor<3>, grid: Grid) -> Option<Tensor<4>> {
        match self.bias {
            BiasSource::Shared(_) => Some(self.relative_positions[0].on(grid)),
            BiasSource::Causal => causal_bias(0, tokens),
            BiasSource::None | BiasSource::PerBlock(_) => None,
        }
    }

    fn own_bias(&self, index: usize, grid: Grid) -> Option<Tensor<4>> {
        match self.bias {
            BiasSource::PerBlock(_) => Some(self.relative_positions[index].on(grid)),
            _ => None,
        }
    }

    /// What is added to attention scores.
    pub fn bias(&self) -> BiasSource {
        self.bias
    }

    /// The same transformer with a drop-path probability of `last` in the last block, growing
    /// linearly from 0 at the first.
    ///
    /// # Panics
    ///
    /// When it is not in [0, 1).
    pub fn with_drop_path(mut self, last: f64) -> Self {
        let depth = self.blocks.len();
        let blocks = self.blocks.into_iter().enumerate();
        let blocks =
            blocks.map(|(i, block)| block.with_drop_path(DropPath::growing_to(last, i, depth)));
        self.blocks = blocks.collect();
        self
    }

    /// The layer of the parameter at a path within this module: 1 to the number of blocks for a
    /// block and its own table, one more for the final norm, 0 for a table that all share.
    pub fn layer_of(&self, parameter: &str) -> usize {
        let mut names = parameter.split('.');
        match (names.next(), names.next().and_then(|index| index.parse::<usize>().ok())) {
            (Some("blocks"), Some(index)) => index + 1,
            (Some("relative_positions"), Some(index)) => match self.bias {
                BiasSource::PerBlock(_) => index + 1,
                _ => 0,
            },
            (Some("norm"), _) => self.blocks.len() + 1,
            _ => 0,
        }
    }
}

/// For `tokens` after `past` others, `[1, 1, tokens, past + tokens]`: −∞ where one would see one
/// after it; `None` for one token.
fn causal_bias(past: usize, tokens: &Tensor<3>) -> Option<Tensor<4>> {
    let [_, count, _] = tokens.dims();
    if count == 1 {
        return None;
    }
    let sees = |query: usize, key: usize| key <= past + query;
    let value = |query, key| if sees(query, key) { 0.0 } else { f32::NEG_INFINITY };
    let keys = past + count;
    let values: Vec<f32> = (0..count * keys).map(|at| value(at / keys, at % keys)).collect();
    let (device, dtype) = (tokens.device().without_autodiff(), tokens.dtype());
    Some(Tensor::from_data(TensorData::new(values, [1, 1, count, keys]), (&device, dtype)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::{Tolerance, s};

    const GRID: Grid = Grid::new(2, 3);

    fn transformer(bias: BiasSource) -> Transformer {
        let config = TransformerConfig { bias, ..TransformerConfig::new(8, 3, 2) };
        let mut weights = InitialWeights::new(0, &test_device());
        let mut transformer = config.init(&mut weights);
        for table in &mut transformer.relative_positions {
            let values = weights.param(table.table.dims(), Init::Normal { std: 1.0 });
            table.table = values;
        }
        transformer
    }

    fn tokens() -> Tensor<3> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([2, 6, 8], init).val()
    }

    fn sources() -> [BiasSource; 4] {
        let cells = TokenGrid { grid: GRID, class_token: false };
        [
            BiasSource::None,
            BiasSource::Causal,
            BiasSource::Shared(cells),
            BiasSource::PerBlock(cells),
        ]
    }

    #[test]
    fn every_layer_is_a_block_on_the_one_before_and_the_norm_comes_last() {
        for source in sources() {
            let transformer = transformer(source);
            let layers = transformer.layers(tokens(), GRID, &[3, 0, 1]);
            layers[1].to_data().assert_eq(&tokens().into_data(), true);
            let first = transformer.run(tokens(), GRID, 0..1).into_data();
            layers[2].to_data().assert_eq(&first, true);
            let rest = transformer.run(layers[2].clone(), GRID, 1..3).into_data();
            layers[0].to_data().assert_eq(&rest, true);
            let normed = transformer.finish(layers[0].clone()).into_data();
            transformer.forward(tokens(), GRID).into_data().assert_eq(&normed, true);
        }
    }

    #[test]
    fn some_tokens_are_those_of_all() {
        for source in sources() {
            let transformer = transformer(source);
            let pick = |tokens: Tensor<3>| tokens.slice(s![.., 1..3, ..]);
            let picked = pick(transformer.forward(tokens(), GRID)).into_data();
            let some = transformer.forward_some(tokens(), GRID, pick).into_data();
            some.assert_approx_eq::<f32>(&picked, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn drop_path_is_set_on_a_built_transformer() {
        let transformer = transformer(BiasSource::None).with_drop_path(0.4);
        let rates = transformer.blocks.iter().map(|block| block.drop_path.probability());
        assert_eq!(rates.collect::<Vec<_>>(), [0.0, 0.2, 0.4]);
    }
}
