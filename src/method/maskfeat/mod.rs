//! MaskFeat (Wei et al. 2021, arXiv 2112.09133).

#[cfg(feature = "run")]
mod edges;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

#[cfg(feature = "run")]
pub use edges::{edges, predicted_edges};

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{Vit, VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Positions};
use crate::target::{GradientTarget, GradientTargetConfig, Target};
use crate::task::Mim;

/// MaskFeat: encode all patches, the hidden ones as a mask token, and read the gradients of the
/// hidden pixels off with one linear layer.
pub type MaskFeat<T = GradientTarget> = Mim<Vit, LinearHead, T>;

config! {
    /// The parts of a [`MaskFeat`], with the paper's defaults for images.
    #[derive(Debug, PartialEq)]
    pub struct MaskFeatConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// What is predicted. Default: histograms of gradients in cells of 8 pixels (§3)
        pub target: GradientTargetConfig = GradientTargetConfig::Hog { cell: 8, window: None },
        /// What is hidden. Default: 40 % of the patches (official configuration), in blocks of at
        /// least 15, a fifth of the 78 hidden ones of 14 × 14, or of all that are hidden where those
        /// are fewer (official code)
        pub mask: MaskConfig = MaskConfig::blocks(0.4, 15),
    }
}

impl MaskFeatConfig {
    /// ViT-B/16 with learned positions on histograms of 2 × 2 cells a patch.
    pub fn base_patch16() -> Self {
        Self::new(as_official(VitConfig::base_patch16()))
    }

    /// ViT-L/16 with learned positions on histograms of 2 × 2 cells a patch.
    pub fn large_patch16() -> Self {
        Self::new(as_official(VitConfig::large_patch16()))
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4 of a single cell, pixels weighed in squares of 2 × 2 cells, blocks from 4 patches on, and
    /// encoder 128 × 4 with sin-cos positions.
    pub fn small_images(image: ImageShape) -> Self {
        let hog = GradientTargetConfig::Hog { cell: 4, window: Some(8) };
        Self::new(VitConfig::new(image, 4, 128, 4, 4))
            .with_target(hog)
            .with_mask(MaskConfig::blocks(0.4, 4))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.target.validate(self.encoder.patch)?;
        let ImageShape { height, width, .. } = self.encoder.image;
        ensure!(
            height > 1 && width > 1,
            "an image of {height}×{width} pixels has no gradients: it needs 2×2"
        );
        self.mask().map(|_| ())
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`MaskFeatConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> MaskFeat {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { image, patch, width, .. } = self.encoder;
        let target = self.target.init(image.channels, patch);
        Mim {
            encoder: self.encoder.init(weights),
            head: LinearHead::new(width, target.width(), weights),
            target,
        }
    }
}

/// With positions and first weights as in the official code.
fn as_official(encoder: VitConfig) -> VitConfig {
    encoder.with_positions(Positions::Learned).with_init(VitInit::Normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskStrategy;

    #[test]
    fn the_presets_have_the_papers_numbers() {
        let config = MaskFeatConfig::base_patch16();
        config.validate().unwrap();
        // 4 cells of 9 bins of 3 channels; 40 % of 196 patches.
        assert_eq!(config.target.init(3, 16).width(), 108);
        assert_eq!(config.mask().unwrap().hidden(), 78);
        MaskFeatConfig::small_images(ImageShape::new(1, 16, 24)).validate().unwrap();
    }

    #[test]
    fn a_broken_part_is_named() {
        let config = MaskFeatConfig::base_patch16();
        let odd = config.clone().with_target(GradientTargetConfig::Hog { cell: 5, window: None });
        let message = odd.validate().unwrap_err().to_string();
        assert!(message.contains("cells of 5 pixels do not divide a patch of 16"), "{message}");
        assert!(config.with_mask(MaskConfig::blocks(1.5, 15)).validate().is_err());
    }
}
