//! The papers' sizes by name.

use super::SwinConfig;
use crate::grid::ImageShape;

/// Blocks of the four stages of Swin-S, B and L.
const DEEP: [usize; 4] = [2, 2, 18, 2];

impl SwinConfig {
    /// Swin-T: 96 features, 2, 2, 6, 2 blocks, window 7 on 224 × 224 pixels (arXiv 2103.14030
    /// §3.3).
    pub fn tiny() -> Self {
        Self::imagenet(224, 96, [2, 2, 6, 2], [3, 6, 12, 24], 7)
    }

    /// Swin-S: 96 features, 2, 2, 18, 2 blocks (§3.3).
    pub fn small() -> Self {
        Self::imagenet(224, 96, DEEP, [3, 6, 12, 24], 7)
    }

    /// Swin-B: 128 features, 2, 2, 18, 2 blocks (§3.3).
    pub fn base() -> Self {
        Self::imagenet(224, 128, DEEP, [4, 8, 16, 32], 7)
    }

    /// Swin-L: 192 features, 2, 2, 18, 2 blocks (§3.3).
    pub fn large() -> Self {
        Self::imagenet(224, 192, DEEP, [6, 12, 24, 48], 7)
    }

    /// An encoder for images of a few dozen pixels that a laptop's processor trains in minutes:
    /// patch 2, three stages of 2 blocks with 48 to 192 features, window 4, stride 8.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(image, 2, 48, vec![2; 3], vec![3, 6, 12], 4)
    }

    /// Four stages over patches of 4 on square RGB images.
    pub(in crate::encoder) fn imagenet(
        side: usize,
        width: usize,
        depths: [usize; 4],
        heads: [usize; 4],
        window: usize,
    ) -> Self {
        let image = ImageShape::square(3, side);
        Self::new(image, 4, width, depths.into(), heads.into(), window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_their_windows_tile_every_stage() {
        for config in
            [SwinConfig::tiny(), SwinConfig::small(), SwinConfig::base(), SwinConfig::large()]
        {
            config.validate().unwrap();
            assert_eq!((config.stride(), config.output_width() / config.heads[3]), (32, 32));
            assert!((config.grid().rows >> 3).is_multiple_of(config.window));
        }
    }
}
