//! data2vec 2.0 (Baevski et al. 2022, arXiv 2212.07525) on images, and the first data2vec.

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;
mod v1;

use std::sync::Arc;

pub use task::Data2Vec;
pub use v1::{Data2VecV1, Data2VecV1Config};

use crate::config::config;
use crate::encoder::{VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::ConvDecoderConfig;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Momentum};
use crate::target::{FeatureConfig, FeatureLayers, FeatureTarget};

/// Updates of the official configuration of ViT-B, and those until the momentum is at its end.
const UPDATES: [f64; 2] = [375_300.0, 100_000.0];

config! {
    /// The parts of a [`Data2Vec`], with the numbers of the official configuration of ViT-B
    /// (`base_images_only_task.yaml`).
    #[derive(Debug, PartialEq)]
    pub struct Data2VecConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// The decoder of features. Default: 768 channels, 6 convolutions of 3 × 3 in 16 groups
        pub decoder: ConvDecoderConfig = ConvDecoderConfig::new(),
        /// What is hidden. Default: 80 % of the patches, all but blocks of 3 × 3
        pub mask: MaskConfig = MaskConfig::inverse_blocks(0.8, 0.07),
        /// Masks of each image in a step, at least 1. Default: 16
        pub masks: usize = 16,
        /// What is predicted. Default: the mean of the MLPs of the last 10 blocks, each normalized
        /// over the cells, their mean over the features
        pub features: FeatureConfig = FeatureConfig::new(FeatureLayers::Mlps { last: 10 }),
        /// The weight of the loss of class tokens, beside that of hidden cells. Default: 2.56, which
        /// is 0.01 for each of the 16 masks of the 16 images of a device, as officially
        pub class_loss: f64 = 2.56,
        /// The share of the teacher that a step keeps. Default: from 0.9998 to 0.99999 in the first
        /// 100 000 of 375 300 steps
        pub momentum: Momentum = Momentum::new(0.9998, 0.99999).with_ramp(UPDATES[1] / UPDATES[0]),
    }
}

/// `vit` with the paper's norms and start.
fn papers(vit: VitConfig) -> VitConfig {
    vit.with_pre_norm(true).with_post_norm(true).with_init(VitInit::Normal)
}

impl Data2VecConfig {
    /// ViT-B/16 (`base_images_only_task.yaml`).
    pub fn base_patch16() -> Self {
        Self::new(papers(VitConfig::base_patch16()))
    }

    /// ViT-L/16 (`large_images_only_task.yaml`).
    pub fn large_patch16() -> Self {
        Self::new(papers(VitConfig::large_patch16()))
            .with_decoder(Self::large_decoder())
            .with_mask(MaskConfig::inverse_blocks(0.75, 0.1))
            .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 18 }))
            .with_class_loss(1.28)
            .with_momentum(Momentum::new(0.9998, 0.99999).with_ramp(150_000.0 / 375_300.0))
    }

    /// ViT-H/14 (`huge_images14_only_task.yaml`).
    pub fn huge_patch14() -> Self {
        Self::new(papers(VitConfig::huge_patch14()))
            .with_decoder(Self::large_decoder())
            .with_mask(MaskConfig::inverse_blocks(0.75, 0.1))
            .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 24 }))
            .with_class_loss(1.28)
            .with_momentum(Momentum::new(0.9998, 1.0).with_ramp(0.6))
    }

    fn large_decoder() -> ConvDecoderConfig {
        ConvDecoderConfig::new().with_width(1024).with_depth(3).with_kernel(5)
    }

    /// MAE's model for images of a few dozen pixels, with four masks of each image, a teacher for
    /// runs of hundreds of steps, and no loss of class tokens.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(VitConfig::new(image, 4, 128, 6, 4))
            .with_decoder(ConvDecoderConfig::new().with_width(128).with_depth(3).with_groups(8))
            .with_mask(MaskConfig::inverse_blocks(0.75, 0.1))
            .with_masks(4)
            .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 4 }))
            .with_class_loss(0.0)
            .with_momentum(Momentum::new(0.98, 0.999))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("data2vec")?;
        self.decoder.validate(&self.encoder)?;
        self.mask()?;
        let Self { masks, class_loss, .. } = *self;
        limits::counts("masks", masks, limits::BATCH)?;
        self.features.validate(self.encoder.depth)?;
        ensure!(
            class_loss.is_finite() && class_loss >= 0.0,
            "class_loss must be a finite weight of at least 0, got {class_loss:?}"
        );
        ensure!(
            class_loss == 0.0 || self.encoder.class_token,
            "a class_loss of {class_loss:?} needs an encoder with a class token"
        );
        self.momentum.validate()
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
    /// With the message of [`Data2VecConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Data2Vec {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let teacher = self.encoder.init_visible(&mut weights.clone());
        Data2Vec {
            encoder: self.encoder.init_visible(weights),
            decoder: self.decoder.init(&self.encoder, self.encoder.width, weights),
            target: FeatureTarget::following(teacher, self.features, self.momentum),
            class_loss: self.class_loss,
        }
    }
}
