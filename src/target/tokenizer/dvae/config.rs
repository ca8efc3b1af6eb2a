//! The sizes of a dVAE.

use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::target::tokenizer::{check_tokens, check_vocabulary};

/// How a decoded image is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reconstruction {
    /// The logit-Laplace distribution (DALL·E, appendix A.3): the decoder yields its location and
    /// the logarithm of its scale.
    LogitLaplace,
    /// Squared error: the decoder yields pixels.
    L2,
}

config! {
    /// What a [`Dvae`](super::Dvae) is made of.
    #[derive(Debug, PartialEq)]
    pub struct DvaeConfig {
        /// The images it reads.
        pub image: ImageShape,
        /// Side in pixels of the square a token stands for, a power of two. Default: 8
        pub patch: usize = 8,
        /// Tokens. Default: 8192
        pub vocabulary: usize = 8192,
        /// Channels of the first group, a multiple of 4; every group doubles them. Default: 256
        pub hidden: usize = 256,
        /// Residual blocks of each group. Default: 2
        pub blocks: usize = 2,
        /// Values of a code vector. Default: 128
        pub code_width: usize = 128,
        /// How a decoded image is judged. Default: logit-Laplace
        pub reconstruction: Reconstruction = Reconstruction::LogitLaplace,
        /// Whether there is a decoder; the published encoder comes without. Default: true
        pub decoder: bool = true,
    }
}

impl DvaeConfig {
    /// The published encoder on BEiT's view of 112 × 112 pixels: 14 × 14 tokens (arXiv 2106.08254,
    /// §3.1).
    pub fn dalle_encoder() -> Self {
        Self::new(ImageShape::square(3, 112)).with_decoder(false)
    }

    /// A tokenizer for images of a few dozen pixels that a laptop's processor trains in minutes:
    /// cells of 4 pixels, 512 tokens.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(image)
            .with_patch(4)
            .with_vocabulary(512)
            .with_hidden(16)
            .with_blocks(1)
            .with_code_width(64)
            .with_reconstruction(Reconstruction::L2)
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        check_tokens(self.image, self.patch)?;
        check_vocabulary(self.vocabulary)?;
        let Self { patch, hidden, blocks, code_width, .. } = *self;
        ensure!(patch.is_power_of_two(), "a dVAE's patch must be a power of two, got {patch}");
        ensure!(
            hidden > 0 && hidden.is_multiple_of(4),
            "a dVAE's hidden channels must be a multiple of 4, got {hidden}"
        );
        ensure!(
            blocks > 0 && code_width > 0,
            "a dVAE needs blocks and code vectors, got {blocks} and a width of {code_width}"
        );
        limits::at_most("blocks", blocks, limits::DEPTH)?;
        limits::at_most("code_width", code_width, limits::WIDTH)?;
        // A cell is at most a side of the image, so this does not overflow.
        let deepest = limits::product(&[hidden, patch]);
        limits::at_most("the channels of the last group", deepest, limits::WIDTH)?;
        limits::parameters(limits::product(&[self.vocabulary, deepest.max(code_width)]))?;
        limits::parameters(limits::product(&[blocks, deepest, deepest]))
    }

    /// The channels of each group of the encoder; between two groups its images are halved.
    pub(crate) fn group_widths(&self) -> Vec<usize> {
        (0..=self.patch.ilog2()).map(|group| self.hidden << group).collect()
    }

    pub(super) fn outputs_per_channel(&self) -> usize {
        match self.reconstruction {
            Reconstruction::LogitLaplace => 2,
            Reconstruction::L2 => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DvaeConfig {
        DvaeConfig::new(ImageShape::new(2, 8, 12))
            .with_patch(4)
            .with_vocabulary(5)
            .with_hidden(4)
            .with_blocks(1)
            .with_code_width(3)
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let message = |config: DvaeConfig| config.validate().unwrap_err().to_string();
        assert!(
            message(DvaeConfig { image: ImageShape::new(1, 6, 12), patch: 6, ..config() })
                .contains("power of two, got 6")
        );
        assert!(message(config().with_hidden(6)).contains("multiple of 4, got 6"));
        assert!(message(config().with_vocabulary(1)).contains("at least 2 tokens, got 1"));
        assert!(message(config().with_blocks(0)).contains("got 0"));
    }
}
