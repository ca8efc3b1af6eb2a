//! LeJEPA, a joint-embedding predictive architecture without a teacher (Balestriero & LeCun 2025, arXiv
//! 2511.08544), of masked views.

#[cfg(feature = "run")]
mod collate;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

#[cfg(feature = "run")]
pub use collate::LeJepaCollate;
pub use task::{LeJepa, LeJepaBatch};

use crate::config::config;
use crate::encoder::{VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Positions, Projection};
use crate::task::SigReg;

config! {
    /// The parts of a [`LeJepa`], with the numbers of the official code (rbalestr-lab/lejepa: README and
    /// `scripts/`, those of ViT-L); how much is hidden is ours.
    #[derive(Debug, PartialEq)]
    pub struct LeJepaConfig {
        /// The encoder, whose class token is embedded; without one, the mean of the visible cells is.
        pub encoder: VitConfig,
        /// What is hidden of each view. Default: 70 % of the patches, at random
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.7 },
        /// Masks of each of the two crops of an image, so that there are twice as many views of it.
        /// Default: 4
        pub masks: usize = 4,
        /// Features between the three layers of the projector. Default: 2048
        pub projector_hidden: usize = 2048,
        /// Features of an embedding. Default: 512
        pub embedding: usize = 512,
        /// What embeddings are compared with the normal distribution by. Default: 1024 directions, 17
        /// places from 0 to 3
        pub sigreg: SigReg = SigReg::new(),
        /// The weight of SIGReg in the loss, from 0 to 1; that of the prediction is what is left to 1.
        /// Default: 0.05
        pub lambda: f64 = 0.05,
    }
}

impl LeJepaConfig {
    /// On an encoder with learned positions that begins as timm's do, and with its drop path.
    fn of_vit(encoder: VitConfig) -> Self {
        let encoder = encoder.with_positions(Positions::Learned).with_init(VitInit::Normal);
        Self::new(encoder.with_drop_path(0.1))
    }

    /// ViT-S/8 on images of 128 pixels with embeddings of 16 features, 4 views and 256 directions
    /// (official `MINIMAL.md`).
    pub fn small_patch8() -> Self {
        let image = ImageShape::square(3, 128);
        Self::of_vit(VitConfig { image, patch: 8, ..VitConfig::small_patch16() })
            .with_masks(2)
            .with_embedding(16)
            .with_sigreg(SigReg::new().with_slices(256))
            .with_lambda(0.02)
    }

    /// ViT-L/14 (official `scripts/`).
    pub fn large_patch14() -> Self {
        Self::of_vit(VitConfig { patch: 14, ..VitConfig::large_patch16() })
    }

    /// ViT-H/14, with the numbers of ViT-L (arXiv 2511.08544: its size and its result alone).
    pub fn huge_patch14() -> Self {
        Self::of_vit(VitConfig::huge_patch14())
    }

    /// MAE's encoder for images of a few dozen pixels, with 4 views of each image, a small projector,
    /// and the paper's places of the integral, half as many as the official code's.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder = VitConfig::new(image, 4, 128, 6, 4).with_class_token(false);
        Self::new(encoder)
            .with_mask(MaskConfig::Mae { ratio: 0.75 })
            .with_masks(2)
            .with_projector_hidden(512)
            .with_embedding(64)
            .with_sigreg(SigReg::new().with_slices(256).with_knots(9).with_t_max(5.0))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("LeJEPA")?;
        self.mask()?;
        let Self { masks, projector_hidden, embedding, lambda, .. } = *self;
        for (name, number, most) in [
            ("masks", masks, limits::BATCH),
            ("projector_hidden", projector_hidden, limits::MLP_WIDTH),
            ("embedding", embedding, limits::MLP_WIDTH),
        ] {
            limits::counts(name, number, most)?;
        }
        self.sigreg.validate(embedding)?;
        ensure!((0.0..=1.0).contains(&lambda), "lambda must be in [0, 1], got {lambda:?}");
        limits::parameters(Projection::parameters(&self.projector_widths()))
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    fn projector_widths(&self) -> [usize; 4] {
        [self.encoder.width, self.projector_hidden, self.projector_hidden, self.embedding]
    }

    /// The task with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`LeJepaConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> LeJepa {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        LeJepa {
            encoder: self.encoder.init_visible(weights),
            projector: Projection::new(&self.projector_widths(), false, weights),
            sigreg: self.sigreg,
            lambda: self.lambda,
        }
    }
}
