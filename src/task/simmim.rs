//! SimMIM (Xie et al. 2021, arXiv 2111.09886).

use burn::config::Config;

use super::Mim;
use crate::encoder::{RelativePositions, Vit, VitConfig, VitInit};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::mask::RandomMask;
use crate::nn::{Positions, QkvBias, Weights};
use crate::target::{PixelTarget, Target};

/// SimMIM: encode all patches, the hidden ones as a mask token, and read the hidden pixels off
/// with one linear layer.
pub type SimMim<E = Vit> = Mim<E, LinearHead, PixelTarget>;

/// The parts of a [`SimMim`] on a vision transformer, with the paper's defaults.
#[derive(Config, Debug, PartialEq)]
pub struct SimMimConfig {
    /// The encoder.
    pub encoder: VitConfig,
    /// Side of a mask unit in pixels, a multiple of the patch. Default: 32 (§3.2, Table 1)
    #[config(default = 32)]
    pub mask_unit: usize,
    /// The share of mask units hidden. Default: 0.6 (§4.1)
    #[config(default = 0.6)]
    pub mask_ratio: f64,
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
        Self::new(VitConfig::new(image, 4, 128, 4, 4)).with_mask_unit(8)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        let (unit, patch) = (self.mask_unit, self.encoder.patch);
        if !unit.is_multiple_of(patch) {
            return Err(Error::config(format!(
                "a mask unit of {unit} pixels is not a multiple of the patch of {patch}"
            )));
        }
        self.mask().map(|_| ())
    }

    /// The paper's masks: uniformly random units.
    ///
    /// # Errors
    ///
    /// When the unit does not divide the image, or the ratio hides nothing or everything.
    pub fn mask(&self) -> Result<RandomMask> {
        RandomMask::simmim(self.encoder.image, self.mask_unit, self.mask_ratio)
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SimMimConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut Weights) -> SimMim {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { image, patch, width, .. } = self.encoder;
        let target = PixelTarget::simmim(image.channels, patch);
        Mim {
            encoder: self.encoder.init(weights),
            head: LinearHead::new(width, target.width(), weights),
            target,
        }
    }
}
