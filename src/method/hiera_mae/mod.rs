//! Masked autoencoding on Hiera (Ryali et al. 2023, arXiv 2306.00989 §3).

#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{Hiera, HieraConfig};
use crate::error::{Result, ensure};
use crate::grid::{Grid, ImageShape};
use crate::head::{DecoderConfig, FusionDecoder};
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{Normalization, PixelLoss, PixelTarget};
use crate::task::Mim;

/// MAE on Hiera: encode the visible mask units stage by stage, decode what all stages say of them,
/// compare the hidden pixels.
pub type HieraMae = Mim<Hiera, FusionDecoder, PixelTarget>;

config! {
    /// The parts of a [`HieraMae`], with the paper's defaults.
    #[derive(Debug, PartialEq)]
    pub struct HieraMaeConfig {
        /// The encoder.
        pub encoder: HieraConfig,
        /// The decoder. Default: 512 features, 8 blocks, 16 heads (Table 3e and the official code)
        pub decoder: DecoderConfig = DecoderConfig::new(),
        /// What is hidden, in mask units. Default: 60 % of them, at random (Table 3b)
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.6 },
        /// Whether each cell's pixels are normalized. Default: true (official code)
        pub normalized: bool = true,
    }
}

impl HieraMaeConfig {
    /// Hiera-T with the paper's decoder.
    pub fn tiny() -> Self {
        Self::papers(HieraConfig::tiny())
    }

    /// Hiera-S with the paper's decoder.
    pub fn small() -> Self {
        Self::papers(HieraConfig::small())
    }

    /// Hiera-B with the paper's decoder.
    pub fn base() -> Self {
        Self::papers(HieraConfig::base())
    }

    /// Hiera-B+ with the paper's decoder.
    pub fn base_plus() -> Self {
        Self::papers(HieraConfig::base_plus())
    }

    /// Hiera-L with the paper's decoder.
    pub fn large() -> Self {
        Self::papers(HieraConfig::large())
    }

    /// Hiera-H with the paper's decoder.
    pub fn huge() -> Self {
        Self::papers(HieraConfig::huge())
    }

    /// Two of three stages pool, so that a cell of 16 pixels is predicted (official code).
    fn papers(encoder: HieraConfig) -> Self {
        Self::new(encoder.with_pools(2))
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: mask units
    /// of 8 pixels, of which cells of 4 are predicted; decoder 64 × 2.
    pub fn small_images(image: ImageShape) -> Self {
        let decoder = DecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
        Self::new(HieraConfig::small_images(image)).with_decoder(decoder)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let encoder = &self.encoder;
        encoder.validate()?;
        encoder.check_units()?;
        let [height, width] = encoder.stride();
        ensure!(height == width, "cells of {height}×{width} pixels are not square");
        let [height, width] = self.unit();
        ensure!(height == width, "mask units of {height}×{width} pixels are not square");
        self.decoder.validate_fusion(encoder)?;
        if self.normalized {
            Normalization::Cell.validate_for(self.target_width())?;
        }
        self.mask().map(|_| ())
    }

    /// Height and width of a mask unit in pixels.
    fn unit(&self) -> [usize; 2] {
        let (unit, stride) = (self.encoder.unit, self.encoder.patch_stride);
        [unit[0] * stride[0], unit[1] * stride[1]]
    }

    /// The grid of mask units.
    pub fn units(&self) -> Grid {
        self.encoder.units()
    }

    /// The values that are predicted of a cell.
    pub fn target_width(&self) -> usize {
        let [height, width] = self.encoder.stride();
        self.encoder.image.channels * height * width
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.unit()[0])
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`HieraMaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> HieraMae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let normalization = if self.normalized { Normalization::Cell } else { Normalization::None };
        let cell = self.encoder.stride()[0];
        Mim {
            encoder: self.encoder.init(weights),
            head: self.decoder.init_fusion(&self.encoder, self.target_width(), weights),
            target: PixelTarget::simmim(self.encoder.image.channels, cell)
                .with_loss(PixelLoss::L2)
                .with_normalization(normalization),
        }
    }
}
