//! A vision transformer whose class token must know the image: BEiT v2's encoder.

use burn::module::Module;
use burn::tensor::{Tensor, s};

use super::{Backbone, Encoder, GridTokens, RelativePositions, Vit, VitConfig};
use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::limits;
use crate::mask::Mask;
use crate::nn::{Block, DropPath, InitialWeights, TransformerConfig};

config! {
    /// The sizes of a [`CondensedVit`].
    #[derive(Debug, PartialEq)]
    pub struct CondensedVitConfig {
        /// The transformer that is kept.
        pub encoder: VitConfig,
        /// After how many of its blocks the condenser takes the patches' tokens. Default: 9, of 12
        /// (arXiv 2208.06366, appendix B)
        pub early_blocks: usize = 9,
        /// Blocks of the condenser. Default: 2
        pub condenser_blocks: usize = 2,
    }
}

impl CondensedVitConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_without_stem("a condenser")?;
        let (early, condenser, depth) =
            (self.early_blocks, self.condenser_blocks, self.encoder.depth);
        ensure!(
            early <= depth && condenser > 0,
            "a condenser of {condenser} blocks after {early} of {depth} blocks: it needs at least \
             one, after no more than there are"
        );
        ensure!(
            self.encoder.class_tokens() == 1,
            "a condenser needs a class token, and only one, got {}",
            self.encoder.class_tokens()
        );
        ensure!(
            self.encoder.relative_positions != RelativePositions::PerBlock,
            "a condenser has no bias table of its own: relative positions must be shared"
        );
        limits::blocks(condenser, self.encoder.width, self.encoder.mlp_width())
    }

    /// The encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`CondensedVitConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> CondensedVit {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let Self { early_blocks, condenser_blocks, .. } = *self;
        CondensedVit {
            vit: self.encoder.init(weights),
            condenser: self
                .condenser()
                .init_blocks(early_blocks..early_blocks + condenser_blocks, weights),
            early_blocks,
        }
    }

    /// The configuration of the condenser's blocks: as if they followed the blocks whose tokens
    /// they read, in a transformer that is deep enough.
    fn condenser(&self) -> TransformerConfig {
        let depth = self.encoder.depth.max(self.early_blocks + self.condenser_blocks);
        TransformerConfig { depth, ..self.encoder.transformer() }
    }
}

/// A [`Vit`] with a condenser: two blocks that see the last class token and the patches' tokens of
/// an earlier block, so that what the patches lack must come through the class token (Peng et al.
/// 2022, arXiv 2208.06366, §3.3). The condenser is dropped after pre-training.
#[derive(Module, Debug)]
pub struct CondensedVit {
    /// The transformer, which is kept after pre-training.
    pub vit: Vit,
    /// The condenser's blocks.
    pub condenser: Vec<Block>,
    /// After how many blocks of the encoder the condenser takes the patches' tokens.
    pub early_blocks: usize,
}

/// The features of a [`CondensedVit`].
#[derive(Debug, Clone)]
pub struct CondensedTokens {
    /// The tokens after the last block.
    pub last: GridTokens,
    /// The tokens after the condenser.
    pub condensed: GridTokens,
}

impl Backbone for CondensedVit {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.vit.represent(images)
    }

    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.vit.represent_layers(images, layers)
    }

    fn width(&self) -> usize {
        self.vit.width()
    }

    fn describe(&self) -> String {
        self.vit.describe()
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

    fn with_drop_path(self, probability: f64) -> Self {
        let depth = self.layers().max(self.early_blocks + self.condenser.len());
        let rate = |index| DropPath::growing_to(probability, index, depth);
        let blocks = self.condenser.into_iter().zip(self.early_blocks..);
        let condenser = blocks.map(|(block, index)| block.with_drop_path(rate(index))).collect();
        Self { vit: self.vit.with_drop_path(probability), condenser, ..self }
    }
}

impl CondensedVit {
    /// The condenser's output for the patches' tokens of `early` and the class token of `last`.
    fn condense(&self, early: Tensor<3>, last: Tensor<3>, grid: Grid) -> Tensor<3> {
        let class_token = last.slice(s![.., 0..1, ..]);
        let tokens = Tensor::cat(vec![class_token, early.slice(s![.., 1.., ..])], 1);
        let bias = self.vit.body.transformer.shared_bias(&tokens, grid);
        let places = self.vit.body.places(grid);
        self.condenser.iter().fold(tokens, |tokens, block| {
            block.forward_turned(tokens, bias.clone(), places.rotations.clone())
        })
    }
}

impl Encoder for CondensedVit {
    type Images = Tensor<4>;
    type Features = CondensedTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> CondensedTokens {
        let body = &self.vit.body;
        let (grid, tokens, _) = self.vit.embed(images, mask);
        let (tokens, transformer) = (body.with_first_tokens(tokens), &body.transformer);
        let early = transformer.run(tokens, body.places(grid), 0..self.early_blocks);
        let rest = self.early_blocks..body.layers();
        let last = transformer.run(early.clone(), body.places(grid), rest);
        let condensed = self.condense(early, last.clone(), grid);
        let finish = |tokens| {
            let (tokens, class_token) = body.split(transformer.finish(tokens));
            GridTokens { tokens, class_token, grid }
        };
        CondensedTokens { last: finish(last), condensed: finish(condensed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::VitInit;
    use crate::grid::ImageShape;
    use crate::mask::UnitMask;
    use crate::nn::Init;
    use crate::test_device;

    fn config() -> CondensedVitConfig {
        let encoder = VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 3, 2);
        let encoder = encoder.with_relative_positions(RelativePositions::Shared);
        CondensedVitConfig::new(encoder).with_early_blocks(1)
    }

    fn images(seed: u64) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param([1, 2, 8, 12], init).val()
    }

    fn mask() -> Mask {
        let mask = UnitMask::from_indices(Grid::new(2, 3), [0, 4]).unwrap();
        Mask::new([mask], &test_device()).unwrap()
    }

    #[test]
    fn the_last_tokens_are_those_of_the_encoder_alone() {
        let condensed = config().init(&mut InitialWeights::new(0, &test_device()));
        let features = condensed.encode(images(1), &mask());
        let alone = condensed.vit.encode(images(1), &mask());
        let alone = (alone.tokens.into_data(), alone.class_token.unwrap().into_data());
        features.last.tokens.into_data().assert_eq(&alone.0, true);
        features.last.class_token.unwrap().into_data().assert_eq(&alone.1, true);
        assert_eq!(features.condensed.tokens.dims(), [1, 6, 8]);
    }

    #[test]
    fn later_blocks_reach_the_condenser_through_the_class_token_alone() {
        let condensed = config().init(&mut InitialWeights::new(0, &test_device()));
        let tokens = |seed| {
            let init = Init::Normal { std: 1.0 };
            InitialWeights::new(seed, &test_device()).param([1, 7, 8], init).val()
        };
        let [early, last, other] = [tokens(1), tokens(2), tokens(3)];
        let of = |early: &Tensor<3>, last| {
            condensed.condense(early.clone(), last, Grid::new(2, 3)).into_data()
        };
        let expected = of(&early, last.clone());
        let parts = |class_token: &Tensor<3>, patches: &Tensor<3>| {
            let class_token = class_token.clone().slice(s![.., 0..1, ..]);
            Tensor::cat(vec![class_token, patches.clone().slice(s![.., 1.., ..])], 1)
        };
        of(&early, parts(&last, &other)).assert_eq(&expected, true);
        of(&parts(&other, &early), last.clone()).assert_eq(&expected, true);
        assert!(of(&early, parts(&other, &last)) != expected);
        assert!(of(&other, last) != expected);
    }

    #[test]
    fn blocks_past_the_encoder_go_on_where_it_ends() {
        // Blocks 3 to 5 of five, the first three of which are also the encoder's.
        let mut config = config().with_early_blocks(2).with_condenser_blocks(3);
        config.encoder = config.encoder.with_drop_path(0.4).with_init(VitInit::Beit);
        for (nth, rate) in [0.2, 0.3, 0.4].into_iter().enumerate() {
            let block = config.condenser().block(config.early_blocks + nth);
            assert!((block.drop_path - rate).abs() < 1e-12, "{nth}: {}", block.drop_path);
            let std = 0.02 / (2.0 * (3 + nth) as f32).sqrt();
            assert_eq!(block.attention.output_init, Init::TruncatedNormal { std, bound: std });
        }
        assert_eq!(
            [0, 1, 2].map(|index| config.encoder.transformer().block(index).drop_path),
            [0.0, 0.2, 0.4]
        );
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
