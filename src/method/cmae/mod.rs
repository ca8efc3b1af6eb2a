//! Contrastive masked autoencoders (CMAE, Huang et al. 2022, arXiv 2207.13532).

#[cfg(feature = "run")]
mod collate;
#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

#[cfg(feature = "run")]
pub use collate::CmaeCollate;
pub use task::Cmae;

use crate::config::config;
use crate::encoder::VitConfig;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::method::{ContrastTeacher, MaeTarget};
use crate::nn::{InitialWeights, Projection};
use crate::target::{Normalization, PixelTarget, Target};
use crate::task::Mim;

config! {
    /// The parts of a [`Cmae`], with the numbers of the official configuration
    /// (`cmae_vit-base-p16_32xb128-coslr-300e_in1k.py`).
    #[derive(Debug, PartialEq)]
    pub struct CmaeConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// The decoder of pixels. Default: 512 features, 8 blocks, 16 heads, MAE's
        pub decoder: DecoderConfig = DecoderConfig::new(),
        /// The decoder of features. Default: 512 features, 2 blocks, 16 heads
        pub feature_decoder: DecoderConfig = DecoderConfig::new().with_depth(2),
        /// What is hidden. Default: 65 % of the patches, at random
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.65 },
        /// Whether each patch's pixels are normalized. Default: true
        pub normalized: bool = true,
        /// The largest shift of the teacher's view against the student's, along rows and along
        /// columns, in pixels of the model's images. Default: 31 of 224
        pub shift: usize = 31,
        /// Features between the two layers of the projector. Default: 1536
        pub projector_hidden: usize = 1536,
        /// Features of a projection. Default: 256
        pub projection: usize = 256,
        /// Features between the two layers of the predictor. Default: 1536
        pub predictor_hidden: usize = 1536,
        /// What cosines are divided by. Default: 0.07
        pub temperature: f64 = 0.07,
        /// The weight of the contrast beside the reconstruction. Default: 1
        pub contrast: f64 = 1.0,
        /// The share of the teacher that a step keeps. Default: 0.996
        pub momentum: f64 = 0.996,
    }
}

impl CmaeConfig {
    /// ViT-B/16 with the official decoders.
    pub fn base_patch16() -> Self {
        Self::new(VitConfig::base_patch16())
    }

    /// MAE's model for images of a few dozen pixels, with a small feature decoder and small heads.
    pub fn small_images(image: ImageShape) -> Self {
        let decoder = DecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
        let shift = image.height.min(image.width) / 8;
        Self::new(VitConfig::new(image, 4, 128, 6, 4))
            .with_feature_decoder(decoder.clone().with_depth(1))
            .with_decoder(decoder)
            .with_mask(MaskConfig::Mae { ratio: 0.75 })
            .with_shift(shift)
            .with_projector_hidden(256)
            .with_projection(64)
            .with_predictor_hidden(256)
            .with_momentum(0.99)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("CMAE")?;
        self.decoder.validate(&self.encoder)?;
        self.feature_decoder.validate(&self.encoder)?;
        if self.normalized {
            Normalization::Cell.validate_for(self.encoder.patch_values())?;
        }
        self.mask()?;
        let Self { shift, temperature, contrast, momentum, .. } = *self;
        let ImageShape { height, width, .. } = self.encoder.image;
        ensure!(
            shift < height.min(width),
            "a shift of {shift} pixels leaves nothing of images of {height}×{width}"
        );
        let widths = [self.projector_hidden, self.projection, self.predictor_hidden];
        let names = ["projector_hidden", "projection", "predictor_hidden"];
        for (name, width) in names.into_iter().zip(widths) {
            limits::counts(name, width, limits::MLP_WIDTH)?;
        }
        ensure!(
            temperature.is_finite() && temperature > 0.0,
            "temperature must be a finite number above 0, got {temperature:?}"
        );
        ensure!(
            contrast.is_finite() && contrast >= 0.0,
            "contrast must be a finite weight of at least 0, got {contrast:?}"
        );
        ensure!((0.0..=1.0).contains(&momentum), "momentum must be in [0, 1], got {momentum:?}");
        let heads = [self.projector_widths(), self.predictor_widths()]
            .map(|widths| Projection::parameters(&widths));
        limits::parameters(heads[0].saturating_add(heads[1]))
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    fn projector_widths(&self) -> [usize; 3] {
        [self.encoder.width, self.projector_hidden, self.projection]
    }

    fn predictor_widths(&self) -> [usize; 3] {
        [self.projection, self.predictor_hidden, self.projection]
    }

    /// The task with fresh weights; its teacher starts as the student does.
    ///
    /// # Panics
    ///
    /// With the message of [`CmaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Cmae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { image, patch, width, .. } = self.encoder;
        let target = PixelTarget::mae(image.channels, patch, self.normalized);
        let branch = |weights: &mut InitialWeights| {
            let encoder = self.encoder.init_visible(weights);
            (encoder, Projection::new(&self.projector_widths(), false, weights))
        };
        let teacher = branch(&mut weights.clone());
        let (encoder, projector) = branch(weights);
        let head = self.decoder.init_any(&self.encoder, target.width(), weights);
        Cmae {
            mae: Mim { encoder, head, target: MaeTarget::Pixels(target) },
            projector,
            feature_decoder: self.feature_decoder.init(&self.encoder, width, weights),
            predictor: Projection::new(&self.predictor_widths(), false, weights),
            teacher: ContrastTeacher::new(teacher.0.body, teacher.1),
            temperature: self.temperature,
            contrast: self.contrast,
            momentum: self.momentum,
        }
    }
}
