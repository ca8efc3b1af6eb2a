//! FCMAE, the fully convolutional masked autoencoder (Woo et al. 2023, arXiv 2301.00808).

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{ConvNextV2, ConvNextV2Config};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::{ConvNextDecoder, ConvNextDecoderConfig};
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{Normalization, PixelTarget, Target};
use crate::task::Mim;

/// FCMAE: a ConvNeXt V2 of sparse convolutions over the visible patches, one block of convolutions over
/// all cells, and the normalized pixels of the hidden ones.
pub type FcMae = Mim<ConvNextV2, ConvNextDecoder, PixelTarget>;

config! {
    /// The parts of an [`FcMae`], with the paper's defaults.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn_mim::nn::InitialWeights;
    /// use burn_mim::{ConvNextV2Config, FcMae, FcMaeConfig};
    ///
    /// # let weights = &mut InitialWeights::new(0, &burn::tensor::Device::flex().autodiff());
    /// let fcmae: FcMae = FcMaeConfig::new(ConvNextV2Config::atto()).init(weights);
    /// # }
    /// ```
    #[derive(Debug, PartialEq)]
    pub struct FcMaeConfig {
        /// The encoder.
        pub encoder: ConvNextV2Config,
        /// The decoder. Default: one block of 512 features (§3.1, Table 1)
        pub decoder: ConvNextDecoderConfig = ConvNextDecoderConfig::new(),
        /// What is hidden. Default: 60 % of the cells of the last stage, at random: patches of 32 pixels
        /// (§3.1)
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.6 },
        /// Whether the pixels of each cell are normalized. Default: true (§3.1)
        pub normalized: bool = true,
    }
}

impl FcMaeConfig {
    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch 2,
    /// three stages of 48 to 192 features, and a decoder of 128.
    pub fn small_images(image: ImageShape) -> Self {
        let decoder = ConvNextDecoderConfig::new().with_width(128);
        Self::new(ConvNextV2Config::small_images(image)).with_decoder(decoder)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.decoder.validate(self.encoder.output_width())?;
        let stride = self.encoder.stride();
        let cell = limits::product(&[self.encoder.image.channels, stride, stride]);
        if self.normalized {
            Normalization::Cell.validate_for(cell)?;
        }
        limits::parameters(limits::product(&[cell, self.decoder.width]))?;
        self.mask().map(|_| ())
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.stride())
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`FcMaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> FcMae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (channels, stride) = (self.encoder.image.channels, self.encoder.stride());
        let target = PixelTarget::mae(channels, stride, self.normalized);
        Mim {
            encoder: self.encoder.init(weights),
            head: self.decoder.init(self.encoder.output_width(), target.width(), weights),
            target,
        }
    }
}
