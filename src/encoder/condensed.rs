//! A vision transformer whose class token must know the image: BEiT v2's encoder.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, s};

use super::{Backbone, Encoder, GridTokens, RelativePositions, Vit, VitConfig};
use crate::error::{Error, Result};
use crate::mask::Mask;
use crate::nn::{Block, Weights};

/// The sizes of a [`CondensedVit`].
#[derive(Config, Debug, PartialEq)]
pub struct CondensedVitConfig {
    /// The transformer that is kept.
    pub encoder: VitConfig,
    /// After how many of its blocks the condenser takes the patches' tokens. Default: 9, of 12
    /// (arXiv 2208.06366, appendix B)
    #[config(default = 9)]
    pub early_blocks: usize,
    /// Blocks of the condenser. Default: 2
    #[config(default = 2)]
    pub condenser_blocks: usize,
}

impl CondensedVitConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        let (early, condenser, depth) =
            (self.early_blocks, self.condenser_blocks, self.encoder.depth);
        if early > depth || condenser == 0 {
            return Err(Error::config(format!(
                "a condenser of {condenser} blocks after {early} of {depth} blocks: it needs at \
                 least one, after no more than there are"
            )));
        }
        if !self.encoder.class_token {
            return Err(Error::config("a condenser needs a class token"));
        }
        if self.encoder.relative_positions == RelativePositions::PerBlock {
            return Err(Error::config(
                "a condenser has no bias table of its own: relative positions must be shared",
            ));
        }
        Ok(())
    }

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`CondensedVitConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut Weights) -> CondensedVit {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let Self { early_blocks, condenser_blocks, .. } = *self;
        // As if they followed the blocks whose tokens they read; drop path ends with the encoder's.
        let block = |index: usize| self.encoder.block(index.min(self.encoder.depth - 1));
        let indices = early_blocks..early_blocks + condenser_blocks;
        CondensedVit {
            vit: self.encoder.init(weights),
            condenser: indices.map(|index| block(index).init(weights)).collect(),
            early_blocks,
        }
    }
}

/// A [`Vit`] with a condenser: two blocks that see the last class token and the patches' tokens of
/// an earlier block, so that what the patches lack must come through the class token (Peng et al.
/// 2022, arXiv 2208.06366, §3.3). The condenser is dropped after pre-training.
#[derive(Module, Debug)]
pub struct CondensedVit {
    /// What is kept.
    pub vit: Vit,
    /// The condenser's blocks.
    pub condenser: Vec<Block>,
    /// After how many blocks of the encoder the condenser takes the patches' tokens.
    pub early_blocks: usize,
}

/// What a [`CondensedVit`] makes of an image.
#[derive(Debug, Clone)]
pub struct CondensedTokens {
    /// After the last block.
    pub last: GridTokens,
    /// After the condenser.
    pub condensed: GridTokens,
}

impl Backbone for CondensedVit {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.vit.represent(images)
    }

    fn width(&self) -> usize {
        self.vit.width()
    }

    fn layers(&self) -> usize {
        self.vit.layers()
    }

    fn layer_of(&self, parameter: &str) -> usize {
        match parameter.strip_prefix("vit.") {
            Some(parameter) => self.vit.layer_of(parameter),
            None => self.layers() + 1,
        }
    }
}

impl Encoder for CondensedVit {
    type Features = CondensedTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> CondensedTokens {
        let body = &self.vit.body;
        let (grid, tokens) = self.vit.embed(images, Some(mask));
        let early = body.run(body.with_class_token(tokens), grid, 0..self.early_blocks);
        let last = body.run(early.clone(), grid, self.early_blocks..body.blocks.len());
        let class_token = last.clone().slice(s![.., 0..1, ..]);
        let tokens = Tensor::cat(vec![class_token, early.slice(s![.., 1.., ..])], 1);
        let bias = body.shared_bias(grid);
        let condensed =
            self.condenser.iter().fold(tokens, |tokens, block| block.forward(tokens, bias.clone()));
        let finish = |tokens| {
            let (tokens, class_token) = body.split(body.norm.forward(tokens));
            GridTokens { tokens, class_token, grid }
        };
        CondensedTokens { last: finish(last), condensed: finish(condensed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, ImageShape};
    use crate::mask::PatchMask;
    use crate::nn::Init;
    use crate::test_device;

    fn config() -> CondensedVitConfig {
        let encoder = VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 3, 2);
        let encoder = encoder.with_relative_positions(RelativePositions::Shared);
        CondensedVitConfig::new(encoder).with_early_blocks(1)
    }

    fn images(seed: u64) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        Weights::new(seed, &test_device()).param([1, 2, 8, 12], init).val()
    }

    fn mask() -> Mask {
        let mask = PatchMask::from_indices(Grid::new(2, 3), [0, 4]).unwrap();
        Mask::new([mask], &test_device()).unwrap()
    }

    #[test]
    fn the_last_tokens_are_those_of_the_encoder_alone() {
        let condensed = config().init(&mut Weights::new(0, &test_device()));
        let features = condensed.encode(images(1), &mask());
        let alone = condensed.vit.encode(images(1), &mask());
        let alone = (alone.tokens.into_data(), alone.class_token.unwrap().into_data());
        features.last.tokens.into_data().assert_eq(&alone.0, true);
        features.last.class_token.unwrap().into_data().assert_eq(&alone.1, true);
        assert_eq!(features.condensed.tokens.dims(), [1, 6, 8]);
    }

    #[test]
    fn later_blocks_reach_the_condenser_through_the_class_token_alone() {
        let mut condensed = config().init(&mut Weights::new(0, &test_device()));
        let before = condensed.encode(images(1), &mask()).condensed.tokens.into_data();
        // With nothing added by the later blocks the class token is the early one.
        condensed.vit.body.blocks[2] = condensed.vit.body.blocks[1].clone();
        let after = condensed.encode(images(1), &mask()).condensed.tokens.into_data();
        assert!(before != after);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let message = |config: CondensedVitConfig| config.validate().unwrap_err().to_string();
        assert!(message(config().with_early_blocks(4)).contains("after 4 of 3 blocks"));
        let mut other = config();
        other.encoder = other.encoder.with_class_token(false);
        assert!(message(other).contains("needs a class token"));
        let mut other = config();
        other.encoder = other.encoder.with_relative_positions(RelativePositions::PerBlock);
        assert!(message(other).contains("must be shared"));
    }
}
