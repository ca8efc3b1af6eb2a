//! Image GPT's transformer over colors (Chen et al. 2020, "Generative Pretraining from Pixels").

mod config;
mod pixel_gpt;

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, s};

pub use config::GptConfig;
pub use pixel_gpt::PixelGpt;

use crate::nn::{PositionTable, Transformer, TransformerCache};

/// Token ids to features. A vocabulary of `colors` ids, and one more that starts a sequence.
#[derive(Module, Debug)]
pub struct Gpt {
    /// `[colors + 1, width]`; the last row is the start of a sequence.
    pub token_embed: Param<Tensor<2>>,
    /// One row for each pixel of the raster.
    pub positions: PositionTable,
    /// Blocks and the final norm.
    pub transformer: Transformer,
    #[module(skip)]
    config: GptConfig,
}

impl Gpt {
    /// The sizes it was made with.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// Ids as vectors, without positions.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, tokens]`, each up to `colors`
    /// - output: `[batch, tokens, width]`
    pub fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, count] = ids.dims();
        let rows = self.token_embed.val().select(0, ids.reshape([batch * count]));
        rows.reshape([batch, count, self.config.width])
    }

    /// The features of the ids of a sequence's first tokens, after the last norm.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, tokens]`, at most as many tokens as pixels
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let positions = self.rows(0, ids.dims()[1]);
        self.transform(self.embed(ids) + positions.unsqueeze(), self.config.depth)
    }

    /// The features of the ids that follow those in `cache`, which they are added to.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, tokens]`
    /// - output: `[batch, tokens, width]`
    ///
    /// # Panics
    ///
    /// When tokens see those after them, since the past would then change.
    pub fn forward_cached(&self, ids: Tensor<2, Int>, cache: &mut TransformerCache) -> Tensor<3> {
        let rows = self.rows(cache.tokens(), ids.dims()[1]);
        self.transformer.forward_cached(self.embed(ids) + rows.unsqueeze(), cache)
    }

    /// What the block at `layer`, counted from 0, reads: the tokens before it, under its own first
    /// norm. At the number of blocks it is what comes out of the last norm.
    ///
    /// # Panics
    ///
    /// When there is no such layer.
    pub fn transform(&self, tokens: Tensor<3>, layer: usize) -> Tensor<3> {
        let tokens = self.transformer.run(tokens, self.config.grid(), 0..layer);
        match self.transformer.blocks.get(layer) {
            Some(block) => block.norm1.forward(tokens),
            None => self.transformer.finish(tokens),
        }
    }

    /// The layer of a parameter by its path.
    fn layer_of(&self, parameter: &str) -> usize {
        let path = parameter.strip_prefix("transformer.");
        path.map_or(0, |path| self.transformer.layer_of(path))
    }

    fn rows(&self, first: usize, count: usize) -> Tensor<2> {
        let (all, end) = (self.config.grid().cells(), first + count);
        assert!(end <= all, "a sequence of {end} tokens is longer than the {all} it is made for");
        self.positions.table.val().slice(s![first..end, ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::nn::InitialWeights;
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn config() -> GptConfig {
        GptConfig::new(ImageShape::new(1, 2, 5), 8, 2, 2).with_colors(7)
    }

    fn gpt(config: &GptConfig) -> Gpt {
        config.init(&mut InitialWeights::new(0, &test_device()))
    }

    fn ids(last: i64) -> Tensor<2, Int> {
        Tensor::from_ints([[7, 0, 3, 6, 2, last], [7, 1, 1, 5, 0, last]], &test_device())
    }

    #[test]
    fn a_token_sees_none_after_it() {
        let gpt = gpt(&config());
        let before = |last| gpt.forward(ids(last)).slice([0..2, 0..5]).into_data();
        assert_eq!(before(1), before(4));
        let gpt = super::GptConfig { causal: false, ..config() };
        let gpt = gpt.init(&mut InitialWeights::new(0, &test_device()));
        let before = |last| gpt.forward(ids(last)).slice([0..2, 0..5]).into_data();
        assert_ne!(before(1), before(4));
    }

    #[test]
    #[cfg(feature = "flex")]
    fn attention_norms_and_linear_layers_are_computed_by_kernels() {
        let gpt = config().init(&mut InitialWeights::new(0, &burn::tensor::Device::flex()));
        let before = crate::kernel::taken();
        gpt.forward(Tensor::zeros([1, 6], &burn::tensor::Device::flex()));
        // In each of two blocks: attention, its two projections, the MLP and two norms; and the last norm.
        assert_eq!(crate::kernel::taken() - before, 13);
    }

    #[test]
    fn tokens_fed_one_by_one_have_the_features_they_have_together() {
        let gpt = gpt(&config());
        let whole = gpt.forward(ids(4)).into_data();
        for first in 1..6 {
            let mut cache = TransformerCache::default();
            let mut parts = vec![gpt.forward_cached(ids(4).slice([0..2, 0..first]), &mut cache)];
            for next in first..6 {
                parts.push(gpt.forward_cached(ids(4).slice([0..2, next..next + 1]), &mut cache));
            }
            let parts = Tensor::cat(parts, 1).into_data();
            parts.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    #[should_panic(expected = "a sequence of 11 tokens is longer than the 10 it is made for")]
    fn a_sequence_that_is_too_long_panics() {
        gpt(&config()).forward(Tensor::zeros([1, 11], &test_device()));
    }

    #[test]
    fn every_parameter_belongs_to_the_embedding_a_block_or_what_follows() {
        let gpt = gpt(&config());
        for (parameter, layer) in [
            ("token_embed", 0),
            ("positions.table", 0),
            ("transformer.blocks.1.attention.qkv.weight", 2),
            ("transformer.norm.gamma", 3),
        ] {
            assert_eq!(gpt.layer_of(parameter), layer, "{parameter}");
        }
    }
}
