//! SimMIM (Xie et al. 2021, arXiv 2111.09886).

#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{
    EncoderConfig, RelativePositions, SwinConfig, SwinV2Config, Vit, VitConfig, VitInit,
};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Positions, QkvBias};
use crate::target::{Normalization, PixelTarget, Target};
use crate::task::Mim;

/// SimMIM: encode all patches, the hidden ones as a mask token, and read the hidden pixels off
/// with one linear layer.
pub type SimMim<E = Vit> = Mim<E, LinearHead, PixelTarget>;

config! {
    /// The parts of a [`SimMim`], with the paper's defaults, on any encoder that replaces hidden
    /// patches.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn_mim::nn::InitialWeights;
    /// use burn_mim::{ImageShape, SimMim, SimMimConfig, Swin, SwinConfig};
    ///
    /// # let weights = &mut InitialWeights::new(0, &burn::tensor::Device::flex().autodiff());
    /// let config = SimMimConfig::new(SwinConfig::tiny().with_image(ImageShape::square(3, 192)));
    /// let simmim: SimMim<Swin> = config.init(weights);
    /// # }
    /// ```
    #[derive(Debug, PartialEq)]
    pub struct SimMimConfig<C = VitConfig> {
        /// The encoder.
        pub encoder: C,
        /// What is hidden. Default: 60 % of squares of 32 pixels, at random (§3.2, Table 1, §4.1)
        pub mask: MaskConfig = MaskConfig::Simmim { unit: 32, ratio: 0.6 },
        /// How the target pixels are normalized. Default: not at all (§3.4)
        pub normalization: Normalization = Normalization::None,
    }
}

impl<C: EncoderConfig> SimMimConfig<C> {
    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        let stride = self.encoder.stride();
        let cell = limits::product(&[self.encoder.image().channels, stride, stride]);
        self.normalization.validate_for(cell)?;
        limits::parameters(limits::product(&[cell, self.encoder.width()]))?;
        self.mask().map(|_| ())
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image(), self.encoder.stride())
    }

    /// SimMIM on an encoder for images of a few dozen pixels: hides 60 % of squares of 8 pixels, or
    /// of two cells' side, or of one, where 8 pixels are no whole cells or do not divide the image.
    pub fn in_small_squares(encoder: C) -> Self {
        let (image, stride) = (encoder.image(), encoder.stride());
        let divides = |unit: usize| image.grid(unit).is_ok();
        let unit = match stride.saturating_mul(2) {
            _ if 8usize.is_multiple_of(stride) && divides(8) => 8,
            twice if divides(twice) => twice,
            _ => stride,
        };
        Self::new(encoder).with_mask(MaskConfig::Simmim { unit, ratio: 0.6 })
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SimMimConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> SimMim<C::Encoder> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (channels, stride) = (self.encoder.image().channels, self.encoder.stride());
        let target = PixelTarget::simmim(channels, stride).with_normalization(self.normalization);
        Mim {
            encoder: self.encoder.init(weights),
            head: LinearHead::new(self.encoder.width(), target.width(), weights),
            target,
        }
    }
}

impl SimMimConfig {
    /// ViT-B/16 as SimMIM trains it: shared relative positions alone, bias on query and value,
    /// layer scale 0.1, drop path 0.1 (§4.1 and the official configuration).
    pub fn base_patch16() -> Self {
        let encoder = VitConfig::base_patch16()
            .with_positions(Positions::None)
            .with_relative_positions(RelativePositions::Shared)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_layer_scale(Some(0.1))
            .with_drop_path(0.1)
            .with_init(VitInit::Beit);
        Self::new(encoder)
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, encoder 128 × 4, mask units of 8 pixels.
    ///
    /// Its encoder is a plain one with sin-cos positions: SimMIM's own variant starts with neither
    /// positions nor, by its layer scale, much of its blocks, and needs many epochs to grow them.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(VitConfig::new(image, 4, 128, 4, 4)).with_mask(small_mask())
    }
}

/// Masks for images of a few dozen pixels: 60 % of squares of 8 pixels.
fn small_mask() -> MaskConfig {
    MaskConfig::Simmim { unit: 8, ratio: 0.6 }
}

impl SimMimConfig<SwinConfig> {
    /// Swin-B on 192 × 192 pixels with windows of 6, the paper's main model (§4.1).
    pub fn swin_base() -> Self {
        Self::new(SwinConfig::base().with_image(ImageShape::square(3, 192)).with_window(6))
    }

    /// Swin-L on 192 × 192 pixels with windows of 12 (official configuration).
    pub fn swin_large() -> Self {
        Self::new(SwinConfig::large().with_image(ImageShape::square(3, 192)).with_window(12))
    }
}

impl SimMimConfig<SwinV2Config> {
    /// SwinV2-B on 192 × 192 pixels with windows of 12, drop path 0.1 and a target normalized in
    /// windows of 47 × 47 pixels, as the official configuration pre-trains it.
    pub fn swin_v2_base() -> Self {
        let mut encoder =
            SwinV2Config::base().with_image(ImageShape::square(3, 192)).with_window(12);
        encoder.sizes.drop_path = 0.1;
        Self::new(encoder).with_normalization(Normalization::Sliding { side: 47 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicts_one_unit_per_output_cell<C: EncoderConfig>(config: &SimMimConfig<C>) {
        config.validate().unwrap();
        assert_eq!((config.encoder.stride(), config.encoder.width()), (32, 1024));
        assert_eq!(config.mask().unwrap().grid().cells(), 36);
    }

    #[test]
    fn presets_predict_one_unit_per_output_cell() {
        SimMimConfig::base_patch16().validate().unwrap();
        predicts_one_unit_per_output_cell(&SimMimConfig::swin_base());
        predicts_one_unit_per_output_cell(&SimMimConfig::swin_v2_base());
    }

    fn units(unit: usize) -> MaskConfig {
        MaskConfig::Simmim { unit, ratio: 0.6 }
    }

    #[test]
    fn a_unit_finer_than_the_features_is_refused() {
        let message = SimMimConfig::swin_base().with_mask(units(16)).validate().unwrap_err();
        assert!(
            message
                .to_string()
                .contains("a mask unit of 16 pixels is not a multiple of the model's patch of 32")
        );
    }

    #[test]
    fn a_mask_unit_that_is_no_multiple_of_the_patch_is_refused() {
        let small = SimMimConfig::small_images(ImageShape::square(3, 48));
        small.clone().with_mask(units(12)).validate().unwrap();
        small.with_mask(units(6)).validate().unwrap_err();
    }
}
