//! The paper's sizes by name.

use super::ConvNextV2Config;
use crate::grid::ImageShape;

impl ConvNextV2Config {
    /// ConvNeXt V2-A: 40 to 320 features, 2, 2, 6, 2 blocks on 224 × 224 pixels (arXiv 2301.00808
    /// §A.1).
    pub fn atto() -> Self {
        Self::imagenet(40, [2, 2, 6, 2])
    }

    /// ConvNeXt V2-F: 48 to 384 features, 2, 2, 6, 2 blocks (§A.1).
    pub fn femto() -> Self {
        Self::imagenet(48, [2, 2, 6, 2])
    }

    /// ConvNeXt V2-P: 64 to 512 features, 2, 2, 6, 2 blocks (§A.1).
    pub fn pico() -> Self {
        Self::imagenet(64, [2, 2, 6, 2])
    }

    /// ConvNeXt V2-N: 80 to 640 features, 2, 2, 8, 2 blocks (§A.1).
    pub fn nano() -> Self {
        Self::imagenet(80, [2, 2, 8, 2])
    }

    /// ConvNeXt V2-T: 96 to 768 features, 3, 3, 9, 3 blocks (§A.1).
    pub fn tiny() -> Self {
        Self::imagenet(96, [3, 3, 9, 3])
    }

    /// ConvNeXt V2-B: 128 to 1024 features, 3, 3, 27, 3 blocks (§A.1).
    pub fn base() -> Self {
        Self::imagenet(128, [3, 3, 27, 3])
    }

    /// ConvNeXt V2-L: 192 to 1536 features, 3, 3, 27, 3 blocks (§A.1).
    pub fn large() -> Self {
        Self::imagenet(192, [3, 3, 27, 3])
    }

    /// ConvNeXt V2-H: 352 to 2816 features, 3, 3, 27, 3 blocks (§A.1).
    pub fn huge() -> Self {
        Self::imagenet(352, [3, 3, 27, 3])
    }

    /// An encoder for images of a few dozen pixels that a laptop's processor trains in minutes:
    /// patch 2, three stages of 48 to 192 features and 2, 2, 3 blocks, stride 8.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(image, 2, vec![48, 96, 192], vec![2, 2, 3])
    }

    /// Four stages over patches of 4 on square RGB images.
    fn imagenet(width: usize, depths: [usize; 4]) -> Self {
        let widths = (0..4).map(|stage| width << stage).collect();
        Self::new(ImageShape::square(3, 224), 4, widths, depths.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{InitialWeights, named_parameters};
    use crate::test_device;

    fn parameters(config: &ConvNextV2Config) -> usize {
        let network = config.init(&mut InitialWeights::new(0, &test_device()));
        named_parameters(&network).iter().map(|found| found.shape.iter().product::<usize>()).sum()
    }

    #[test]
    fn presets_have_the_papers_millions_of_parameters() {
        // Table 9, with a norm and a classifier of 1000 classes.
        for (config, millions) in [
            (ConvNextV2Config::atto(), 3.7),
            (ConvNextV2Config::femto(), 5.2),
            (ConvNextV2Config::pico(), 9.1),
            (ConvNextV2Config::nano(), 15.6),
            (ConvNextV2Config::tiny(), 28.6),
            (ConvNextV2Config::base(), 89.0),
            (ConvNextV2Config::large(), 198.0),
            (ConvNextV2Config::huge(), 660.0),
        ] {
            config.validate().unwrap();
            assert_eq!(config.stride(), 32);
            let all = parameters(&config) + 2 * config.output_width();
            let all = (all + 1000 * (config.output_width() + 1)) as f64 / 1e6;
            assert!((all / millions - 1.0).abs() < 0.02, "{all} {millions}");
        }
    }

    #[test]
    fn a_small_network_has_a_million_parameters() {
        let config = ConvNextV2Config::small_images(ImageShape::square(3, 32));
        config.validate().unwrap();
        assert_eq!(config.stride(), 8);
        assert!((1_200_000..1_400_000).contains(&parameters(&config)), "{}", parameters(&config));
    }
}
