//! Refinement of a pre-trained encoder by nearest-neighbor contrast (MAE-CT, Lehner et al. 2023,
//! arXiv 2304.10520; MIM-Refiner, Alkin et al. 2024, arXiv 2402.10093).

#[cfg(feature = "run")]
mod collate;
mod encoder;
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
pub use collate::RefineCollate;
pub use encoder::{Refinable, RefinableConfig};
pub use task::{RefineBatch, Refinement};

use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::encoder::{VitConfig, with_frozen_layers};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::method::ContrastTeacher;
use crate::nn::{Init, InitialWeights, Projection};

/// How the features of an image become the one vector that is contrasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefinedFeatures {
    /// The mean over all cells.
    Mean,
    /// The class token.
    ClassToken,
    /// The mean over all cells, and after it the class token.
    Both,
}

impl RefinedFeatures {
    /// The length of the vector of tokens of this width.
    fn width(self, width: usize) -> usize {
        if self == Self::Both { width.saturating_mul(2) } else { width }
    }
}

config! {
    /// The parts of a [`Refinement`], with the numbers of MAE-CT's ViT-B (official configuration
    /// `stage3_maectaug_contrastive_tuning/base16.yaml`), on any encoder that can be refined.
    ///
    /// A run of it usually begins with the weights of another run
    /// ([`InitFrom`](crate::method::InitFrom)).
    #[derive(Debug, PartialEq)]
    pub struct RefineConfig<C = VitConfig> {
        /// The encoder.
        pub encoder: C,
        /// What of its features is contrasted. Default: the mean over all cells
        pub pooling: RefinedFeatures = RefinedFeatures::Mean,
        /// Its lower blocks that stay as they are, with the embedding before them; 0 freezes nothing.
        /// Default: 0
        pub frozen: usize = 0,
        /// Features between the three layers of the projector. Default: 2048
        pub projector_hidden: usize = 2048,
        /// Features of a projection. Default: 256
        pub projection: usize = 256,
        /// Features between the two layers of the predictor. Default: 4096
        pub predictor_hidden: usize = 4096,
        /// What cosines are divided by. Default: 0.15
        pub temperature: f64 = 0.15,
        /// Projections that a nearest neighbor is looked for in. Default: 65 536
        pub queue: usize = 65_536,
        /// The share of the teacher that a step keeps. Default: 0.99
        pub momentum: f64 = 0.99,
        /// What is hidden of the views that the encoder reads, as in MSN (arXiv 2204.07141); its
        /// teacher reads whole ones. None by default.
        pub mask: Option<MaskConfig> = None,
    }
}

impl RefineConfig {
    /// ViT-B/16 as MAE-CT refines it: the lower half frozen, the mean over all cells contrasted.
    pub fn base_patch16() -> Self {
        Self::new(VitConfig::base_patch16()).with_frozen(6)
    }

    /// ViT-L/16 as MAE-CT refines it: the lower half frozen, the class token contrasted.
    pub fn large_patch16() -> Self {
        let class_token = RefinedFeatures::ClassToken;
        Self::new(VitConfig::large_patch16()).with_frozen(12).with_pooling(class_token)
    }

    /// For images of a few dozen pixels and a laptop's processor, on the encoder of MAE's model for them.
    pub fn small_images(image: ImageShape) -> Self {
        Self::small(VitConfig::new(image, 4, 128, 6, 4))
    }
}

impl<C: RefinableConfig> RefineConfig<C> {
    /// On a small encoder, for a laptop's processor: small heads, and a queue that turns over within
    /// an epoch of a few thousand images.
    pub fn small(encoder: C) -> Self {
        Self::new(encoder)
            .with_projector_hidden(512)
            .with_projection(128)
            .with_predictor_hidden(512)
            .with_queue(2048)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        let Self { pooling, frozen, temperature, queue, momentum, .. } = *self;
        let widths = [self.projector_hidden, self.projection, self.predictor_hidden, queue];
        let names = ["projector_hidden", "projection", "predictor_hidden", "queue"];
        for (name, width) in names.into_iter().zip(widths) {
            limits::counts(name, width, limits::MLP_WIDTH)?;
        }
        let blocks = self.encoder.blocks();
        ensure!(
            frozen <= blocks,
            "frozen must be at most the encoder's {blocks} blocks, got {frozen}"
        );
        ensure!(
            pooling == RefinedFeatures::Mean || self.encoder.has_class_token(),
            "the encoder has no class token: pooling must be mean"
        );
        ensure!(
            temperature.is_finite() && temperature > 0.0,
            "temperature must be a finite number above 0, got {temperature:?}"
        );
        ensure!((0.0..=1.0).contains(&momentum), "momentum must be in [0, 1], got {momentum:?}");
        let heads = [self.projector_widths().as_slice(), &self.predictor_widths()]
            .map(Projection::parameters);
        limits::parameters(heads[0].saturating_add(heads[1]))?;
        self.mask().map(|_| ())
    }

    /// What draws the masks, if views are masked.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`], and when the encoder cannot read visible cells alone.
    pub fn mask(&self) -> Result<Option<Arc<dyn MaskStrategy>>> {
        let Some(mask) = &self.mask else { return Ok(None) };
        self.encoder.check_visible()?;
        mask.build(self.encoder.image(), self.encoder.stride()).map(Some)
    }

    fn projector_widths(&self) -> [usize; 4] {
        let (hidden, features) = (self.projector_hidden, self.encoder.width());
        [self.pooling.width(features), hidden, hidden, self.projection]
    }

    fn predictor_widths(&self) -> [usize; 3] {
        [self.projection, self.predictor_hidden, self.projection]
    }

    /// The task with fresh weights; its teacher starts as the student does.
    ///
    /// # Panics
    ///
    /// With the message of [`RefineConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Refinement<C::Network> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let branch = |weights: &mut InitialWeights| {
            let encoder = self.encoder.network(weights);
            (encoder, Projection::new(&self.projector_widths(), true, weights))
        };
        let teacher = branch(&mut weights.clone());
        let (encoder, projector) = branch(weights);
        let encoder = match self.frozen {
            0 => encoder,
            some => with_frozen_layers(encoder, some),
        };
        let queue = weights.param([self.queue, self.projection], Init::Normal { std: 1.0 });
        Refinement {
            encoder,
            projector,
            predictor: Projection::new(&self.predictor_widths(), false, weights),
            teacher: ContrastTeacher::new(teacher.0, teacher.1),
            queue: queue.set_require_grad(false),
            pooling: self.pooling,
            temperature: self.temperature,
            momentum: self.momentum,
        }
    }
}
