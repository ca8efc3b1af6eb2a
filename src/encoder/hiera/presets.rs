//! The paper's sizes by name.

use super::HieraConfig;
use crate::grid::ImageShape;

impl HieraConfig {
    /// Hiera-T: 96 features, 1, 2, 7, 2 blocks on 224 × 224 pixels (arXiv 2306.00989, Table 2).
    pub fn tiny() -> Self {
        Self::imagenet(96, [1, 2, 7, 2], 1)
    }

    /// Hiera-S: 96 features, 1, 2, 11, 2 blocks (Table 2).
    pub fn small() -> Self {
        Self::imagenet(96, [1, 2, 11, 2], 1)
    }

    /// Hiera-B: 96 features, 2, 3, 16, 3 blocks (Table 2).
    pub fn base() -> Self {
        Self::imagenet(96, [2, 3, 16, 3], 1)
    }

    /// Hiera-B+: 112 features, 2, 3, 16, 3 blocks (Table 2).
    pub fn base_plus() -> Self {
        Self::imagenet(112, [2, 3, 16, 3], 2)
    }

    /// Hiera-L: 144 features, 2, 6, 36, 4 blocks (Table 2).
    pub fn large() -> Self {
        Self::imagenet(144, [2, 6, 36, 4], 2)
    }

    /// Hiera-H: 256 features, 2, 6, 36, 4 blocks (Table 2).
    pub fn huge() -> Self {
        Self::imagenet(256, [2, 6, 36, 4], 4)
    }

    /// An encoder for images of a few dozen pixels that a laptop's processor trains in minutes: 1.3
    /// million parameters in stages of 1, 2 and 2 blocks with 48 to 192 features, tokens of 2 pixels,
    /// mask units of 8, of which the second stage makes four tokens.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(image, 48, vec![1, 2, 2], vec![1, 2, 4], vec![true, false, false])
            .with_patch_kernel([3, 3])
            .with_patch_stride([2, 2])
            .with_patch_padding([1, 1])
            .with_unit([4, 4])
            .with_pools(1)
    }

    /// Four stages on square RGB images, with twice the heads from one to the next.
    fn imagenet(width: usize, depths: [usize; 4], heads: usize) -> Self {
        let heads = (0..4).map(|stage| heads << stage).collect();
        let image = ImageShape::square(3, 224);
        Self::new(image, width, depths.into(), heads, vec![true, true, false, false])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    #[test]
    fn presets_are_valid_and_have_the_papers_grids() {
        for config in [
            HieraConfig::tiny(),
            HieraConfig::small(),
            HieraConfig::base(),
            HieraConfig::base_plus(),
            HieraConfig::large(),
            HieraConfig::huge(),
        ] {
            config.validate().unwrap();
            assert_eq!((config.stride(), config.units()), ([32, 32], Grid::square(7)));
            assert_eq!(config.output_width() / config.heads[3], config.width / config.heads[0]);
        }
    }
}
