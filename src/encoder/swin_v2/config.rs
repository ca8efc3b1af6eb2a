//! Swin-v2's sizes.

use crate::config::config;
use crate::encoder::SwinConfig;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;

/// Blocks between the extra norms of the two largest sizes (arXiv 2111.09883 §3.2).
const EXTRA_NORM_EVERY: usize = 6;

config! {
    /// A Swin-v2 transformer (arXiv 2111.09883).
    #[derive(Debug, PartialEq)]
    pub struct SwinV2Config {
        /// The sizes it shares with Swin. The window of a stage is at most as large as the rows of
        /// its grid for `image`, and is not shifted if it spans them all; this holds for images of
        /// other sizes too.
        pub sizes: SwinConfig,
        /// For each stage, the window in which its position biases were learned, if it is not the
        /// model's own window; 0 stands for its own. Default: all their own
        pub pretrained_windows: Vec<usize> = Vec::new(),
        /// The blocks of a stage after each of which its tokens are normed once more. Default: none
        pub extra_norm_every: Option<usize> = None,
        /// Where the weights of the norms that end each residual branch start. Default: 0, so that
        /// every block starts as the identity (official code)
        pub branch_norm: f64 = 0.0,
    }
}

impl SwinV2Config {
    /// SwinV2-T: 96 features, 2, 2, 6, 2 blocks, window 8 on 256 × 256 pixels (arXiv 2111.09883
    /// §4.1).
    pub fn tiny() -> Self {
        Self::new(SwinConfig::tiny()).at_256()
    }

    /// SwinV2-S: 96 features, 2, 2, 18, 2 blocks (§4.1).
    pub fn small() -> Self {
        Self::new(SwinConfig::small()).at_256()
    }

    /// SwinV2-B: 128 features, 2, 2, 18, 2 blocks (§4.1).
    pub fn base() -> Self {
        Self::new(SwinConfig::base()).at_256()
    }

    /// SwinV2-L: 192 features, 2, 2, 18, 2 blocks (§4.1).
    pub fn large() -> Self {
        Self::new(SwinConfig::large()).at_256()
    }

    /// SwinV2-H: 352 features, 2, 2, 18, 2 blocks, an extra norm every 6 (§4.1). The paper does
    /// not say its heads; these are mmpretrain's.
    pub fn huge() -> Self {
        Self::new(SwinConfig::imagenet(256, 352, [2, 2, 18, 2], [8, 16, 32, 64], 8))
            .with_extra_norm_every(Some(EXTRA_NORM_EVERY))
    }

    /// SwinV2-G: 512 features, 2, 2, 42, 4 blocks, an extra norm every 6 (§4.1). The paper does
    /// not say its heads; these are mmpretrain's.
    pub fn giant() -> Self {
        Self::new(SwinConfig::imagenet(256, 512, [2, 2, 42, 4], [16, 32, 64, 128], 8))
            .with_extra_norm_every(Some(EXTRA_NORM_EVERY))
    }

    /// An encoder for images of a few dozen pixels that a laptop's processor trains in minutes:
    /// the sizes of [`SwinConfig::small_images`], and branches that take part from the start.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(SwinConfig::small_images(image)).with_branch_norm(1.0)
    }

    /// The same sizes for other images.
    pub fn with_image(self, image: ImageShape) -> Self {
        Self { sizes: self.sizes.with_image(image), ..self }
    }

    /// The same sizes for other images, with position biases that keep what they learned: windows
    /// of another size read them at the offsets of these.
    pub fn resized_to(self, image: ImageShape) -> Self {
        let stages = 0..self.sizes.depths.len();
        let pretrained_windows = stages.map(|stage| self.pretrained_window(stage)).collect();
        Self { pretrained_windows, ..self.with_image(image) }
    }

    /// The same sizes with another window.
    pub fn with_window(self, window: usize) -> Self {
        Self { sizes: self.sizes.with_window(window), ..self }
    }

    fn at_256(self) -> Self {
        self.with_image(ImageShape::square(3, 256)).with_window(8)
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.sizes.validate()?;
        let (stages, pretrained) = (self.sizes.depths.len(), &self.pretrained_windows);
        ensure!(
            pretrained.is_empty() || pretrained.len() == stages,
            "pretrained_windows must be empty or one for each of {stages} stages, got {} of them",
            pretrained.len()
        );
        for &window in pretrained {
            limits::at_most("a pretrained window", window, limits::SIDE)?;
        }
        ensure!(self.extra_norm_every != Some(0), "extra_norm_every must be at least 1, got 0");
        ensure!(
            (self.branch_norm as f32).is_finite(),
            "branch_norm must be finite, got {:?}",
            self.branch_norm
        );
        Ok(())
    }

    /// Side and shift of the windows of a stage, counted from 0.
    pub fn window(&self, stage: usize) -> (usize, usize) {
        let rows = self.sizes.grid().rows >> stage;
        let window = self.sizes.window;
        if rows <= window { (rows, 0) } else { (window, window / 2) }
    }

    /// The window that the biases of a stage were learned in.
    pub(super) fn pretrained_window(&self, stage: usize) -> usize {
        match self.pretrained_windows.get(stage) {
            Some(&window) if window > 0 => window,
            _ => self.window(stage).0,
        }
    }

    /// Whether the tokens are normed once more after a block, counted from 0.
    pub fn has_extra_norm(&self, block: usize) -> bool {
        self.extra_norm_every.is_some_and(|every| (block + 1).is_multiple_of(every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_the_largest_two_have_extra_norms() {
        for (config, extra) in [
            (SwinV2Config::tiny(), 0),
            (SwinV2Config::small(), 0),
            (SwinV2Config::base(), 0),
            (SwinV2Config::large(), 0),
            (SwinV2Config::huge(), 3),
            (SwinV2Config::giant(), 7),
        ] {
            config.validate().unwrap();
            assert_eq!(
                (config.sizes.stride(), config.window(2), config.window(3)),
                (32, (8, 4), (8, 0))
            );
            let norms = (0..config.sizes.depths[2]).filter(|&block| config.has_extra_norm(block));
            assert_eq!(norms.count(), extra);
        }
    }

    #[test]
    fn windows_are_no_larger_than_the_rows_of_their_grid() {
        let config = SwinV2Config::tiny().with_image(ImageShape::new(3, 64, 128)).with_window(7);
        let windows: Vec<_> = (0..4).map(|stage| config.window(stage)).collect();
        assert_eq!(windows, [(7, 3), (7, 3), (4, 0), (2, 0)]);
    }

    #[test]
    fn a_stage_without_a_pre_trained_window_takes_its_own() {
        let config = SwinV2Config::tiny().with_pretrained_windows(vec![12, 12, 0, 6]);
        let windows: Vec<_> = (0..4).map(|stage| config.pretrained_window(stage)).collect();
        assert_eq!(windows, [12, 12, 8, 6]);
        let message = SwinV2Config::tiny().with_pretrained_windows(vec![12]).validate();
        assert!(message.unwrap_err().to_string().contains("one for each of 4 stages, got 1"));
    }
}
