//! Tokens one after another, without computing the earlier ones again.

use burn::tensor::Tensor;

use super::{BiasSource, Transformer, causal_bias};
use crate::nn::KeysValues;

/// What every block has seen so far, to go on from: empty at first.
#[derive(Debug, Clone, Default)]
pub struct TransformerCache {
    blocks: Vec<Option<KeysValues>>,
    tokens: usize,
}

impl TransformerCache {
    /// How many tokens it has seen.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

impl Transformer {
    /// As [`Transformer::forward`], of tokens that follow those in `cache`, which they are added to.
    ///
    /// # Panics
    ///
    /// When tokens see those after them, since the past would then change.
    pub fn forward_cached(&self, mut tokens: Tensor<3>, cache: &mut TransformerCache) -> Tensor<3> {
        assert!(
            self.bias == BiasSource::Causal,
            "only a causal transformer can keep what it has seen"
        );
        let bias = causal_bias(cache.tokens, &tokens);
        cache.tokens += tokens.dims()[1];
        cache.blocks.resize(self.blocks.len(), None);
        for (block, past) in self.blocks.iter().zip(&mut cache.blocks) {
            tokens = block.forward_after(past, tokens, bias.clone());
        }
        self.finish(tokens)
    }
}
