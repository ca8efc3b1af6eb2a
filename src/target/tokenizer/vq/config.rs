//! The sizes of a vector-quantized tokenizer.

use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::encoder::{VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::nn::{Positions, QkvBias};
use crate::target::tokenizer::check_vocabulary;

/// What the decoder of a [`Vq`](super::Vq) yields for each cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum VqOutput {
    /// The cell's pixels.
    Pixels,
    /// A teacher's features.
    Features {
        /// The teacher's width.
        width: usize,
    },
}

config! {
    /// What a [`Vq`](super::Vq) is made of.
    #[derive(Debug, PartialEq)]
    pub struct VqConfig {
        /// The encoder; its patch is the cell of a token, its positions are absolute.
        pub encoder: VitConfig,
        /// Tokens. Default: 8192
        pub vocabulary: usize = 8192,
        /// Values of a code vector. Default: 32
        pub code_width: usize = 32,
        /// Blocks of the decoder, which is as wide as the encoder. Default: 1, the smaller of
        /// BEiT v2's two
        pub decoder_depth: usize = 1,
        /// What the decoder yields. Default: pixels
        pub output: VqOutput = VqOutput::Pixels,
        /// How slowly code vectors follow the cells they stand for. Default: 0.99
        pub decay: f64 = 0.99,
        /// A code used less often than this share of the average moves to some cell of the batch; 0
        /// never moves one. Default: 0.05
        pub revive_below: f64 = 0.05,
    }
}

impl VqConfig {
    /// The tokenizer of BEiT v2's base model (appendix B and the official code): a ViT-B/16 with
    /// learned positions and a decoder of three blocks, distilled from a teacher of `teacher_width`
    /// features, CLIP's 512 in the paper.
    pub fn base_patch16(teacher_width: usize) -> Self {
        let encoder = VitConfig::base_patch16()
            .with_positions(Positions::Learned)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_init(VitInit::NormalByDepth);
        Self::new(encoder)
            .with_decoder_depth(3)
            .with_output(VqOutput::Features { width: teacher_width })
    }

    /// A tokenizer for images of a few dozen pixels that a laptop's processor trains in a minute:
    /// cells of 4 pixels, encoder and decoder 64 × 1, 512 tokens of 16 values.
    ///
    /// Its encoder has no positions: a token says what a cell shows, not where it is, which is
    /// quicker to learn.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder = VitConfig::new(image, 4, 64, 1, 2)
            .with_class_token(false)
            .with_positions(Positions::None);
        Self::new(encoder)
            .with_vocabulary(512)
            .with_code_width(16)
            .with_decay(0.97)
            .with_revive_below(0.1)
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("a tokenizer")?;
        check_vocabulary(self.vocabulary)?;
        let Self { code_width, decoder_depth, output, decay, revive_below, .. } = *self;
        let width = self.encoder.width;
        ensure!(
            width.is_multiple_of(4),
            "the decoder's sin-cos positions need a width divisible by 4, got {width}"
        );
        ensure!(decoder_depth > 0, "a decoder needs at least one block, got a decoder_depth of 0");
        ensure!(code_width > 0, "a code vector needs at least one value, got a code_width of 0");
        ensure!(
            output != VqOutput::Features { width: 0 },
            "a teacher's features need a width of at least 1, got 0"
        );
        ensure!((0.0..1.0).contains(&decay), "a codebook's decay must be in [0, 1), got {decay:?}");
        ensure!(
            (0.0..1.0).contains(&revive_below),
            "revive_below must be in [0, 1), got {revive_below:?}"
        );
        limits::at_most("code_width", code_width, limits::WIDTH)?;
        if let VqOutput::Features { width } = output {
            limits::at_most("the width of a teacher's features", width, limits::WIDTH)?;
        }
        limits::parameters(limits::product(&[self.vocabulary, code_width]))?;
        limits::blocks(decoder_depth, width, self.encoder.mlp_width())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VqConfig {
        VqConfig::new(VitConfig::new(ImageShape::new(2, 4, 6), 2, 8, 1, 2))
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let message = |config: VqConfig| config.validate().unwrap_err().to_string();
        assert!(message(config().with_decay(1.0)).contains("[0, 1), got 1"));
        assert!(message(config().with_revive_below(-1.0)).contains("revive_below"));
        assert!(message(config().with_code_width(0)).contains("at least one value"));
    }
}
