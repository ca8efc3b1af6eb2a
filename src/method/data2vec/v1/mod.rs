//! The first data2vec on images (Baevski et al. 2022, arXiv 2202.03555).

#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{RelativePositions, Vit, VitConfig, VitInit};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Momentum, Positions, QkvBias};
use crate::target::{FeatureConfig, FeatureLayers, FeatureLoss, FeatureNorm, FeatureTarget};
use crate::task::Mim;

/// The first data2vec: encode all patches, the hidden ones as a mask token, and predict by one linear
/// layer the features that a moving average of the encoder has of the hidden ones.
pub type Data2VecV1 = Mim<Vit, LinearHead, FeatureTarget<Vit>>;

config! {
    /// The parts of a [`Data2VecV1`], with the numbers of the official run of ViT-B
    /// (facebookresearch/data2vec_vision, `beit/README.md`).
    #[derive(Debug, PartialEq)]
    pub struct Data2VecV1Config {
        /// The encoder.
        pub encoder: VitConfig,
        /// What is hidden. Default: 120 of 196 patches, in blocks of at least 16, or of all that are
        /// hidden where those are fewer (§4.1)
        pub mask: MaskConfig = MaskConfig::blocks(120.0 / 196.0, 16),
        /// What is predicted. Default: the mean of the last 6 blocks' tokens, each and their mean
        /// normalized over the features, by smooth L1 with a beta of 2
        pub features: FeatureConfig = last_blocks(6),
        /// The share of the teacher that a step keeps. Default: 0.9998
        pub momentum: Momentum = Momentum::constant(0.9998),
    }
}

/// The mean of the `last` blocks, judged as the paper does.
fn last_blocks(last: usize) -> FeatureConfig {
    FeatureConfig::new(FeatureLayers::Blocks { last })
        .with_each(FeatureNorm::Layer)
        .with_loss(FeatureLoss::SmoothL1 { beta: 2.0 })
}

/// `vit` as BEiT has it, with this scale of layers and drop path.
fn as_beit(vit: VitConfig, layer_scale: f64, drop_path: f64) -> VitConfig {
    vit.with_positions(Positions::None)
        .with_relative_positions(RelativePositions::Shared)
        .with_qkv_bias(QkvBias::QueryValue)
        .with_layer_scale(Some(layer_scale))
        .with_drop_path(drop_path)
        .with_init(VitInit::Beit)
}

impl Data2VecV1Config {
    /// ViT-B/16: shared relative positions alone, bias on query and value, layer scale 1e-4, drop
    /// path 0.25.
    pub fn base_patch16() -> Self {
        Self::new(as_beit(VitConfig::base_patch16(), 1e-4, 0.25))
    }

    /// ViT-L/16: as the base model, with layer scale 1e-5 and drop path 0.2.
    pub fn large_patch16() -> Self {
        Self::new(as_beit(VitConfig::large_patch16(), 1e-5, 0.2))
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, encoder 128 × 4 with sin-cos positions, blocks of at least 4 patches, the last 3 blocks.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(VitConfig::new(image, 4, 128, 4, 4))
            .with_mask(MaskConfig::blocks(120.0 / 196.0, 4))
            .with_features(last_blocks(3))
            .with_momentum(Momentum::new(0.98, 0.999))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.features.validate(self.encoder.depth)?;
        self.momentum.validate()?;
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

    /// The task with fresh weights; its teacher starts as the student does.
    ///
    /// # Panics
    ///
    /// With the message of [`Data2VecV1Config::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Data2VecV1 {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { width, .. } = self.encoder;
        let teacher = self.encoder.init(&mut weights.clone());
        Mim {
            encoder: self.encoder.init(weights),
            head: LinearHead::with_init(width, width, self.encoder.token_init(), weights),
            target: FeatureTarget::following(teacher, self.features, self.momentum),
        }
    }
}
